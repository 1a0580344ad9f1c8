"""The small network: averaged pixels, one hidden layer with batch normalisation, a linear head.

Letters in array names: B clips, F features.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ahmsa_jax.networks.parts.batch_norm import BatchNorm
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
        if train and config.input_dropout:
            features_BxF = dropped(self.make_rng("dropout"), features_BxF, config.input_dropout)
        hidden_BxF = Linear(config.base_dim, dtype=self.dtype, name="hidden")(features_BxF)
        hidden_BxF = self._normalised(hidden_BxF.astype(jnp.float32), real_B, train=train)
        hidden_BxF = nn.relu(hidden_BxF)
        if train and config.dropout:
            hidden_BxF = dropped(self.make_rng("dropout"), hidden_BxF, config.dropout)
        return Linear(config.num_classes, name="head")(hidden_BxF), {}

    def _normalised(self, x_BxF: jax.Array, real_B: jax.Array | None, *, train: bool) -> jax.Array:
        """Batch normalisation as PyTorch computes it."""
        norm = BatchNorm(x_BxF.shape[-1], name="norm")
        scale_F, bias_F, mean_F, var_F = norm()
        if train:
            real_Bx1 = jnp.ones((len(x_BxF), 1)) if real_B is None else real_B[:, None]
            count = jnp.sum(real_Bx1)
            mean_F = jnp.sum(real_Bx1 * x_BxF, axis=0) / count
            var_F = jnp.sum(real_Bx1 * jnp.square(x_BxF - mean_F), axis=0) / count
            # The variance of the batch is taken as an estimate for all clips.
            estimate_F = var_F * count / jnp.maximum(count - 1, 1)
            norm.follow(mean_F, estimate_F, self.config.norm_momentum)
        normal_BxF = (x_BxF - mean_F) * jax.lax.rsqrt(var_F + self.config.norm_eps)
        return normal_BxF * scale_F + bias_F
