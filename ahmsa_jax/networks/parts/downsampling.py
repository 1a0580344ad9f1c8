"""From one level of a hierarchical network to the next: 3x3 convolution, LayerNorm, max-pool.

Letters in array names: B clips of a batch, G side of a level's square grid, T = G*G patches,
D width. The convolution gathers its taps for matrix products; see layers.py.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ahmsa_jax.networks.parts.layers import LayerNorm, UniformByFanIn
from ahmsa_jax.networks.parts.pooling import Bins, largest_of_bins


class Downsampling(nn.Module):
    """MaxPool(LayerNorm(Conv3x3(X))) (AHMSA-Net, arXiv 2501.02539, eq. 2; HTNet's aggregation).

    `bins` are the lines of the grid that each pooled line covers.
    """

    features: int
    bins: Bins
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x_BxTxD: jax.Array) -> jax.Array:
        """Map (B, G*G, D) to (B, len(bins)**2, features)."""
        *batch, tokens, width = x_BxTxD.shape
        grid = round(tokens**0.5)
        x_BxGxGxD = x_BxTxD.reshape(*batch, grid, grid, width)
        y = LayerNorm(name="norm")(Conv3x3(self.features, self.dtype, name="conv")(x_BxGxGxD))
        return largest_of_bins(y, self.bins).reshape(*batch, len(self.bins) ** 2, self.features)


class Conv3x3(nn.Module):
    """3x3 convolution with zero padding 1 on a square grid: (B, G, G, D) -> (B, G, G, features).

    Parameters: kernel (3, 3, D, features), bias (features,). Equal to the convolution
    (correlation, as in PyTorch). One product in either form: on a grid of up to 2x2 every position
    sees every other, so that the whole grid is one dense layer without the taps that would read
    the padding; on larger ones the nine taps are gathered side by side.
    """

    features: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x_BxGxGxD: jax.Array) -> jax.Array:
        """Return the convolved grid in the compute dtype."""
        *batch, grid, width = x_BxGxGxD.shape[:-2] + x_BxGxGxD.shape[-1:]
        init = UniformByFanIn(9 * width)
        kernel = self.param("kernel", init, (3, 3, width, self.features)).astype(self.dtype)
        bias = self.param("bias", init, (self.features,)).astype(self.dtype)
        x_BxGxGxD = x_BxGxGxD.astype(self.dtype)
        if grid <= 2:
            y = x_BxGxGxD.reshape(-1, grid**2 * width) @ _dense_kernel(kernel, grid)
            # Repeated rather than added by position: then the product adds it.
            y = y + jnp.tile(bias, grid**2)
        else:
            y = _taps(x_BxGxGxD).reshape(-1, 9 * width) @ kernel.reshape(-1, self.features) + bias
        return y.reshape(*batch, grid, grid, self.features)


def _dense_kernel(kernel: jax.Array, grid: int) -> jax.Array:
    """The convolution on a whole grid of up to 2x2 as one matrix: (G*G*D, G*G*features)."""
    lines = range(grid)
    return jnp.concatenate(
        [
            jnp.concatenate(
                [kernel[row - down + 1, column - across + 1] for down in lines for across in lines],
                axis=-1,
            )
            for row in lines
            for column in lines
        ]
    )


def _taps(x_BxGxGxD: jax.Array) -> jax.Array:
    """The nine values that each position sees, zero outside the grid: (B, G, G, 9*D)."""
    grid = x_BxGxGxD.shape[-2]
    around = [(0, 0)] * (x_BxGxGxD.ndim - 3) + [(1, 1), (1, 1), (0, 0)]
    padded = jnp.pad(x_BxGxGxD, around)
    return jnp.concatenate(
        [
            padded[..., row : row + grid, column : column + grid, :]
            for row in range(3)
            for column in range(3)
        ],
        axis=-1,
    )
