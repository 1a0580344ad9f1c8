"""Cuts a face's flow map into regions and joins them to the map the network sees.

Landmarks are five points (x right, y down) in pixels of the face at hand, left and right as seen
in the image. Letters in array names: S face side, H rows, W columns, C flow channels.
"""

import functools
from typing import NamedTuple

import numpy as np

from input_pipeline.core.clips import MAP_SIZE
from input_pipeline.core.map_form import CUTS

LANDMARKS = ("eye_left", "eye_right", "nose", "lip_left", "lip_right")
# Mean positions over the published MEGC 2019 composite maps, in pixels of a 28-pixel face: they
# stand in where a data set names none.
MEAN_LANDMARKS_5x2 = np.array(
    [(7.0, 8.7), (21.0, 8.6), (14.0, 16.0), (8.6, 20.5), (19.6, 20.4)], np.float32
)


class Window(NamedTuple):
    """One region: where it is cut from the face, and its slot in the composed map (pixels)."""

    name: str
    top: int
    left: int
    height: int
    width: int
    slot_top: int
    slot_left: int
    slot_height: int
    slot_width: int


class _Region(NamedTuple):
    """A region of a layout in units of a 28-pixel face; its slot is as large as its window."""

    landmark: str
    height: int
    width: int
    slot_top: int
    slot_left: int
    raised: int = 0


_REGIONS = {
    # Every slot edge is a multiple of 7, so that no patch of the network mixes two regions.
    "five": (
        _Region("eye_left", 14, 14, 0, 0, raised=2),
        _Region("eye_right", 14, 14, 0, 14, raised=2),
        _Region("nose", 7, 28, 14, 0),
        _Region("lip_left", 7, 14, 21, 0),
        _Region("lip_right", 7, 14, 21, 14),
    ),
    "quad": (
        _Region("eye_left", 14, 14, 0, 0),
        _Region("eye_right", 14, 14, 0, 14),
        _Region("lip_left", 14, 14, 14, 0),
        _Region("lip_right", 14, 14, 14, 14),
    ),
}


def windows(
    cut: str, landmarks_5x2: np.ndarray, size: int, map_size: int = MAP_SIZE
) -> list[Window]:
    """The regions of a cut on a face of `size` x `size` pixels, in reading order.

    landmarks_5x2 is in pixels of that face; a window that would leave the face is moved back
    inside. Slots are those of a map of `map_size` pixels a side, a multiple of 4. `quad_htnet` is
    published for 28 pixels only. Raises ValueError on another cut, on a face smaller than the map
    or on landmarks that are no finite numbers.
    """
    if cut not in CUTS:
        raise ValueError(f"unknown layout {cut!r}; allowed are {', '.join(CUTS)}")
    if size < map_size or (cut == "quad_htnet" and not size == map_size == MAP_SIZE):
        raise ValueError(
            f"the layout {cut} has no windows of a map of {map_size} pixels on a face of {size}"
        )
    landmarks_5x2 = np.asarray(landmarks_5x2, np.float64)
    if landmarks_5x2.shape != (len(LANDMARKS), 2) or not np.isfinite(landmarks_5x2).all():
        raise ValueError(f"landmarks must be 5x2 finite numbers, got {landmarks_5x2.tolist()}")
    if cut == "whole":
        return [Window("face", 0, 0, size, size, 0, 0, map_size, map_size)]
    if cut == "quad_htnet":
        return _htnet_windows(landmarks_5x2)
    return [
        _around(region, landmarks_5x2[LANDMARKS.index(region.landmark)], size, map_size)
        for region in _REGIONS[cut]
    ]


