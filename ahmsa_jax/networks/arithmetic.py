"""Multiply-adds of a network's forward pass, counted from the shapes as they are computed."""

from typing import Any

from ahmsa_jax.config import ModelConfig
from ahmsa_jax.networks.peer_configs import STSTNetConfig


def forward_products(config: Any) -> dict[str, int]:
    """Multiply-adds of one clip's forward pass by part, from the maps on, as far as they matter.

    Left out: Q, K and the attention over a single patch, as in every block of HTNet, and taps of
    the 3x3 convolutions that would read the padding.
    """
    if isinstance(config, STSTNetConfig):
        # 100 windows of 76 inputs, 9 positions of 16 filters each; the pooled 400 features.
        return {"streams": 100 * 76 * 9 * 16, "head": 400 * config.num_classes}
    products = {
        "patch_embedding": config.grids[0] ** 2 * 3 * config.patch_size**2 * config.widths[0]
    }
    for level, blocks in enumerate(config.blocks):
        if level:
            products[f"down_{level}"] = _downsampling(config, level)
        products[f"level_{level}"] = blocks * _block(config, level)
    products["head"] = config.widths[-1] * config.num_classes
    return products


def _downsampling(config: Any, level: int) -> int:
    finer = config.grids[level - 1]
    inside = (3 * finer - 2) ** 2 if finer > 1 else 1
    return inside * config.widths[level - 1] * config.widths[level]


def _block(config: Any, level: int) -> int:
    width, heads = config.widths[level], config.level_heads[level]
    tokens, inner = config.grids[level] ** 2, heads * (width // heads)
    feed_forward = tokens * 2 * config.mlp_ratio * width**2
    value_and_output = tokens * 2 * width * inner
    if not isinstance(config, ModelConfig):
        return value_and_output + feed_forward
    squeezed = max(1, width // config.reduction)
    if tokens == 1:
        return 2 * width * squeezed + value_and_output + feed_forward
    query_and_key = tokens * 2 * width * inner
    # Two poolings pass the channel attention, two products the attention between patches.
    channel, between = 2 * 2 * width * squeezed, 2 * tokens**2 * inner
    return channel + query_and_key + between + value_and_output + feed_forward
