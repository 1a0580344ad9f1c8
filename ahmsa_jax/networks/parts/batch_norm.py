"""Parameters and running statistics of batch normalisation (Ioffe and Szegedy, arXiv 1502.03167).

Letter in array names: F features.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ahmsa_jax.networks.initial import Constant


class BatchNorm(nn.Module):
    """What a batch normalisation keeps; the network computes with it."""

    features: int

    def setup(self) -> None:
        """Declare scale (1), bias (0), and the running mean (0) and variance (1)."""
        self.scale = self.param("scale", Constant(1.0), (self.features,))
        self.bias = self.param("bias", Constant(0.0), (self.features,))
        self.mean = self.variable("batch_stats", "mean", jnp.zeros, (self.features,))
        self.var = self.variable("batch_stats", "var", jnp.ones, (self.features,))

    def __call__(self) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """Return scale, bias, running mean and running variance."""
        return self.scale, self.bias, self.mean.value, self.var.value

    def follow(self, mean_F: jax.Array, var_F: jax.Array, momentum: float) -> None:
        """Move the running statistics towards those of a batch."""
        self.mean.value = (1 - momentum) * self.mean.value + momentum * mean_F
        self.var.value = (1 - momentum) * self.var.value + momentum * var_F
