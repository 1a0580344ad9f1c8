"""STSTNet: three shallow convolution streams over a flow map.

Liong et al., "Shallow Triple Stream Three-dimensional CNN (STSTNet) for Micro-expression
Recognition", FG 2019, as its authors' PyTorch code computes it.

Letters in array names: B clips, P side of the pooled grid (10), F filters of all streams (16).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ahmsa_jax.networks.initial import UniformByFanIn
from ahmsa_jax.networks.parts.batch_norm import BatchNorm
from ahmsa_jax.networks.parts.layers import Linear
from ahmsa_jax.networks.parts.noise import dropped
from ahmsa_jax.networks.parts.ststnet_fused import (
    CPU_CLIPS,
    Statistics,
    conv_norm_pool,
    conv_pool_with,
)
from ahmsa_jax.networks.parts.ststnet_windows import POOLED
from ahmsa_jax.networks.ststnet import STSTNetConfig

# Filters of the three streams.
STREAMS = (3, 5, 8)


class Convolution(nn.Module):
    """Parameters of one stream's 3x3 convolution: kernel (3, 3, channels, features), bias."""

    channels: int
    features: int

    @nn.compact
    def __call__(self) -> tuple[jax.Array, jax.Array]:
        """Return kernel and bias; the streams are convolved together."""
        init = UniformByFanIn(9 * self.channels)
        kernel = self.param("kernel", init, (3, 3, self.channels, self.features))
        return kernel, self.param("bias", init, (self.features,))


class STSTNet(nn.Module):
    """The network: flow maps (B, 28, 28, 3) in 0..255, channels (u, v, strain) -> logits (B, K).

    `dtype` is the compute type of the convolutions; parameters are float32. In training the clips
    of a batch share their statistics, in which only real clips count.
    """

    config: STSTNetConfig
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, flow_BxHxWxC: jax.Array, *, real_B: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return float32 logits (B, classes) and no intermediates.

        Training needs the random stream "dropout" and the collection "batch_stats" mutable.
        """
        config, batch = self.config, flow_BxHxWxC.shape[0]
        flow_BxHxWxC = flow_BxHxWxC.astype(jnp.float32) / config.input_scale
        if config.channel_order == "svu":
            flow_BxHxWxC = flow_BxHxWxC[..., ::-1]
        channels = flow_BxHxWxC.shape[-1]
        flow_BxHxWxC = flow_BxHxWxC.astype(self.dtype)
        norms = [BatchNorm(f, name=f"bn{i}") for i, f in enumerate(STREAMS, 1)]
        scale_F, shift_F, mean_F, var_F = map(
            jnp.concatenate, zip(*(norm() for norm in norms), strict=True)
        )
        convolutions = [Convolution(channels, f, name=f"conv{i}") for i, f in enumerate(STREAMS, 1)]
        kernels, biases = zip(*(convolution() for convolution in convolutions), strict=True)
        kernel, bias_F = jnp.concatenate(kernels, axis=-1), jnp.concatenate(biases)
        affine = (kernel, bias_F, scale_F, shift_F)
        if train:
            real_B = jnp.ones(batch, bool) if real_B is None else real_B
            # Rows that are not real change nothing, and whole blocks of clips are faster.
            spare = -batch % CPU_CLIPS
            padded = jnp.pad(flow_BxHxWxC, ((0, spare), (0, 0), (0, 0), (0, 0)))
            pooled, statistics = conv_norm_pool(
                padded, *affine, jnp.pad(real_B, (0, spare)), config.norm_eps
            )
            pooled = pooled[:batch]
            if config.dropout:
                pooled = dropped(self.make_rng("dropout"), pooled, config.dropout)
            self._follow(norms, statistics)
        else:
            pooled = conv_pool_with(flow_BxHxWxC, *affine, mean_F, var_F, config.norm_eps)
        half = POOLED // 2
        averaged = jnp.mean(pooled.reshape(batch, half, 2, half, 2, -1), axis=(2, 4))
        features = jnp.moveaxis(averaged, -1, 1).reshape(batch, -1)
        return Linear(config.num_classes, name="fc")(features), {}

    def _follow(self, norms: list[BatchNorm], statistics: Statistics) -> None:
        # The variance of the batch is taken as an estimate for all clips, as in PyTorch.
        mean_F = statistics.mean_F
        var_F = statistics.variance_F * statistics.number / (statistics.number - 1)
        start = 0
        for norm, features in zip(norms, STREAMS, strict=True):
            stream = slice(start, start + features)
            norm.follow(mean_F[stream], var_F[stream], self.config.norm_momentum)
            start += features
