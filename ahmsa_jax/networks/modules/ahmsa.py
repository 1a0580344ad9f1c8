"""AHMSA-Net: hierarchy of multi-scale attention levels over a region-flow map.

Zhang et al., "AHMSA-Net: Adaptive Hierarchical Multi-Scale Attention Network for
Micro-Expression Recognition", arXiv 2501.02539, sections 3.3 and 3.4.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ahmsa_jax.networks.ahmsa import ModelConfig
from ahmsa_jax.networks.initial import Normal
from ahmsa_jax.networks.parts.attention import SpatialAttention
from ahmsa_jax.networks.parts.downsampling import Downsampling
from ahmsa_jax.networks.parts.layers import (
    Added,
    ChannelAttention,
    FeedForward,
    LayerNorm,
    Linear,
    patches_from_maps,
)
from ahmsa_jax.networks.parts.patch_norm import PatchNorm
from ahmsa_jax.networks.parts.pooling import adaptive_bins
from ahmsa_jax.networks.parts.residual import Patches

Intermediates = dict[str, jax.Array]


class MultiScaleAttention(nn.Module):
    """One block: channel attention, spatial attention, feed-forward (section 3.4, figure 1).

    Each module has a LayerNorm before it and a residual connection around it; the residual
    connections are ours, the paper being silent (pre-norm transformer practice). A module that
    the settings switch off is absent with its LayerNorm.
    """

    config: ModelConfig
    heads: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, patches: Patches) -> tuple[Patches, Intermediates]:
        """Return patches (B, T, D) again; `channel_weights` (B, D) and `attention` (B, H, T, T)."""
        config = self.config
        seen: Intermediates = {}
        if config.channel_attention:
            channel = ChannelAttention(config.reduction, self.dtype, name="channel_attention")
            normal_BxTxD, patches = PatchNorm(name="norm_channel")(patches)
            weighted_BxTxD, seen["channel_weights"] = channel(normal_BxTxD)
            patches = patches.plus(weighted_BxTxD)
        if config.spatial_attention:
            spatial = SpatialAttention(self.heads, self.dtype, name="spatial_attention")
            normal_BxTxD, patches = PatchNorm(name="norm_spatial")(patches)
            change, seen["attention"] = spatial(normal_BxTxD)
            patches = patches.changed(change)
        if config.feed_forward:
            feed_forward = FeedForward(
                config.mlp_ratio, config.activation, self.dtype, name="feed_forward"
            )
            normal_BxTxD, patches = PatchNorm(name="norm_feed_forward")(patches)
            patches = patches.changed(feed_forward(normal_BxTxD))
        return patches, seen


class AHMSANet(nn.Module):
    """The network: flow maps (B, 28, 28, 3) in 0..255 -> logits (B, K) and intermediates.

    With three levels of 4x4, 2x2 and 1x1 patches at the defaults. The intermediates are
    `level_<l>/block_<b>/channel_weights` (B, D) and `.../attention` (B, H, T, T), for pictures;
    what nobody reads costs nothing under jit. `dtype` is the compute type; parameters are float32.
    """

    config: ModelConfig
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, flow_BxHxWxC: jax.Array, *, real_B: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Intermediates]:
        """Return float32 logits (B, classes) and the named intermediates.

        Clips do not see each other and there is no noise: `real_B` and `train` change nothing.
        """
        config = self.config
        flow_BxHxWxC = flow_BxHxWxC.astype(jnp.float32) / config.input_scale
        cut = patches_from_maps(flow_BxHxWxC, config.patch_size)
        embedding = Added(config.base_dim, dtype=self.dtype, name="patch_embedding")
        patches = Patches.made(embedding(cut))
        if config.positional_embedding:
            place = self.param("positional_embedding", Normal(0.02), patches.shape[-2:])
            patches = patches.plus(place.astype(self.dtype))
        seen: Intermediates = {}
        for level, blocks in enumerate(config.blocks):
            if level:
                bins = adaptive_bins(config.grids[level - 1], config.grids[level])
                down = Downsampling(
                    config.widths[level],
                    bins,
                    self.dtype,
                    average=config.pooling == "average",
                    name=f"down_{level}",
                )
                patches = Patches.of(down(patches.read()))
            for block in range(blocks):
                name = f"level_{level}_block_{block}"
                patches, own = MultiScaleAttention(
                    config, config.level_heads[level], self.dtype, name=name
                )(patches)
                seen |= {f"level_{level}/block_{block}/{what}": own[what] for what in own}
        features_BxD = jnp.mean(LayerNorm(name="head_norm")(patches.read()), axis=-2)
        logits_BxK = Linear(config.num_classes, name="head")(features_BxD.astype(jnp.float32))
        return logits_BxK, seen
