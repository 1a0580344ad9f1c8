"""Maps put back onto the face: the inverse of the layouts' cut, and shares of their energy."""

import math

import numpy as np
import pytest

from experiments.looking import energy, folding
from input_pipeline.core.map_form import CUTS
from input_pipeline.maps import layouts

MEAN = layouts.MEAN_LANDMARKS_5x2


def face(size, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (size, size, 1)).astype(np.float32)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("seed", [0, 1])
def test_what_a_layout_cut_comes_back_where_it_was(cut, seed):
    landmarks_5x2 = MEAN + np.random.default_rng(seed).normal(0, 1, (5, 2))
    face_SxSx1 = face(28, seed)
    map_HxWx1 = layouts.compose(cut, face_SxSx1, landmarks_5x2)
    back_SxS = folding.fold_back(map_HxWx1[..., 0], cut, landmarks_5x2, 28)
    is_seen_SxS = np.isfinite(back_SxS)
    # Windows that overlap show the same pixels there.
    np.testing.assert_allclose(back_SxS[is_seen_SxS], face_SxSx1[is_seen_SxS, 0], rtol=1e-6)
    reached_SxS = np.zeros((28, 28), bool)
    for window in layouts.windows(cut, landmarks_5x2, 28):
        rows = slice(window.top, window.top + window.height)
        reached_SxS[rows, window.left : window.left + window.width] = True
    np.testing.assert_array_equal(is_seen_SxS, reached_SxS)


@pytest.mark.parametrize(("cut", "size"), [("five", 224), ("quad", 56), ("whole", 224)])
def test_cutting_again_gives_the_map(cut, size):
    # So far apart that no windows overlap.
    apart_5x2 = np.array([(7, 9), (21, 9), (14, 17.5), (7, 24.5), (21, 24.5)])
    if cut == "quad":
        apart_5x2[:, 1] = [7, 7, 14, 21, 21]
    landmarks_5x2 = apart_5x2 * (size / 28)
    map_HxWx1 = face(28)
    back_SxS = folding.fold_back(map_HxWx1[..., 0], cut, landmarks_5x2, size)
    again_HxWx1 = layouts.compose(cut, np.nan_to_num(back_SxS)[..., None], landmarks_5x2)
    np.testing.assert_allclose(again_HxWx1, map_HxWx1, rtol=1e-5)


def test_where_windows_overlap_their_mean_counts():
    # The nose's window, rows 13 to 19, covers the eyes' last row and the lips' first ones.
    map_HxW = np.zeros((28, 28))
    map_HxW[:14], map_HxW[14:21], map_HxW[21:] = 1, 3, 7
    back_SxS = folding.fold_back(map_HxW, "five", MEAN, 28)
    assert back_SxS[12, 5] == 1
    assert back_SxS[13, 5] == 2
    assert back_SxS[15, 5] == 3
    assert back_SxS[18, 5] == 5
    assert math.isnan(back_SxS[27, 0])


def test_energy_inside_by_hand():
    map_SxS = np.full((4, 4), np.nan)
    map_SxS[:2] = [[6, 1, 1, -50], [0, 0, 0, 0]]
    inside_SxS = np.zeros((4, 4), bool)
    inside_SxS[0, 0] = inside_SxS[3] = True
    found = energy.energy(map_SxS, inside_SxS)
    assert found == (0.75, 0.125)
    assert found.ratio == 6
    assert found.is_denser_inside
    nothing = energy.energy(np.zeros((4, 4)), inside_SxS)
    assert math.isnan(nothing.inside)
    assert not nothing.is_denser_inside


def test_every_pixel_belongs_to_one_region():
    region_SxS = energy.region_of(MEAN, 28)
    named = {number: energy.REGIONS[number] for number in np.unique(region_SxS).tolist()}
    assert set(named.values()) == set(energy.REGIONS)
    at = {(8, 7): "eye_left", (8, 21): "eye_right", (16, 14): "nose", (21, 8): "lip_left"}
    at |= {(21, 20): "lip_right", (27, 0): "elsewhere"}
    for (row, column), name in at.items():
        assert energy.REGIONS[region_SxS[row, column]] == name
    shares = energy.by_region(face(28)[..., 0], region_SxS)
    assert list(shares) == list(energy.REGIONS)
    assert sum(shares.values()) == pytest.approx(1)
