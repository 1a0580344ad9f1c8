"""Largest values, and means, over patches: the pooling of channel attention and between levels.

Letters in array names: B clips of a batch, G side of a level's square grid, R rows, D width.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp


@jax.custom_vjp
def _largest(x_RxD: jax.Array) -> jax.Array:
    """Largest value over the last but one axis: (..., R, D) -> (..., D).

    The gradient goes to the first largest row, as in PyTorch. JAX's own looks for it by comparing
    values with the maximum, and finds none (or several) where the compiler has computed the two in
    programs that round differently; here the row's number is kept instead.
    """
    return _largest_forward(x_RxD)[0]


def _largest_forward(x_RxD: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    # A GPU's compiler takes minutes over a chain of 15 choices, each reading the one before twice;
    # on a CPU the chain is the faster one by some per cent of a training step.
    best_D, row_D = jax.lax.platform_dependent(
        x_RxD, cpu=_best_by_chain, default=_best_by_reduction
    )
    return best_D, (row_D, jnp.arange(x_RxD.shape[-2], dtype=jnp.int32)[:, None])


def _best_by_chain(x_RxD: jax.Array) -> tuple[jax.Array, jax.Array]:
    best_D = x_RxD[..., 0, :]
    row_D = jnp.zeros(best_D.shape, jnp.int32)
    for row in range(1, x_RxD.shape[-2]):
        is_better = x_RxD[..., row, :] > best_D
        best_D = jnp.where(is_better, x_RxD[..., row, :], best_D)
        row_D = jnp.where(is_better, row, row_D)
    return best_D, row_D


def _best_by_reduction(x_RxD: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jnp.max(x_RxD, axis=-2), jnp.argmax(x_RxD, axis=-2).astype(jnp.int32)


def _largest_backward(saved: tuple[jax.Array, jax.Array], dy_D: jax.Array) -> tuple[jax.Array]:
    row_D, row_numbers_Rx1 = saved
    return (jnp.where(row_numbers_Rx1 == row_D[..., None, :], dy_D[..., None, :], 0),)


_largest.defvjp(_largest_forward, _largest_backward)
largest = jax.jit(_largest)


# Lines of a square grid that each pooled line covers: from, up to and not including.
Bins = tuple[tuple[int, int], ...]


def adaptive_bins(size: int, out: int) -> Bins:
    """Bins of an adaptive max-pool (paper eq. 2) from a grid of side `size` to one of side `out`.

    Bin i spans floor(i*size/out) up to, not including, ceil((i+1)*size/out), so bins overlap where
    out does not divide the size: the rule of PyTorch's AdaptiveMaxPool2d.
    """
    return tuple((i * size // out, -(-(i + 1) * size // out)) for i in range(out))


def strided_bins(size: int) -> Bins:
    """Bins of HTNet's max-pool of 3x3, stride 2 and padding 1, from an even grid of side `size`."""
    # The padding leaves the first bin two lines wide.
    return tuple((max(0, 2 * i - 1), 2 * i + 2) for i in range(size // 2))


def largest_of_bins(x_BxGxGxD: jax.Array, bins: Bins) -> jax.Array:
    """Largest value of each bin of rows and columns: (B, G, G, D) -> (B, bins, bins, D)."""
    return _of_bins(largest, x_BxGxGxD, bins)


def mean_of_bins(x_BxGxGxD: jax.Array, bins: Bins) -> jax.Array:
    """Mean of each bin of rows and columns: (B, G, G, D) -> (B, bins, bins, D)."""
    return _of_bins(functools.partial(jnp.mean, axis=-2), x_BxGxGxD, bins)


def _of_bins(
    of_rows: Callable[[jax.Array], jax.Array], x_BxGxGxD: jax.Array, bins: Bins
) -> jax.Array:
    """What `of_rows` makes of the rows (..., R, D) of each bin."""
    *batch, _, _, width = x_BxGxGxD.shape
    pooled = [
        of_rows(x_BxGxGxD[..., top:bottom, left:right, :].reshape(*batch, -1, width))
        for top, bottom in bins
        for left, right in bins
    ]
    return jnp.stack(pooled, axis=-2).reshape(*batch, len(bins), len(bins), width)
