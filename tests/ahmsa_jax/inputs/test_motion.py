"""Made-up motion of action units: its table, its statistics, and that it reads no clip."""

import subprocess
import sys

import numpy as np
import pytest

from ahmsa_jax.inputs import motion
from ahmsa_jax.inputs.motion import made_up, parts, strain, units


@pytest.fixture(scope="module")
def clips():
    return made_up(2000, seed=1)


def test_the_table_is_the_declared_one():
    assert " ".join(units()) == "1 2 4 5 6 7 43 9 10 12 14 15 17 20 24 25 26"
    assert len(parts()) == 22
    one_sided = {part.unit for part in parts() if part.one_sided == 0.3}
    assert one_sided == {"2", "10", "12", "14", "15", "20"}
    (blink,) = (part for part in parts() if part.unit == "43")
    assert blink[1:] == (0.35, 0.05, 7, 8, 2.2, 1.3, 0, 1.5)


def test_units_come_as_often_as_the_table_says(clips):
    frequency = {part.unit: part.frequency for part in parts()}
    expected = np.array([frequency[unit] for unit in units()])
    deviation = np.sqrt(expected * (1 - expected) / len(clips[1]))
    assert (np.abs(clips[1].mean(axis=0) - expected) < 5 * deviation).all()


def test_maps_are_as_a_data_set_holds_them(clips):
    maps, _ = clips
    assert maps.dtype == np.float32
    np.testing.assert_array_equal(maps.min(axis=(1, 2)), 0)
    np.testing.assert_array_equal(maps.max(axis=(1, 2)), 255)


def test_a_seed_makes_the_same_maps_and_another_others(clips):
    again, other = made_up(2000, seed=1), made_up(2000, seed=2)
    np.testing.assert_array_equal(again[0], clips[0])
    assert (other[1] != clips[1]).any()


def test_strain_of_a_linear_field_by_hand():
    """u = 2 x + 3 y, v = x - y: sqrt(4 + 1 + (3 + 1)^2 / 2) = sqrt(13) everywhere."""
    y, x = np.mgrid[:6, :5].astype(float)
    flow = np.stack([2 * x + 3 * y, x - y], axis=-1)[None]
    np.testing.assert_allclose(strain(flow), np.sqrt(13))


def test_a_blink_moves_both_eyes_down_and_a_smile_the_corners_apart(monkeypatch):
    """Without noise and head, the mean flow is the table's, with both halves mirrored."""
    still = 1e-6 * np.random.default_rng(0).normal(size=(28, 28, 2))
    monkeypatch.setattr(motion, "_noise", lambda rng, count: still)
    monkeypatch.setattr(motion, "_head", lambda rng, count: 0.0)
    maps, there = made_up(4000, seed=0)
    alone = there.sum(axis=1) == 1
    mean_of = {
        unit: maps[alone & (there[:, place] == 1)].mean(axis=0)
        for place, unit in enumerate(units())
    }
    v = mean_of["43"][..., 1]
    assert abs(v[8, 7] - v[8, 20]) < 10
    assert min(v[8, 7], v[8, 20]) > v[20, 14] + 100
    u = mean_of["12"][..., 0]
    assert u[20, 9] + 50 < u[8, 14] < u[20, 18] - 50


def test_it_needs_neither_a_data_set_nor_the_package_that_reads_them():
    """Nothing that could reach a real clip is loaded."""
    code = (
        "import sys; from ahmsa_jax.inputs.motion import made_up; made_up(3, 0); "
        "print(sorted(n for n in sys.modules if n.startswith(('input_pipeline', 'tensorflow'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