def _around(region: _Region, point_2: np.ndarray, size: int, map_size: int) -> Window:
    scale = size / MAP_SIZE
    height, width = _nearest(region.height * scale), _nearest(region.width * scale)
    top = _nearest(point_2[1] - region.raised * scale) - height // 2
    left = _nearest(point_2[0]) - width // 2
    inside = (min(max(top, 0), size - height), min(max(left, 0), size - width), height, width)
    # Slot edges are multiples of 7 pixels of 28: whole numbers in every map whose side 4 divides.
    slot_28 = (region.slot_top, region.slot_left, region.height, region.width)
    slot = (edge * map_size // MAP_SIZE for edge in slot_28)
    return Window(region.landmark, *inside, *slot)


def _nearest(value: float) -> int:
    return int(np.floor(value + 0.5))


def _htnet_windows(landmarks_5x2: np.ndarray) -> list[Window]:
    """HTNet's cut as published: x serves as ROW and y as COLUMN (Wang et al. 2024, public code).

    So the window at the second eye covers the left lip and the one at the first mouth corner the
    right eye, and HTNet names and joins them by what they cover: both eyes' points in the upper
    half of the map, both mouth corners' in the lower.
    """
    half, side = MAP_SIZE // 4, MAP_SIZE // 2
    centre_5x2 = np.clip(landmarks_5x2, half, MAP_SIZE - half).astype(np.int64)
    covered = {
        "eye_left": ("eye_left", 0, 0),
        "eye_right": ("lip_left", 0, side),
        "lip_left": ("eye_right", side, 0),
        "lip_right": ("lip_right", side, side),
    }
    cut = []
    for landmark, (name, slot_top, slot_left) in covered.items():
        row, column = centre_5x2[LANDMARKS.index(landmark)].tolist()
        window = (row - half, column - half, side, side)
        cut.append(Window(name, *window, slot_top, slot_left, side, side))
    return cut


def compose(
    cut: str, face_SxSxC: np.ndarray, landmarks_5x2: np.ndarray, map_size: int = MAP_SIZE
) -> np.ndarray:
    """The float32 map of a face in the cut named, map_size x map_size x C.

    face_SxSxC has at least as many pixels a side; landmarks_5x2 is in its pixels. Each window is
    resized to its slot by area averaging. Raises ValueError as `windows` does.
    """
    size = face_SxSxC.shape[0]
    if face_SxSxC.ndim != 3 or face_SxSxC.shape[1] != size:
        raise ValueError(f"a face must be square, SxSxC, got {face_SxSxC.shape}")
    if cut == "quad_htnet" and size != MAP_SIZE:
        face_SxSxC = area_average(face_SxSxC, MAP_SIZE, MAP_SIZE)
        landmarks_5x2 = np.asarray(landmarks_5x2, np.float64) * (MAP_SIZE / size)
        size = MAP_SIZE
    map_HxWxC = np.zeros((map_size, map_size, face_SxSxC.shape[2]), np.float32)
    for window in windows(cut, landmarks_5x2, size, map_size):
        crop_HxWxC = face_SxSxC[
            window.top : window.top + window.height, window.left : window.left + window.width
        ]
        map_HxWxC[
            window.slot_top : window.slot_top + window.slot_height,
            window.slot_left : window.slot_left + window.slot_width,
        ] = area_average(crop_HxWxC, window.slot_height, window.slot_width)
    return map_HxWxC


def area_average(map_HxWxC: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize by exact area averaging to height x width, float32; the same size is the identity.

    Each target pixel is the mean of the source area it covers, parts of pixels counted by their
    share. Meant for shrinking.
    """
    # Without this, one NaN would spread over its whole row and column through 0 * NaN.
    if map_HxWxC.shape[:2] == (height, width):
        return np.array(map_HxWxC, np.float32)
    rows_hxH = _overlap(height, map_HxWxC.shape[0])
    columns_wxW = _overlap(width, map_HxWxC.shape[1])
    rowwise_hxWxC = np.tensordot(rows_hxH, np.asarray(map_HxWxC, np.float64), axes=(1, 0))
    both_wxhxC = np.tensordot(columns_wxW, rowwise_hxWxC, axes=(1, 1))
    return both_wxhxC.swapaxes(0, 1).astype(np.float32)


@functools.lru_cache(maxsize=64)
def _overlap(target: int, source: int) -> np.ndarray:
    """Share of each source pixel (columns) in each target pixel (rows); rows sum to 1."""
    edges = np.arange(target + 1) * (source / target)
    pixels = np.arange(source)
    low = np.maximum(edges[:-1, None], pixels[None, :])
    high = np.minimum(edges[1:, None], pixels[None, :] + 1)
    return np.maximum(high - low, 0.0) * (target / source)
