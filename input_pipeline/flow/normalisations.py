"""How a clip's flow in pixels becomes a map in 0..255, over the whole face and before any cut.

Letters in array names: H rows, W columns, C channels, (u, v, strain) of each phase.
"""

from collections.abc import Callable

import numpy as np

from input_pipeline.core.errors import InputError
from input_pipeline.core.map_form import FLOW_CHANNELS

# No motion in u and v of a symmetric map: the middle of 0..255.
STILL = 127.5


def minmax(flow_HxWxC: np.ndarray) -> np.ndarray:
    """Each channel from its least value, 0, to its largest, 255: HxWxC float32.

    So "no motion" has another grey value in every clip, and the channels' sizes to each other are
    lost. A channel without any motion has no scale of its own: it becomes 0, never NaN. Raises
    InputError on NaN or infinity.
    """
    flow_HxWxC = _finite(flow_HxWxC)
    low_C = flow_HxWxC.min(axis=(0, 1))
    range_C = flow_HxWxC.max(axis=(0, 1)) - low_C
    unit_HxWxC = (flow_HxWxC - low_C) / np.where(range_C == 0, 1.0, range_C)
    return (unit_HxWxC * 255.0).astype(np.float32)


def symmetric(flow_HxWxC: np.ndarray) -> np.ndarray:
    """No motion at 127.5 in u and v and at 0 in the strain, in every clip: HxWxC float32.

    u and v become 127.5 (1 + x / g), g the largest |u| or |v| of the clip over all phases; strain
    becomes 255 s / max s. Their sizes to each other, and those of two phases, stay. A clip without
    motion is 127.5, 127.5, 0. Raises InputError on NaN or infinity.
    """
    flow_HxWxC = _finite(flow_HxWxC)
    is_strain_C = np.arange(flow_HxWxC.shape[-1]) % len(FLOW_CHANNELS) == 2
    largest_flow = np.abs(flow_HxWxC[..., ~is_strain_C]).max()
    largest_strain = flow_HxWxC[..., is_strain_C].max()
    scale_C = np.where(is_strain_C, largest_strain, largest_flow)
    unit_HxWxC = flow_HxWxC / np.where(scale_C == 0, 1.0, scale_C)
    return np.where(is_strain_C, 255.0 * unit_HxWxC, STILL * (1 + unit_HxWxC)).astype(np.float32)


def _finite(flow_HxWxC: np.ndarray) -> np.ndarray:
    flow_HxWxC = np.asarray(flow_HxWxC, np.float64)
    if not np.isfinite(flow_HxWxC).all():
        raise InputError(
            "the optical flow holds NaN or infinity; every value must be a finite number of "
            "pixels. Check the two frames it was computed from."
        )
    return flow_HxWxC


# By the names after --normalise.
RULES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"minmax": minmax, "symmetric": symmetric}
