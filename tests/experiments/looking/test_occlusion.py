"""Occlusion and gradients of a network made by hand, which looks at one block of pixels."""

import numpy as np
import pytest

from experiments.looking import folding, gradients
from experiments.looking.occlusion import Slot, hiding, occlusion

WHOLE = [Slot(0, 0, 28, 28)]
BLOCK = (slice(9, 12), slice(17, 20))


def maps(clips=3):
    """Maps that are still at another grey value in every clip and channel, but in the block."""
    rng = np.random.default_rng(0)
    flow_NxHxWxC = np.empty((clips, 28, 28, 3), np.float32)
    flow_NxHxWxC[:] = rng.uniform(80, 170, (clips, 1, 1, 3))
    flow_NxHxWxC[:, *BLOCK] += 40
    return flow_NxHxWxC


def score(flow_QxHxWxC, class_Q):
    """Class 1 gains by the block's mean, class 0 loses by it."""
    mean_Q = flow_QxHxWxC[:, *BLOCK].mean(axis=(1, 2, 3), dtype=np.float64)
    return np.where(class_Q == 1, mean_Q, -mean_Q)


def test_what_falls_lies_where_the_block_is():
    fall_NxHxW = occlusion(score, maps(), np.array([1, 1, 0]), WHOLE, window=3, stride=1)
    # A window right over the block takes all of its 40 grey values.
    middle_N = fall_NxHxW[:, 10, 18]
    is_near_HxW = np.zeros((28, 28), bool)
    is_near_HxW[9 - 2 : 12 + 2, 17 - 2 : 20 + 2] = True
    assert np.abs(fall_NxHxW[:, ~is_near_HxW]).max() == 0
    assert (fall_NxHxW[:2][:, is_near_HxW] > 0).all()
    # Nine windows cover the middle; those moved by one or both axes hide 6 or 4 of the 9 pixels.
    np.testing.assert_allclose(middle_N[:2], 40 * (9 + 4 * 6 + 4 * 4) / 9 / 9, rtol=1e-6)
    # The class that loses by the motion gains where it is hidden.
    np.testing.assert_allclose(fall_NxHxW[2], -fall_NxHxW[0], atol=1e-4)


def test_more_clips_than_are_scored_at_once_change_nothing():
    flow_NxHxWxC = maps(4)
    class_N = np.array([1, 0, 1, 1])
    together_NxHxW = occlusion(score, flow_NxHxWxC, class_N, WHOLE)
    for number in range(4):
        one = slice(number, number + 1)
        alone_NxHxW = occlusion(score, flow_NxHxWxC[one], class_N[one], WHOLE)
        # Sums over windows in another order.
        np.testing.assert_allclose(together_NxHxW[one], alone_NxHxW, atol=1e-12)


@pytest.mark.parametrize("cut", ["five", "quad", "quad_htnet", "whole"])
def test_no_window_hides_parts_of_two_regions(cut):
    slots = folding.slots_of(cut)
    hidden_PxHxW = hiding(slots, 28, 7, 2)
    assert not hidden_PxHxW[0].any()
    place_HxW = np.full((28, 28), -1)
    for number, slot in enumerate(slots):
        place_HxW[slot.top : slot.top + slot.height, slot.left : slot.left + slot.width] = number
    assert (place_HxW >= 0).all()
    assert {len(set(place_HxW[hidden].tolist())) for hidden in hidden_PxHxW[1:]} == {1}
    assert hidden_PxHxW.any(axis=0).all()


@pytest.mark.parametrize("side", [28, 36])
@pytest.mark.parametrize("cut", ["five", "quad", "whole"])
def test_windows_lie_alike_from_both_sides(cut, side):
    hidden_PxHxW = hiding(folding.slots_of(cut, side), side, side // 4, 2)
    turned = {hidden_HxW[:, ::-1].tobytes() for hidden_HxW in hidden_PxHxW}
    assert turned == {hidden_HxW.tobytes() for hidden_HxW in hidden_PxHxW}
    assert len(turned) == len(hidden_PxHxW)


def test_slots_that_leave_pixels_out_are_refused():
    with pytest.raises(ValueError, match="leave 28 pixels"):
        occlusion(score, maps(), np.ones(3, int), [Slot(0, 0, 27, 28)])


def test_the_gradient_is_where_the_block_is_whatever_the_input():
    weight_HxWxC = np.zeros((28, 28, 3), np.float32)
    weight_HxWxC[BLOCK] = (1, -2, 0.5)

    def derivative(flow_BxHxWxC, class_B):
        return weight_HxWxC * np.where(class_B == 1, 1, -1)[:, None, None, None]

    found = gradients.derivatives(derivative, maps(11), np.arange(11) % 2)
    strength_NxHxW = gradients.strength(found)
    assert strength_NxHxW.shape == (11, 28, 28)
    expected_HxW = np.zeros((28, 28))
    expected_HxW[BLOCK] = 1 + 4 + 0.25
    np.testing.assert_array_equal(strength_NxHxW, np.broadcast_to(expected_HxW, (11, 28, 28)))
