"""One kernel for a linear layer's gradient product and Adam's update of its weights, for GPUs.

Apart, the product writes the gradient and Adam reads it: 8 of the 32 bytes that a parameter costs
a step. Here a tile of the gradient never leaves the chip. Letters in array names: N rows that the
layer saw, D width of its input, F features of its output.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from ahmsa_jax.networks.parts.layers import aligned, in_compute_type
from ahmsa_jax.training.optimizers import B1, B2, EPS

# The name by which accounts of a compiled program find this kernel.
NAME = "product_and_adam"
# A program of the kernel makes a tile of D x F from as many rows at a time.
ROWS, TILE_D, TILE_F = 32, 64, 128


class Scales(NamedTuple):
    """Numbers of a step: the learning rate, and 1 - b1^t and 1 - b2^t at step t, float32."""

    learning_rate: jax.Array
    first: jax.Array
    second: jax.Array


# Weights and Adam's two moments, (D, F) float32 each.
Updated = tuple[jax.Array, jax.Array, jax.Array]


def update(
    x_NxD: jax.Array, dy_NxF: jax.Array, weights: Updated, scales: Scales, *, copied: bool = False
) -> tuple[Updated, jax.Array | None]:
    """Weights and moments after Adam's step with the gradient x^T dy (Kingma and Ba, 1412.6980).

    One kernel on a GPU, the same by JAX's own operations elsewhere. With `copied` it gives the
    weights as a product in bfloat16 reads them too.
    """
    return jax.lax.platform_dependent(
        x_NxD,
        dy_NxF,
        weights,
        scales,
        cuda=functools.partial(by_kernel, copied=copied),
        default=functools.partial(by_operations, copied=copied),
    )


def by_operations(
    x_NxD: jax.Array, dy_NxF: jax.Array, weights: Updated, scales: Scales, *, copied: bool = False
) -> tuple[Updated, jax.Array | None]:
    """The update as a product and element-wise operations."""
    updated = _adam(jnp.dot(x_NxD.T, dy_NxF).astype(jnp.float32), weights, scales)
    return updated, in_compute_type(updated[0], jnp.bfloat16) if copied else None


def by_kernel(
    x_NxD: jax.Array,
    dy_NxF: jax.Array,
    weights: Updated,
    scales: Scales,
    *,
    copied: bool = False,
    interpret: bool = False,
) -> tuple[Updated, jax.Array | None]:
    """The update as one Pallas kernel; `interpret` runs it without a GPU, for tests."""
    depth, features = weights[0].shape
    # Rows of whole 16 bytes, as the layer's own product has them.
    x_NxD, dy_NxF = (
        jnp.pad(array, ((0, 0), (0, aligned(array.shape[1], array.dtype) - array.shape[1])))
        for array in (x_NxD, dy_NxF)
    )
    like = jax.ShapeDtypeStruct(weights[0].shape, jnp.float32)
    filled = jax.eval_shape(lambda: in_compute_type(jnp.zeros(like.shape), jnp.bfloat16))
    copy = [filled] if copied else []
    # Four scales make 16 bytes too.
    weight, first, second, *copies = pl.pallas_call(
        _kernel,
        out_shape=(like, like, like, *copy),
        grid=(pl.cdiv(depth, TILE_D), pl.cdiv(features, TILE_F)),
        # In place: the operands are x, dy, the scales, the weights and both moments.
        input_output_aliases={3: 0, 4: 1, 5: 2},
        compiler_params=triton.CompilerParams(num_warps=8, num_stages=3),
        interpret=interpret,
        name=NAME,
    )(x_NxD, dy_NxF, jnp.stack([*scales, jnp.float32(0)]), *weights)
    return (weight, first, second), copies[0] if copied else None


def flop(operands: Sequence[tuple[int, ...]]) -> int:
    """Operations of the kernel's product from its operands' dimensions, folds in front of them."""
    x, dy = operands[:2]
    *folds, rows, depth = x
    return 2 * rows * depth * dy[-1] * (folds[0] if folds else 1)


def _adam(gradient: jax.Array, weights: Updated, scales: Scales) -> Updated:
    weight, first, second = weights
    first = (1 - B1) * gradient + B1 * first
    second = (1 - B2) * gradient**2 + B2 * second
    step = (first / scales.first) / (jnp.sqrt(second / scales.second) + EPS)
    return weight + -scales.learning_rate * step, first, second


def _kernel(x_NxD, dy_NxF, scales_ref, *weights_and_results):
    rows = x_NxD.shape[0]
    depth, features = weights_and_results[0].shape
    place_D, place_F = pl.program_id(0) * TILE_D, pl.program_id(1) * TILE_F
    tile_D, tile_F = pl.ds(place_D, TILE_D), pl.ds(place_F, TILE_F)

    def inside(depth: int, features: int) -> tuple[jax.Array, jax.Array]:
        """Which of the tile's rows and columns lie in an array of this shape."""
        is_row_D = (place_D + jnp.arange(TILE_D)) < depth
        return is_row_D, (place_F + jnp.arange(TILE_F)) < features

    inside_D, inside_F = inside(depth, features)

    def add(number: jax.Array, gradient: jax.Array) -> jax.Array:
        place_N = number * ROWS
        inside_N = (place_N + jnp.arange(ROWS)) < rows
        rows_N = pl.ds(place_N, ROWS)
        x = _loaded(x_NxD.at[rows_N, tile_D], inside_N[:, None] & inside_D)
        dy = _loaded(dy_NxF.at[rows_N, tile_F], inside_N[:, None] & inside_F)
        return gradient + jnp.dot(x.T, dy, preferred_element_type=jnp.float32)

    nothing = jnp.zeros((TILE_D, TILE_F), jnp.float32)
    gradient = jax.lax.fori_loop(0, pl.cdiv(rows, ROWS), add, nothing)
    of_weights = inside_D[:, None] & inside_F
    weights = [_loaded(ref.at[tile_D, tile_F], of_weights) for ref in weights_and_results[:3]]
    scales = Scales(scales_ref[0], scales_ref[1], scales_ref[2])
    updated = _adam(gradient, tuple(weights), scales)
    # A copy of the weights may follow, with zeros around them and in a type of its own.
    for ref, value in zip(weights_and_results[3:], (*updated, updated[0]), strict=False):
        is_row_D, is_column_F = inside(*ref.shape)
        mask = is_row_D[:, None] & is_column_F
        triton.store(ref.at[tile_D, tile_F], value.astype(ref.dtype), mask=mask)


def _loaded(ref, inside):
    # Beyond the arrays' ends stand zeros, which add nothing to the product.
    return triton.load(ref, mask=inside, other=0.0)
