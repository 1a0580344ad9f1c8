"""Which part of the network, or of training, a kernel works for."""

import re

from ahmsa_jax.training.step import BATCHES, EVALUATION, OPTIMIZER

OTHER = "other"
# A level's modules by the names that its blocks give them, normalisations with what they feed.
_MODULES = {
    "norm_channel": "channel attention",
    "channel_attention": "channel attention",
    "norm_spatial": "spatial attention",
    "spatial_attention": "spatial attention",
    "norm_attention": "spatial attention",
    "attention": "spatial attention",
    "norm_feed_forward": "feed-forward",
    "feed_forward": "feed-forward",
}
_BLOCK = re.compile(r"/level_(\d+)_block_\d+/(\w+)")
_TOP = re.compile(r"/(patch_embedding|down_\d+|head)")


def room_of(op_name: str) -> str:
    """The room by the path that an instruction was traced from."""
    if _is_within(EVALUATION, op_name):
        return EVALUATION
    if block := _BLOCK.search(op_name):
        return f"level {block[1]}: {_MODULES.get(block[2], 'residual sums')}"
    if top := _TOP.search(op_name):
        return top[1].replace("_", " ").replace("down", "down-sampling")
    for part in (OPTIMIZER, BATCHES):
        if _is_within(part, op_name):
            return part
    return OTHER


def _is_within(part: str, op_name: str) -> bool:
    # A transformation stands around the first name in it: vmap(evaluation)/...
    return re.search(rf"[/(]{part}[/)]", op_name) is not None
