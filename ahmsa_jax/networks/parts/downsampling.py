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

# Lines of a grid that see the same taps of a kernel: the lines, and the taps (of 0..2) inside.
Band = tuple[range, range]


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
    (correlation, as in PyTorch), but taps that would read the padding are left out: 44 of 144 on a
    4x4 grid, 20 of 36 on a 2x2 one. Positions that see the same taps, such as the top row without
    its corners, gather them side by side and share one product.
    """

    features: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x_BxGxGxD: jax.Array) -> jax.Array:
        """Return the convolved grid in the compute dtype."""
        grid, width = x_BxGxGxD.shape[-2:]
        init = UniformByFanIn(9 * width)
        kernel = self.param("kernel", init, (3, 3, width, self.features)).astype(self.dtype)
        bias = self.param("bias", init, (self.features,)).astype(self.dtype)
        x_BxGxGxD = x_BxGxGxD.astype(self.dtype)
        bands = _bands(grid)
        lines = [
            jnp.concatenate([_band(x_BxGxGxD, kernel, row, column) for column in bands], axis=-2)
            for row in bands
        ]
        return jnp.concatenate(lines, axis=-3) + bias


def _bands(grid: int) -> list[Band]:
    """All bands of a grid."""
    if grid == 1:
        return [(range(1), range(1, 2))]
    inner = [(range(1, grid - 1), range(3))] if grid > 2 else []
    return [(range(1), range(1, 3)), *inner, (range(grid - 1, grid), range(2))]


def _band(x_BxGxGxD: jax.Array, kernel: jax.Array, rows: Band, columns: Band) -> jax.Array:
    """The convolution at the positions where two bands cross."""
    (down, row_taps), (across, column_taps) = rows, columns

    def seen(lines: range, tap: int) -> slice:
        return slice(lines.start + tap - 1, lines.stop + tap - 1)

    taps = [
        x_BxGxGxD[..., seen(down, row), seen(across, column), :]
        for row in row_taps
        for column in column_taps
    ]
    inside = kernel[row_taps.start : row_taps.stop, column_taps.start : column_taps.stop]
    taps_of = jnp.concatenate(taps, axis=-1)
    y = taps_of.reshape(-1, taps_of.shape[-1]) @ inside.reshape(-1, kernel.shape[-1])
    return y.reshape(*taps_of.shape[:-1], kernel.shape[-1])
