"""Layer normalisation and max-pooling over bins that part a grid, as one function.

Its values are those of one after the other. Its gradient reads less: all but one row of each bin
get no gradient through the maximum, so sums over the normalised values run over the pooled ones.
Letters in array names: B clips, G side of the grid, P side of the pooled one, S side of a bin,
D width.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from ahmsa_jax.networks.parts import barrier
from ahmsa_jax.networks.parts.layers import LAYER_NORM_EPS, Normalising, layer_statistics
from ahmsa_jax.networks.parts.pooling import Bins, first_largest

# Rows and columns of a bin in (B, P, S, P, S, D).
INSIDE = (2, 4)


def is_partition(bins: Bins, grid: int) -> bool:
    """Whether the bins are of one size and cover each line of a grid once."""
    side = grid // len(bins)
    return bins == tuple((place * side, (place + 1) * side) for place in range(grid // side))


class LargestNormal(Normalising):
    """MaxPool(LayerNorm(X)) (AHMSA-Net, arXiv 2501.02539, eq. 2): (B, G, G, D) -> (B, P, P, D).

    Parameters are those of LayerNorm. `pooled` is P, a divisor of G.
    """

    pooled: int = 1

    @nn.compact
    def __call__(self, x_BxGxGxD: jax.Array) -> jax.Array:
        """Return the largest normalised value of each bin and channel, dtype as given."""
        *batch, grid, _, width = x_BxGxGxD.shape
        side = grid // self.pooled
        parted = x_BxGxGxD.reshape(-1, self.pooled, side, self.pooled, side, width)
        largest = largest_normal(parted, *self.affine(width), self.eps)
        return largest.reshape(*batch, self.pooled, self.pooled, width)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _largest_normal(
    x_BxPxSxPxSxD: jax.Array, scale_D: jax.Array, bias_D: jax.Array, eps: float = LAYER_NORM_EPS
) -> jax.Array:
    """Largest of each bin of the layer-normalised values, (B, P, P, D).

    The gradient goes to the first largest row of a bin, as in PyTorch.
    """
    return _forward(x_BxPxSxPxSxD, scale_D, bias_D, eps)[0]


# What the backward pass reads: the input, its mean and inverse deviation, the scale; the row that
# was chosen, and its normalised value.
Saved = tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array, jax.Array]


def _forward(
    x: jax.Array, scale_D: jax.Array, bias_D: jax.Array, eps: float
) -> tuple[jax.Array, Saved]:
    x32, mean, inverse_std = layer_statistics(x, eps)
    normal = (x32 - mean) * inverse_std
    # As x's type rounds it, since equal values are told apart by their places.
    y = (normal * scale_D + bias_D).astype(x.dtype).astype(jnp.float32)
    y_BxPxPxD, row_BxPxPxD, normal_BxPxPxD = first_largest(y, normal, axes=INSIDE)
    return y_BxPxPxD.astype(x.dtype), (x, mean, inverse_std, scale_D, row_BxPxPxD, normal_BxPxPxD)


def _backward(
    eps: float, saved: Saved, dy_BxPxPxD: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    x, mean, inverse_std, scale_D, row_BxPxPxD, normal_BxPxPxD = saved
    dy32_BxPxPxD = dy_BxPxPxD.astype(jnp.float32)
    d_scale_D = jnp.sum(dy32_BxPxPxD * normal_BxPxPxD, axis=(0, 1, 2))
    d_bias_D = jnp.sum(dy32_BxPxPxD, axis=(0, 1, 2))
    side = x.shape[INSIDE[0]]
    number = jnp.arange(side**2, dtype=jnp.int32).reshape(side, 1, side, 1)

    def where_chosen(of_bins_BxPxPxD: jax.Array) -> jax.Array:
        is_chosen = jnp.expand_dims(row_BxPxPxD, INSIDE) == number
        return jnp.where(is_chosen, jnp.expand_dims(of_bins_BxPxPxD, INSIDE), 0)

    d_normal_BxPxPxD = dy32_BxPxPxD * scale_D
    along = jnp.mean(where_chosen(d_normal_BxPxPxD * normal_BxPxPxD), axis=-1, keepdims=True)
    level = jnp.mean(where_chosen(d_normal_BxPxPxD), axis=-1, keepdims=True)
    # Its compiler would weigh for minutes whether to compute these where they are read.
    along, level = barrier.on_gpu(along, level)
    normal = (x.astype(jnp.float32) - mean) * inverse_std
    dx = (where_chosen(d_normal_BxPxPxD) - level - normal * along) * inverse_std
    return dx.astype(x.dtype), d_scale_D, d_bias_D


_largest_normal.defvjp(_forward, _backward)
largest_normal = jax.jit(_largest_normal, static_argnums=3)
