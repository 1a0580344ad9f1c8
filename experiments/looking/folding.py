"""Puts a map of a layout back onto the face that it was cut from.

Letters in array names: H rows and W columns of the map that the network sees, S side of the face.
"""

import numpy as np

from experiments.looking.occlusion import Slot
from input_pipeline.core.clips import MAP_SIZE
from input_pipeline.maps import layouts


def slots_of(cut: str, map_size: int = MAP_SIZE) -> list[Slot]:
    """The slots of a cut's regions in a map of `map_size` pixels, which no landmark moves."""
    mean_5x2 = layouts.MEAN_LANDMARKS_5x2 * (map_size / MAP_SIZE)
    return [Slot(*window[-4:]) for window in layouts.windows(cut, mean_5x2, map_size, map_size)]


def fold_back(map_HxW: np.ndarray, cut: str, landmarks_5x2: np.ndarray, size: int) -> np.ndarray:
    """The values of a square map where their regions lie on a face of `size` pixels: (S, S).

    landmarks_5x2 is in pixels of that face, which has at least as many pixels a side as the map.
    Each slot is spread over its window, every pixel the mean of what it covers; where windows
    overlap, their mean; NaN where no window reaches, which the network does not see. The inverse
    of layouts.compose, where windows are as large as their slots without loss. Raises ValueError as
    layouts.windows does.
    """
    total_SxS, count_SxS = np.zeros((size, size)), np.zeros((size, size))
    for window in layouts.windows(cut, landmarks_5x2, size, map_HxW.shape[0]):
        slot_hxw = map_HxW[
            window.slot_top : window.slot_top + window.slot_height,
            window.slot_left : window.slot_left + window.slot_width,
        ]
        spread_hxw = slot_hxw
        if slot_hxw.shape != (window.height, window.width):
            spread = layouts.area_average(slot_hxw[..., None], window.height, window.width)
            spread_hxw = spread[..., 0]
        place = (
            slice(window.top, window.top + window.height),
            slice(window.left, window.left + window.width),
        )
        total_SxS[place] += spread_hxw
        count_SxS[place] += 1
    return np.where(count_SxS > 0, total_SxS / np.maximum(count_SxS, 1), np.nan)
