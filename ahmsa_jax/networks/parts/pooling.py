"""Largest values, and means, over patches: the pooling of channel attention and between levels.

Letters in array names: B clips of a batch, G side of a level's square grid, R rows, D width.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np


@jax.custom_vjp
def _largest(x_RxD: jax.Array) -> jax.Array:
    """Largest value over the last but one axis: (..., R, D) -> (..., D).

    The gradient goes to the first largest row, as in PyTorch. JAX's own looks for it by comparing
    values with the maximum, and finds none (or several) where the compiler has computed the two in
    programs that round differently; here the row's number is kept instead.
    """
    return _largest_forward(x_RxD)[0]


def _largest_forward(x_RxD: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    best_D, row_D = first_largest(x_RxD, axes=(x_RxD.ndim - 2,))
    return best_D, (row_D, jnp.arange(x_RxD.shape[-2], dtype=jnp.int32)[:, None])


def _largest_backward(saved: tuple[jax.Array, jax.Array], dy_D: jax.Array) -> tuple[jax.Array]:
    row_D, row_numbers_Rx1 = saved
    return (jnp.where(row_numbers_Rx1 == row_D[..., None, :], dy_D[..., None, :], 0),)


_largest.defvjp(_largest_forward, _largest_backward)
largest = jax.jit(_largest)


# Values, the numbers of their rows, and what other arrays hold there.
Best = tuple[jax.Array, ...]


def first_largest(x: jax.Array, *others: jax.Array, axes: tuple[int, ...]) -> Best:
    """Largest value over the axes, its row's number, and what `others` hold there.

    They have the shape and type of x: XLA's reductions on a GPU know one type of numbers at a time.
    Rows are numbered along the axes, the last one fastest; of equal values the first counts. No
    gradient is defined.
    """
    # A GPU's compiler takes minutes over a chain of 15 choices, each reading the one before twice;
    # on a CPU the chain is the faster one by some per cent of a training step.
    best: Best = jax.lax.platform_dependent(
        x,
        *others,
        cpu=functools.partial(_by_chain, axes),
        default=functools.partial(_by_reduction, axes),
    )
    return best


def _by_chain(axes: tuple[int, ...], *arrays: jax.Array) -> Best:
    best: Best = ()
    for number, places in enumerate(np.ndindex(*(arrays[0].shape[axis] for axis in axes))):
        at = dict(zip(axes, places, strict=True))
        index = tuple(at.get(axis, slice(None)) for axis in range(arrays[0].ndim))
        value, *others = (array[index] for array in arrays)
        row = (value, jnp.full(value.shape, number, jnp.int32), *others)
        if not best:
            best = row
            continue
        is_better = value > best[0]
        best = tuple(jax.lax.select(is_better, *both) for both in zip(row, best, strict=True))
    return best


def _by_reduction(axes: tuple[int, ...], x: jax.Array, *others: jax.Array) -> Best:
    """All in one reduction, which reads each array once."""
    rows = [x.shape[axis] if axis in axes else 1 for axis in range(x.ndim)]
    number = jnp.arange(math.prod(rows), dtype=jnp.int32).reshape(rows)

    def better(one: Best, other: Best) -> Best:
        is_first = (one[0] > other[0]) | ((one[0] == other[0]) & (one[1] < other[1]))
        return tuple(jnp.where(is_first, *both) for both in zip(one, other, strict=True))

    arrays = (x, jnp.broadcast_to(number, x.shape), *others)
    least = (jnp.array(-jnp.inf, x.dtype), jnp.int32(math.prod(rows)))
    start = (*least, *(jnp.zeros((), other.dtype) for other in others))
    best: Best = jax.lax.reduce(arrays, start, better, axes)
    return best


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
