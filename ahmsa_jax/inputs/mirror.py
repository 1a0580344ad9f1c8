"""The clip of the mirrored face: what a map would be had the film been reversed left to right."""

from typing import Any

import numpy as np

# Layouts whose map of a mirrored face is the mirrored map. Not so quad_htnet: HTNet's windows take
# x for rows, so that a mirrored face shows other parts.
MIRROR_LAYOUTS = ("whole", "five", "quad")
_CHANNELS = 3


def refuses(layout: str) -> bool:
    """Whether clips of this layout, or of a variant of it, cannot be mirrored as maps."""
    return layout.startswith("quad_htnet") or layout.split("_")[0] not in MIRROR_LAYOUTS


def mirrored(flow: Any, *, centred: bool) -> Any:
    """The maps (..., H, W, C) reversed along W, with the horizontal flow u turned round.

    C is a multiple of (u, v, strain). `centred`: no motion is 0 and u becomes -u; else the maps
    are raw, 0..255, and u becomes 255 - u. Takes NumPy and JAX arrays and gives back the same
    kind and type. Left and right eye, lip corner or half change places with the columns.
    """
    is_u_C = np.arange(flow.shape[-1]) % _CHANNELS == 0
    sign_C = np.where(is_u_C, -1, 1).astype(flow.dtype)
    reversed_columns = flow[..., ::-1, :] * sign_C
    if centred:
        return reversed_columns
    return reversed_columns + np.where(is_u_C, 255, 0).astype(flow.dtype)
