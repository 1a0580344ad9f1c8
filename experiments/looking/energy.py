"""How much of a map lies inside a part of the face.

A map's energy is its positive part: where occlusion is negative the class gains. Pixels that are
NaN are not seen by the network and count nowhere, not for areas either. Letters in array names: S
side of the face.
"""

import math
from typing import NamedTuple

import numpy as np

from input_pipeline.maps import layouts

ELSEWHERE = "elsewhere"
REGIONS = (*layouts.LANDMARKS, ELSEWHERE)


class Energy(NamedTuple):
    """Shares of a map's energy and of the seen area inside a part of the face, 0 to 1; or NaN."""

    inside: float
    area: float

    @property
    def ratio(self) -> float:
        """Energy inside relative to a map that is the same everywhere; NaN where none is."""
        return self.inside / self.area if self.area > 0 else math.nan

    @property
    def is_denser_inside(self) -> bool:
        """Whether a pixel inside has more energy on average than one outside."""
        return self.inside > self.area


def energy(map_SxS: np.ndarray, is_inside_SxS: np.ndarray) -> Energy:
    """The map's energy inside; `inside` is NaN where the map has none at all."""
    is_seen_SxS = np.isfinite(map_SxS)
    positive_SxS = np.where(is_seen_SxS, np.maximum(map_SxS, 0.0), 0.0)
    total, seen = float(positive_SxS.sum()), int(is_seen_SxS.sum())
    inside = float(positive_SxS[is_inside_SxS].sum()) / total if total > 0 else math.nan
    return Energy(inside, int((is_seen_SxS & is_inside_SxS).sum()) / seen if seen else math.nan)


def region_of(landmarks_5x2: np.ndarray, size: int) -> np.ndarray:
    """The place in REGIONS that each pixel of the face belongs to, int (S, S).

    The regions are the five windows of the layout `five`, of whatever layout a map is; a pixel in
    two of them belongs to the one whose middle is nearer, one in none of them is elsewhere.
    landmarks_5x2 is in pixels of the face.
    """
    row_SxS, column_SxS = np.mgrid[:size, :size]
    found_SxS = np.full((size, size), len(layouts.LANDMARKS))
    nearest_SxS = np.full((size, size), np.inf)
    for number, window in enumerate(layouts.windows("five", landmarks_5x2, size)):
        below, aside = row_SxS - window.top, column_SxS - window.left
        is_inside_SxS = (below >= 0) & (below < window.height)
        is_inside_SxS &= (aside >= 0) & (aside < window.width)
        # In units of the window: the nose's is four times as wide as high.
        away_SxS = np.hypot((below + 0.5) / window.height - 0.5, (aside + 0.5) / window.width - 0.5)
        is_nearer_SxS = is_inside_SxS & (away_SxS < nearest_SxS)
        found_SxS[is_nearer_SxS], nearest_SxS[is_nearer_SxS] = number, away_SxS[is_nearer_SxS]
    return found_SxS


def by_region(map_SxS: np.ndarray, region_SxS: np.ndarray) -> dict[str, float]:
    """The share of the map's energy in each of REGIONS; they sum to 1, or are NaN."""
    return {
        name: energy(map_SxS, region_SxS == number).inside for number, name in enumerate(REGIONS)
    }
