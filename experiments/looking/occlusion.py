"""Occlusion: how much a network's evidence for a class falls where a part of the map stands still.

Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 4.2,
with "no motion" in place of their grey square.

Letters in array names: N clips, H rows and W columns of a map, C channels, P windows (the first of
them hides nothing), Q maps that are scored together.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

# A window as large as the network's patch, of a map of 28 pixels; one in two places is tried. Every
# place would take four times as long and give the same picture: a window blurs by its own width.
WINDOW_SHARE, STRIDE = 4, 2
# Maps scored together: 3 MB of input, and one compiled program whatever the clips.
SCORED_AT_ONCE = 128

# Maps (Q, H, W, C) and a class for each to the evidence (Q,) for that class.
Score = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Slot(NamedTuple):
    """A region's place in the map that the network sees, in pixels."""

    top: int
    left: int
    height: int
    width: int


def occlusion(
    score: Score,
    flow_NxHxWxC: np.ndarray,
    class_N: np.ndarray,
    slots: Sequence[Slot],
    *,
    window: int | None = None,
    stride: int = STRIDE,
) -> np.ndarray:
    """The mean fall of the score over the windows that cover a pixel, (N, H, W) in its unit.

    A square of `window` pixels (None: a quarter of the map, 7 of 28) goes over each slot in steps
    of `stride` and is cut off at the slot's edge, so that no window hides parts of two regions.
    What it hides becomes each channel's median over the clip's map: most of a face is still, and
    after scaling from least to largest no motion has another grey value in every clip. A fall below
    0 means that the class gains where the window lies. Raises ValueError on slots that leave pixels
    out.
    """
    side = flow_NxHxWxC.shape[1]
    hidden_PxHxW = hiding(slots, side, window or max(1, side // WINDOW_SHARE), stride)
    covered_HxW = hidden_PxHxW.sum(axis=0)
    if not covered_HxW.all():
        raise ValueError(f"the slots leave {(covered_HxW == 0).sum()} pixels of the map out")
    still_NxC = np.median(flow_NxHxWxC, axis=(1, 2)).astype(flow_NxHxWxC.dtype)
    windows = len(hidden_PxHxW)
    score_F = np.empty(len(flow_NxHxWxC) * windows, np.float64)
    for first in range(0, len(score_F), SCORED_AT_ONCE):
        # The last ones are scored again rather than fewer, which would be another program.
        clip_Q, window_Q = np.divmod(
            np.minimum(np.arange(first, first + SCORED_AT_ONCE), len(score_F) - 1), windows
        )
        shown_QxHxWxC = np.where(
            hidden_PxHxW[window_Q][..., None],
            still_NxC[clip_Q][:, None, None],
            flow_NxHxWxC[clip_Q],
        )
        found_Q = np.asarray(score(shown_QxHxWxC, class_N[clip_Q]), np.float64)
        score_F[first : first + SCORED_AT_ONCE] = found_Q[: len(score_F) - first]
    score_NxP = score_F.reshape(-1, windows)
    fall_NxP = score_NxP[:, :1] - score_NxP
    return np.tensordot(fall_NxP, hidden_PxHxW.astype(np.float64), axes=1) / covered_HxW


def hiding(slots: Sequence[Slot], side: int, window: int, stride: int) -> np.ndarray:
    """Which pixels each window hides, bool (P, side, side); the first one hides none."""
    found = [np.zeros((side, side), bool)]
    for slot in slots:
        rows = _cuts(slot.top, slot.height, window, stride)
        columns = _cuts(slot.left, slot.width, window, stride)
        for row in rows:
            for column in columns:
                hidden_HxW = np.zeros((side, side), bool)
                hidden_HxW[row, column] = True
                found.append(hidden_HxW)
    return np.stack(found)


def _cuts(start: int, length: int, window: int, stride: int) -> list[slice]:
    """The windows along one side of a slot: their middles go from its first to its last pixel."""
    count = -(-(length - 1) // stride) + 1
    # An odd number in an even length would have its middle one off the slot's: mirrored maps
    # would be looked at in other places.
    count += count % 2 if length % 2 == 0 else 0
    middles = np.rint(np.linspace(0, length - 1, count)).astype(int)
    return [
        slice(
            start + max(0, middle - window // 2), start + min(length, middle - window // 2 + window)
        )
        for middle in middles.tolist()
    ]
