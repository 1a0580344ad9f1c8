"""What a network's attention weights say of the places of its map, and of its channels.

AHMSA-Net alone has attention between patches: HTNet's stands over one patch each, where every
weight is 1, and STSTNet and `small` have none.

Letters in array names: B clips, H heads, T patches of a level (G*G, by rows), D width.
"""

import math
from collections.abc import Mapping
from typing import Any

SPATIAL, CHANNEL = "attention", "channel_weights"


def received(seen: Mapping[str, Any]) -> dict[str, Any]:
    """How much attention each patch gets: by block, such as level_0/block_1, (B, H, G, G).

    `seen` are the intermediates that a module returns, those named `.../attention` (B, H, T, T)
    among them; NumPy or JAX arrays. The mean over the patches that ask, so that a head's map sums
    to 1.
    """
    found = {}
    for name, weight_BxHxTxT in seen.items():
        block, _, what = name.rpartition("/")
        if what == SPATIAL:
            clips, heads, _, patches = weight_BxHxTxT.shape
            side = math.isqrt(patches)
            found[block] = weight_BxHxTxT.mean(axis=2).reshape(clips, heads, side, side)
    return found


def channel_weights(seen: Mapping[str, Any]) -> dict[str, Any]:
    """The factor of each channel in 0..1, by block: (B, D)."""
    split = {name: name.rpartition("/") for name in seen}
    return {block: seen[name] for name, (block, _, what) in split.items() if what == CHANNEL}
