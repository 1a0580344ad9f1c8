"""The small network: averaged pixels, one hidden layer with batch normalisation, a linear head.

Letters in array names: B clips, F features.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ahmsa_jax.networks.initial import Constant
from ahmsa_jax.networks.parts.layers import Linear
from ahmsa_jax.networks.parts.noise import dropped
from ahmsa_jax.networks.small import SmallConfig


class Small(nn.Module):
    """The network: maps (B, H, W, 3) -> logits (B, K).

    2x2 means, dropout, linear, batch normalisation, ReLU, dropout, linear. In training the clips of
    a batch share their statistics, in which only real clips count.
    """

    config: SmallConfig
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, flow_BxHxWxC: jax.Array, *, real_B: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return float32 logits (B, classes) and no intermediates.

        Training needs the random stream "dropout" and the collection "batch_stats" mutable.
        """
        config = self.config
        batch, height, width, channels = flow_BxHxWxC.shape
        pairs = flow_BxHxWxC.reshape(batch, height // 2, 2, width // 2, 2, channels)
        features_BxF = jnp.mean(pairs, axis=(2, 4)).reshape(batch, -1) / config.input_scale
        if train:
            features_BxF = dropped(self.make_rng("dropout"), features_BxF, config.input_dropout)
        hidden_BxF = Linear(config.base_dim, dtype=self.dtype, name="hidden")(features_BxF)
        hidden_BxF = self._normalised(hidden_BxF.astype(jnp.float32), real_B, train=train)
        hidden_BxF = nn.relu(hidden_BxF)
        if train:
            hidden_BxF = dropped(self.make_rng("dropout"), hidden_BxF, config.dropout)
        return Linear(config.num_classes, name="head")(hidden_BxF), {}

    def _normalised(self, x_BxF: jax.Array, real_B: jax.Array | None, *, train: bool) -> jax.Array:
        """Batch normalisation (Ioffe and Szegedy, arXiv 1502.03167) as PyTorch computes it."""
        config, width = self.config, x_BxF.shape[-1]
        scale_F = self.param("scale", Constant(1.0), (width,))
        bias_F = self.param("bias", Constant(0.0), (width,))
        mean = self.variable("batch_stats", "mean", jnp.zeros, (width,))
        var = self.variable("batch_stats", "var", jnp.ones, (width,))
        mean_F, var_F = mean.value, var.value
        if train:
            real_Bx1 = jnp.ones((len(x_BxF), 1)) if real_B is None else real_B[:, None]
            count = jnp.sum(real_Bx1)
            mean_F = jnp.sum(real_Bx1 * x_BxF, axis=0) / count
            var_F = jnp.sum(real_Bx1 * jnp.square(x_BxF - mean_F), axis=0) / count
            momentum = config.norm_momentum
            # The variance of the batch is taken as an estimate for all clips.
            estimate_F = var_F * count / jnp.maximum(count - 1, 1)
            mean.value = (1 - momentum) * mean.value + momentum * mean_F
            var.value = (1 - momentum) * var.value + momentum * estimate_F
        return (x_BxF - mean_F) * jax.lax.rsqrt(var_F + config.norm_eps) * scale_F + bias_F
