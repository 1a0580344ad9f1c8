"""Bi-WOOF, MDMO and LBP-TOP on flow and films made by hand, and against slow loops."""

import itertools
import math

import numpy as np
import pytest

from experiments.classical_methods import bi_woof, lbp_top, machines, mdmo

SIDE = 32


def flow_of(u, v, strain=1.0) -> np.ndarray:
    return np.stack(np.broadcast_arrays(*map(np.float64, (u, v, strain))), axis=-1)


def everywhere(u: float, v: float, strain: float = 1.0) -> np.ndarray:
    return flow_of(np.full((SIDE, SIDE), u), v, strain)


@pytest.mark.parametrize(
    ("u", "v", "place"),
    [
        (1, 0.1, 0),
        (0.1, 1, 1),
        (-0.1, 1, 2),
        (-1, 0.1, 3),
        (-1, -0.1, 4),
        (0.1, -1, 6),
        (1, -0.1, 7),
    ],
)
def test_bins_turn_from_the_right_downwards(u, v, place):
    assert bi_woof.orientation_bins(np.float64([u]), np.float64([v]), 8).tolist() == [place]
    # Next to 0 a negative angle is a whole turn.
    assert bi_woof.orientation_bins(np.float64([1]), np.float64([-1e-300]), 8).tolist() == [7]


def test_bi_woof_by_hand():
    flow = everywhere(3, 4, strain=0.5)
    # The lower right quarter moves to the left, by 1, under twice the strain.
    flow[16:, 16:] = (-1, 0.1, 1.0)
    found = bi_woof.histograms(flow, blocks=2, bins=4).reshape(2, 2, 4)
    weight = 5 * 256 * 0.5, np.hypot(1, 0.1) * 256 * 1.0
    expected = np.zeros((2, 2, 4))
    expected[:, :, 0] = weight[0]
    expected[1, 1] = (0, weight[1], 0, 0)
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), rtol=1e-12)


def test_bi_woof_against_a_loop():
    flow = np.random.default_rng(0).normal(size=(SIDE, SIDE, 3))
    flow[..., 2] = np.abs(flow[..., 2])
    expected = np.zeros((3, 3, 8))
    strain, pixels = np.zeros((3, 3)), np.zeros((3, 3))
    for row, column in itertools.product(range(SIDE), repeat=2):
        block = row * 3 // SIDE, column * 3 // SIDE
        u, v, own = flow[row, column]
        expected[block][int(math.atan2(v, u) % (2 * math.pi) / (2 * math.pi) * 8)] += math.hypot(
            u, v
        )
        strain[block] += own
        pixels[block] += 1
    expected *= (strain / pixels)[..., None]
    found = bi_woof.histograms(flow, blocks=3, bins=8)
    np.testing.assert_allclose(found, expected.ravel() / np.linalg.norm(expected), rtol=1e-9)


def test_no_motion_gives_zeros():
    assert not bi_woof.histograms(everywhere(0, 0, 0), 8, 8).any()
    still = mdmo.main_directions(everywhere(0, 0, 0), np.full((68, 2), 16.0))
    np.testing.assert_array_equal(still, np.zeros((36, 2)))


def test_mdmo_by_hand():
    landmarks = np.full((68, 2), 100.0)
    # The mouth's left corner, far from all others; two thirds of its disc move downwards.
    landmarks[48] = (20, 20)
    flow = everywhere(0, 0)
    flow = np.zeros((128, 128, 3))
    flow[:, :, 0] = 7
    flow[19:30, 12:30, :2] = (7, 2)
    flow[12:19, 12:30, :2] = (7 - 4, 0)
    found = mdmo.main_directions(flow, landmarks)
    place = mdmo.REGIONS.index((48,))
    # Less the median 7 of u: (0, 2) below, (-4, 0) above; the fuller direction is down, half a pi.
    np.testing.assert_allclose(found[place], [1, 0.5], atol=1e-9)
    others = np.delete(found, [place], axis=0)
    assert (others[:, 0] <= 1).all()


def test_mdmo_has_the_papers_36_regions():
    assert len(mdmo.REGIONS) == 36
    assert max(itertools.chain(*mdmo.REGIONS)) < 68


def slow_lbp_top(film: np.ndarray) -> np.ndarray:
    """Counts of all 256 patterns in each plane and block, pixel by pixel."""
    frames, height, width = film.shape
    radius_t = min(4, (frames - 1) // 2)
    counts = np.zeros((3, 16, 256), int)

    def value(t, y, x):
        total = 0.0
        for corner in itertools.product((0, 1), repeat=3):
            place = [math.floor(part) + up for part, up in zip((t, y, x), corner, strict=True)]
            shares = [1 - abs(part - whole) for part, whole in zip((t, y, x), place, strict=True)]
            weight = math.prod(shares)
            if weight > 1e-9:
                total += weight * film[tuple(place)]
        return total

    for t, y, x in itertools.product(
        range(radius_t, frames - radius_t), range(1, height - 1), range(1, width - 1)
    ):
        block = (y * 4 // height) * 4 + x * 4 // width
        for plane, (first, second) in enumerate((("x", "y"), ("x", "t"), ("y", "t"))):
            radius = {"x": 1, "y": 1, "t": radius_t}
            pattern = 0
            for number in range(8):
                angle = math.pi * number / 4
                step = {"x": 0.0, "y": 0.0, "t": 0.0}
                step[first] = radius[first] * math.cos(angle)
                step[second] = -radius[second] * math.sin(angle)
                step = {axis: round(by, 9) for axis, by in step.items()}
                there = value(t + step["t"], y + step["y"], x + step["x"])
                pattern += (there >= film[t, y, x] - 1e-3) << number
            counts[plane, block, pattern] += 1
    return counts


@pytest.mark.parametrize("frames", [10, 5, 2])
def test_lbp_top_against_a_slow_loop(frames):
    film = np.random.default_rng(frames).integers(0, 256, (frames, 12, 16)).astype(np.uint8)
    slow = slow_lbp_top(film)
    found = lbp_top.lbp_top(film)
    assert found.shape == (3, 16, 59)
    for pattern, place in enumerate(lbp_top.UNIFORM):
        if place < 58:
            np.testing.assert_array_equal(found[..., place], slow[..., pattern])
    np.testing.assert_array_equal(found.sum(axis=-1), slow.sum(axis=-1))


def test_uniform_patterns_change_at_most_twice():
    assert np.bincount(lbp_top.UNIFORM).tolist() == [1] * 58 + [198]
    assert lbp_top.UNIFORM[0b01010000] == 58
    assert lbp_top.UNIFORM[0b11000001] < 58


def test_a_film_of_one_grey_has_one_pattern():
    found = lbp_top.lbp_top(np.full((9, 16, 16), 90, np.uint8))
    assert (found[..., lbp_top.UNIFORM[255]] == found.sum(axis=-1)).all()
    # 9 frames less 4 on either side; 14x14 pixels in 16 blocks.
    assert found.sum(axis=(1, 2)).tolist() == [14 * 14] * 3


def test_features_about_their_training_mean():
    train = np.array([[1.0, 0], [3, 0]])
    found = machines.about_training_mean(train, np.array([[2.0, 5]]))
    np.testing.assert_allclose(found[0], [[-1, 0], [1, 0]])
    np.testing.assert_allclose(found[1], [[0, 5]])
    alike = machines.about_training_mean(train[[0, 0]], train)
    np.testing.assert_allclose(alike[0], 0)
