"""Gradients: how much a network's evidence for a class changes with each pixel of the map.

Simonyan, Vedaldi and Zisserman, arXiv 1312.6034, section 3: the gradient alone, not multiplied by
the input, whose size says nothing where no motion has another grey value in every clip. Its squares
are shown, which Hooker et al. (arXiv 1806.10758) found to tell more than sizes: what is left of a
random start is small everywhere, what was learned is large in places.

Letters in array names: N clips, H rows and W columns of a map, C channels, B clips at once.
"""

from collections.abc import Callable

import numpy as np

# One compiled program whatever the clips.
DERIVED_AT_ONCE = 8

# Maps (B, H, W, C) and a class for each to the derivative of its evidence, of the maps' shape.
Derivative = Callable[[np.ndarray, np.ndarray], np.ndarray]


def derivatives(
    derivative: Derivative, flow_NxHxWxC: np.ndarray, class_N: np.ndarray
) -> np.ndarray:
    """The derivative of each clip's evidence for its class, float64 (N, H, W, C)."""
    parts = []
    for first in range(0, len(flow_NxHxWxC), DERIVED_AT_ONCE):
        # The last clip stands in the places that are left.
        index_B = np.arange(first, first + DERIVED_AT_ONCE).clip(max=len(flow_NxHxWxC) - 1)
        found_BxHxWxC = derivative(flow_NxHxWxC[index_B], class_N[index_B])
        parts.append(np.asarray(found_BxHxWxC, np.float64))
    return np.concatenate(parts)[: len(flow_NxHxWxC)]


def strength(derivative_NxHxWxC: np.ndarray) -> np.ndarray:
    """A derivative's square at each pixel, summed over the channels: (N, H, W), 0 or more."""
    return np.square(derivative_NxHxWxC).sum(axis=-1)
