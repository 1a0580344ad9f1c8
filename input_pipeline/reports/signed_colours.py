"""Colours for a signed quantity: white at zero, red above it, blue below."""

import functools

import matplotlib
import numpy as np


def signed_colours(map_HxW: np.ndarray, zero: float) -> np.ndarray:
    """RGB uint8 (H, W, 3) of a map whose value `zero` means none; the farther from it, the darker.

    Both signs share one scale, that of a map over 0..255.
    """
    reach = max(abs(zero), abs(255.0 - zero))
    # An odd number of colours has one in the middle.
    palette_255x3 = _palette()
    middle = len(palette_255x3) // 2
    index = np.rint(middle * (1 + (map_HxW - zero) / reach)).astype(int)
    return palette_255x3[index.clip(0, 2 * middle)]


def zero_of(flow_SxS: np.ndarray) -> float:
    """Where no motion lies once a clip's channel was stretched from its least value to 255."""
    least, most = float(flow_SxS.min()), float(flow_SxS.max())
    return -255.0 * least / (most - least) if most > least else 0.0


@functools.cache
def _palette() -> np.ndarray:
    colours = matplotlib.colormaps["RdBu_r"].resampled(255)(np.arange(255), bytes=True)[:, :3]
    colours[127] = 255
    return colours
