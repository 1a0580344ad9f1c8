"""A class's gradient: signs first, then squares; on each clip's own face."""

import dataclasses

import numpy as np
import pytest

from experiments.looking import class_gradient, energy, folding
from experiments.looking.class_gradient import CLASS_GRADIENT
from experiments.looking.seen_maps import SeenMaps
from input_pipeline.maps import synthetic


@pytest.fixture(scope="module")
def clips():
    return synthetic.make("five", "small").rows(np.arange(6))


def seen(derivative_NxHxWxC, class_N) -> SeenMaps:
    """Only what a class's gradient is made of, and a map that stays as it is."""
    count = len(class_N)
    return SeenMaps(
        {"gradient": np.zeros((count, 28, 28))},
        np.full((count, 3), 1 / 3),
        np.array(class_N, np.int32),
        {},
        {},
        derivative_NxHxWxC,
    )


def test_signs_are_added_up_before_they_are_squared(clips):
    derivative = np.zeros((6, 28, 28, 3))
    # Class 0: what its three clips agree on stays, what they contradict each other in is gone.
    derivative[:3, 4, 5, 0] = 2
    derivative[:3, 20, 8, 1] = [3, -3, 0]
    # Class 2: the mean of 1 and 2 of one channel, and 4 of another.
    derivative[3:5, 4, 5, 0] = [1, 2]
    derivative[3:5, 4, 5, 2] = 4
    # Class 1: a clip alone has its own gradient.
    derivative[5, 9, 9, 1] = 5
    found = class_gradient.added(seen(derivative, [0, 0, 0, 2, 2, 1]), clips)
    assert found.kinds == ("gradient", CLASS_GRADIENT)
    square_6xHxW = np.zeros((6, 28, 28))
    square_6xHxW[:3, 4, 5] = 2**2
    square_6xHxW[3:5, 4, 5] = 1.5**2 + 4**2
    square_6xHxW[5, 9, 9] = 5**2
    for number, landmarks_5x2 in enumerate(clips.extras["landmarks"]):
        wanted = folding.fold_back(square_6xHxW[number], "five", landmarks_5x2, 28)
        np.testing.assert_allclose(found.map_of[CLASS_GRADIENT][number], wanted, rtol=1e-6)


def test_what_random_starts_leave_cancels_out_and_what_all_learned_stays(clips):
    """Noise of the same size everywhere, and a tenth of it that all clips share in one place."""
    rng = np.random.default_rng(0)
    many = clips.rows(np.zeros(400, int))
    is_inside = np.zeros((28, 28), bool)
    is_inside[:7, :7] = True
    derivative = rng.standard_normal((400, 28, 28, 3))
    derivative[:, :7, :7] += 0.1
    flat = dataclasses.replace(many, layout="whole")
    found = class_gradient.added(seen(derivative, np.zeros(400)), flat)
    (alone,) = class_gradient.added(
        seen(derivative[:1], np.zeros(1)), flat.rows(np.arange(1))
    ).map_of[CLASS_GRADIENT]
    # (0.1^2 + 1/400) / (1/400) = 5 times as dense inside, by the sizes above.
    one = energy.energy(found.map_of[CLASS_GRADIENT][0], is_inside)
    density = one.inside / one.area / ((1 - one.inside) / (1 - one.area))
    assert density == pytest.approx(5, rel=0.2)
    assert energy.energy(alone, is_inside).ratio == pytest.approx(1, abs=0.15)


def test_networks_of_frames_have_none(clips):
    without = seen(None, np.zeros(6))
    assert class_gradient.added(without, clips) is without
