"""HTNet: hierarchical transformer over the four regions of a flow map.

Wang et al., "HTNet for micro-expression recognition", Neurocomputing 2024, as its public code
computes it. Each attention block holds a single patch, so that attention there is the identity on
V; the network mixes patches by the 3x3 convolutions between its levels alone.

Letters in array names as in layers.py: B clips, G side of a level's grid, T = G*G patches, D width.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ahmsa_jax.networks.htnet import HTNetConfig
from ahmsa_jax.networks.initial import Normal
from ahmsa_jax.networks.parts.attention import SpatialAttention
from ahmsa_jax.networks.parts.downsampling import Downsampling
from ahmsa_jax.networks.parts.layers import (
    Added,
    FeedForward,
    LayerNorm,
    Linear,
    patches_from_maps,
)
from ahmsa_jax.networks.parts.patch_norm import PatchNorm
from ahmsa_jax.networks.parts.pooling import strided_bins
from ahmsa_jax.networks.parts.residual import Patches


class TransformerBlock(nn.Module):
    """Attention over one patch, then feed-forward; LayerNorm before and residual around each."""

    config: HTNetConfig
    heads: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, patches: Patches) -> Patches:
        """Map patches (B, T, D) to the same shape; no patch sees another."""
        attention = SpatialAttention(self.heads, self.dtype, name="attention")
        feed_forward = FeedForward(self.config.mlp_ratio, "gelu", self.dtype, name="feed_forward")
        normal_BxTxD, patches = PatchNorm(name="norm_attention")(patches)
        change, _ = attention(normal_BxTxD[..., None, :])
        patches = patches.changed(change._replace(product=change.product[..., 0, :]))
        normal_BxTxD, patches = PatchNorm(name="norm_feed_forward")(patches)
        return patches.changed(feed_forward(normal_BxTxD))


class HTNet(nn.Module):
    """The network: flow maps (B, 28, 28, 3) in 0..255, channels (u, v, strain) -> logits (B, K).

    `dtype` is the compute type; parameters are float32. Clips of a batch do not touch.
    """

    config: HTNetConfig
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, flow_BxHxWxC: jax.Array, *, real_B: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return float32 logits (B, classes) and no intermediates; training changes nothing."""
        config = self.config
        flow_BxHxWxC = flow_BxHxWxC.astype(jnp.float32) / config.input_scale
        if config.channel_order == "svu":
            flow_BxHxWxC = flow_BxHxWxC[..., ::-1]
        cut = patches_from_maps(flow_BxHxWxC, config.patch_size)
        embedding = Added(config.base_dim, dtype=self.dtype, name="patch_embedding")
        patches = Patches.made(embedding(cut))
        for level, blocks in enumerate(config.blocks):
            if level:
                bins = strided_bins(config.grids[level - 1])
                down = Downsampling(config.widths[level], bins, self.dtype, name=f"down_{level}")
                patches = Patches.of(down(patches.read()))
            # One scalar for all channels and patches: each block has one place.
            place = self.param(f"level_{level}_pos_emb", Normal(1.0), (1,))
            patches = patches.plus(place.astype(self.dtype))
            for block in range(blocks):
                patches = TransformerBlock(
                    config,
                    config.level_heads[level],
                    self.dtype,
                    name=f"level_{level}_block_{block}",
                )(patches)
        features_BxD = jnp.mean(LayerNorm(name="head_norm")(patches.read()), axis=-2)
        return Linear(config.num_classes, name="head")(features_BxD.astype(jnp.float32)), {}
