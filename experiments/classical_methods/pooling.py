"""Smoothing and pooling of maps by a Gaussian, as matrix products over rows and columns.

Letters in array names: H rows, W columns; maps may have any axes before these two.
"""

import functools

import numpy as np

# The Gaussian is cut off at so many standard deviations.
_REACH = 4.0


def smoothed(maps_HxW: np.ndarray, sigma: float, every: int = 1) -> np.ndarray:
    """Maps (..., H, W) under a Gaussian of `sigma` pixels, of which every so many pixels are kept.

    Beyond the border the map goes on as its mirror image (the border pixel twice). With
    every = 1 this is scipy.ndimage.gaussian_filter.
    """
    rows = _gaussian(maps_HxW.shape[-2], sigma)[::every]
    columns = _gaussian(maps_HxW.shape[-1], sigma)[::every]
    return rows @ maps_HxW @ columns.T


@functools.cache
def _gaussian(size: int, sigma: float) -> np.ndarray:
    """The (size, size) matrix that smooths a line of `size` pixels."""
    reach = int(_REACH * sigma + 0.5)
    offset = np.arange(-reach, reach + 1)
    weight = np.exp(-0.5 * (offset / sigma) ** 2)
    weight /= weight.sum()
    matrix = np.zeros((size, size))
    for pixel in range(size):
        place = (pixel + offset) % (2 * size)
        np.add.at(matrix[pixel], np.where(place < size, place, 2 * size - 1 - place), weight)
    return matrix
