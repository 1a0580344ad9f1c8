"""From one level of a hierarchical network to the next: 3x3 convolution, LayerNorm, pooling.

Letters in array names: B clips of a batch, G side of a level's square grid, T = G*G patches,
D width. The convolution gathers its taps for matrix products; see layers.py.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ahmsa_jax.networks.parts.layers import LayerNorm, UniformByFanIn
from ahmsa_jax.networks.parts.normal_pooling import LargestNormal, is_partition
from ahmsa_jax.networks.parts.pooling import Bins, largest_of_bins, mean_of_bins
from ahmsa_jax.networks.parts.product import product

# Lines of a grid that see the same taps of a kernel: the lines, and the taps (of 0..2) inside.
Band = tuple[range, range]
# x (B, G, G, D) and kernel (3, 3, D, features) to (B, G, G, features).
Convolution = Callable[[jax.Array, jax.Array], jax.Array]


class Downsampling(nn.Module):
    """MaxPool(LayerNorm(Conv3x3(X))) (AHMSA-Net, arXiv 2501.02539, eq. 2; HTNet's aggregation).

    `bins` are the lines of the grid that each pooled line covers. With `average` each bin gives
    its mean instead of its largest value (ours, for an ablation).
    """

    features: int
    bins: Bins
    dtype: DTypeLike = jnp.float32
    average: bool = False

    @nn.compact
    def __call__(self, x_BxTxD: jax.Array) -> jax.Array:
        """Map (B, G*G, D) to (B, len(bins)**2, features)."""
        *batch, tokens, width = x_BxTxD.shape
        grid = round(tokens**0.5)
        x_BxGxGxD = x_BxTxD.reshape(*batch, grid, grid, width)
        y = Conv3x3(self.features, self.dtype, name="conv")(x_BxGxGxD)
        if not self.average and is_partition(self.bins, grid):
            pooled = LargestNormal(pooled=len(self.bins), name="norm")(y)
        else:
            pool = mean_of_bins if self.average else largest_of_bins
            pooled = pool(LayerNorm(name="norm")(y), self.bins)
        return pooled.reshape(*batch, len(self.bins) ** 2, self.features)


class Conv3x3(nn.Module):
    """3x3 convolution with zero padding 1 on a square grid: (B, G, G, D) -> (B, G, G, features).

    Parameters: kernel (3, 3, D, features), bias (features,). Equal to the convolution
    (correlation, as in PyTorch).
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
        x_NxGxGxD = x_BxGxGxD.astype(self.dtype).reshape(-1, grid, grid, width)
        if grid <= 2:
            y = product(x_NxGxGxD.reshape(-1, grid**2 * width), _dense_kernel(kernel, grid))
            # Repeated rather than added by position: then the product adds it.
            y = y + jnp.tile(bias, grid**2)
        else:
            y = _convolved(x_NxGxGxD, kernel) + bias
        return y.reshape(*batch, grid, grid, self.features)


def _dense_kernel(kernel: jax.Array, grid: int) -> jax.Array:
    """The convolution on a whole grid of up to 2x2 as one matrix: (G*G*D, G*G*features).

    Every position sees every other there, so that no tap would read the padding.
    """
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


@jax.custom_vjp
def _convolved(x_BxGxGxD: jax.Array, kernel: jax.Array) -> jax.Array:
    """The convolution without bias on a grid of more than 2x2.

    A CPU computes no tap that would read the padding, 44 of 144 on a 4x4 grid; a GPU computes all
    of them in one product. Its gradient chooses again: one taken through the choice would keep
    what either way needs.
    """
    return jax.lax.platform_dependent(x_BxGxGxD, kernel, cpu=_by_bands, default=_by_nine_taps)


def _convolved_forward(
    x_BxGxGxD: jax.Array, kernel: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _convolved(x_BxGxGxD, kernel), (x_BxGxGxD, kernel)


def _convolved_backward(
    saved: tuple[jax.Array, jax.Array], dy: jax.Array
) -> tuple[jax.Array, jax.Array]:
    def gradient_of(convolve: Convolution) -> Callable[..., tuple[jax.Array, jax.Array]]:
        return lambda x, kernel, dy: jax.vjp(convolve, x, kernel)[1](dy)

    return jax.lax.platform_dependent(
        *saved, dy, cpu=gradient_of(_by_bands), default=gradient_of(_by_nine_taps)
    )


_convolved.defvjp(_convolved_forward, _convolved_backward)


def _by_nine_taps(x_BxGxGxD: jax.Array, kernel: jax.Array) -> jax.Array:
    """One product over the nine values that each position sees, zero outside the grid."""
    grid, width = x_BxGxGxD.shape[-2:]
    padded = jnp.pad(x_BxGxGxD, ((0, 0), (1, 1), (1, 1), (0, 0)))
    taps = [
        padded[:, row : row + grid, column : column + grid]
        for row in range(3)
        for column in range(3)
    ]
    y = jnp.concatenate(taps, axis=-1).reshape(-1, 9 * width) @ kernel.reshape(9 * width, -1)
    return y.reshape(*x_BxGxGxD.shape[:-1], -1)


def _by_bands(x_BxGxGxD: jax.Array, kernel: jax.Array) -> jax.Array:
    """A product for each crossing of two bands, over the values inside the grid that it sees."""
    grid = x_BxGxGxD.shape[-2]
    bands = (
        (range(1), range(1, 3)),
        (range(1, grid - 1), range(3)),
        (range(grid - 1, grid), range(2)),
    )
    lines = [
        jnp.concatenate([_crossing(x_BxGxGxD, kernel, row, column) for column in bands], axis=2)
        for row in bands
    ]
    return jnp.concatenate(lines, axis=1)


def _crossing(x_BxGxGxD: jax.Array, kernel: jax.Array, rows: Band, columns: Band) -> jax.Array:
    """The convolution at the positions where two bands cross."""
    (down, row_taps), (across, column_taps) = rows, columns

    def seen(lines: range, tap: int) -> slice:
        return slice(lines.start + tap - 1, lines.stop + tap - 1)

    taps = [
        x_BxGxGxD[:, seen(down, row), seen(across, column)]
        for row in row_taps
        for column in column_taps
    ]
    inside = kernel[row_taps.start : row_taps.stop, column_taps.start : column_taps.stop]
    taps_of = jnp.concatenate(taps, axis=-1)
    y = taps_of.reshape(-1, taps_of.shape[-1]) @ inside.reshape(-1, kernel.shape[-1])
    return y.reshape(*taps_of.shape[:-1], -1)
