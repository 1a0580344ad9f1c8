"""Comparison with foreign maps: channel order, sign, scale and mirroring are recognised."""

import numpy as np
import pytest
from command_runner import assert_mistake, run_command
from pretend_maps import write_table

from input_pipeline.maps.likeness import compare, describe

NAME = "input_pipeline.compare"


def ours(count=12):
    rng = np.random.default_rng(0)
    # Smooth maps, as flow is, without symmetry between left and right.
    coarse = rng.uniform(0, 255, (count, 7, 7, 3))
    return coarse.repeat(4, axis=1).repeat(4, axis=2).astype(np.float32)


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (lambda m: m, "their channel order: (u, v, strain)"),
        (lambda m: m[..., ::-1], "their channel order: (strain, v, u)"),
        (lambda m: m[..., [1, 0, 2]], "their channel order: (v, u, strain)"),
        (lambda m: 255 - m, "their channel order: (-u, -v, -strain)"),
        (lambda m: m * 0.5 + 10, "scale of u: theirs = 0.500 * ours +10.0"),
        (lambda m: m[:, :, ::-1], "their pictures are mirrored left to right"),
    ],
)
def test_what_was_done_is_recognised(theirs, words):
    maps = ours()
    assert words in "\n".join(describe(compare(maps, theirs(maps))))


def test_correlations_are_numpys():
    maps = ours()
    noisy = maps + np.random.default_rng(1).normal(0, 40, maps.shape)
    found = compare(maps, noisy).correlation_3x3
    for own in range(3):
        for foreign in range(3):
            each = [
                np.corrcoef(a[..., own].ravel(), b[..., foreign].ravel())[0, 1]
                for a, b in zip(maps, noisy, strict=True)
            ]
            assert found[own, foreign] == pytest.approx(np.median(each), abs=1e-9)


def test_unlike_maps_are_called_so():
    other = np.random.default_rng(9).uniform(0, 255, (12, 28, 28, 3))
    lines = "\n".join(describe(compare(ours(), other)))
    assert "do not resemble each other" in lines
    assert "channel order" not in lines


def test_constant_channels_do_not_count():
    maps = ours()
    maps[3, ..., 1] = 7
    assert compare(maps, maps).correlation_3x3[1, 1] == pytest.approx(1)
    maps[..., 1] = 7
    found = compare(maps, maps)
    assert np.isfinite(found.correlation_3x3).all()
    assert found.correlation_3x3[1, 1] == 0


def test_command(tmp_path):
    write_table(tmp_path / "maps")
    imported = run_command(
        "input_pipeline.import_maps",
        f"--source={tmp_path / 'maps'}",
        "--dataset=megc2019",
        f"--data_dir={tmp_path / 'data'}",
    )
    assert imported.status == 0, imported.err
    arguments = [f"--maps={tmp_path / 'maps'}", f"--data_dir={tmp_path / 'data'}"]
    finished = run_command(NAME, "--dataset=megc2019", *arguments)
    assert finished.status == 0, finished.err
    assert "their channel order: (u, v, strain)" in finished.out
    assert "0 only in the data set, 0 only in the folder" in finished.out
    assert_mistake(run_command(NAME, "--dataset=smic", *arguments), "not built yet")
    assert_mistake(run_command(NAME, "--dataset=megc2019"), "--maps is missing")
