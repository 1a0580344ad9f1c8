"""Attention of few patches as one kernel for a GPU, forward and backward, by Pallas.

XLA lays Q, K and V out by head, multiplies, and lays the result out by patch again. Here a tile of
rows is read from the linear layer's own result and written as the next layer reads it. Letters in
array names: N = B*T rows, E width of all heads, P rows of a tile, K width of a head.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

# The names by which accounts of a compiled program find these kernels.
FORWARD, BACKWARD = "own_attention", "own_attention_gradient"
# Rows of a tile: whole clips, each of which attends to itself.
ROWS = 32

# Attention by other means: (N, 3E) -> (N, E).
Plain = Callable[[jax.Array], jax.Array]


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3, 4))
def attended(
    y_Nx3E: jax.Array, tokens: int, heads: int, head_width: int, plain: Plain
) -> jax.Array:
    """softmax(Q K^T / sqrt(head_width)) V per clip and head, (N, E), from Q, K and V side by side.

    A clip has `tokens` rows, a divisor of ROWS. Elsewhere than on a GPU `plain` computes it.
    """
    return _attended_forward(y_Nx3E, tokens, heads, head_width, plain)[0]


def _attended_forward(
    y_Nx3E: jax.Array, tokens: int, heads: int, head_width: int, plain: Plain
) -> tuple[jax.Array, jax.Array]:
    kernel = functools.partial(forward, tokens=tokens, heads=heads, head_width=head_width)
    return jax.lax.platform_dependent(y_Nx3E, cuda=kernel, default=plain), y_Nx3E


def _attended_backward(
    tokens: int, heads: int, head_width: int, plain: Plain, y_Nx3E: jax.Array, dz_NxE: jax.Array
) -> tuple[jax.Array]:
    def by_plain(y_Nx3E: jax.Array, dz_NxE: jax.Array) -> jax.Array:
        (dy_Nx3E,) = jax.vjp(plain, y_Nx3E)[1](dz_NxE)
        return dy_Nx3E

    kernel = functools.partial(backward, tokens=tokens, heads=heads, head_width=head_width)
    return (jax.lax.platform_dependent(y_Nx3E, dz_NxE, cuda=kernel, default=by_plain),)


attended.defvjp(_attended_forward, _attended_backward)


def forward(
    y_Nx3E: jax.Array, *, tokens: int, heads: int, head_width: int, interpret: bool = False
) -> jax.Array:
    """`attended` as a Pallas kernel; `interpret` runs it without a GPU, for tests."""
    rows, width = y_Nx3E.shape
    return _call(
        _forward_kernel,
        jax.ShapeDtypeStruct((rows, width // 3), y_Nx3E.dtype),
        y_Nx3E,
        tokens=tokens,
        heads=heads,
        head_width=head_width,
        interpret=interpret,
        name=FORWARD,
    )


def backward(
    y_Nx3E: jax.Array,
    dz_NxE: jax.Array,
    *,
    tokens: int,
    heads: int,
    head_width: int,
    interpret: bool = False,
) -> jax.Array:
    """The gradient of `attended` for Q, K and V, (N, 3E); the weights are computed again."""
    return _call(
        _backward_kernel,
        jax.ShapeDtypeStruct(y_Nx3E.shape, y_Nx3E.dtype),
        y_Nx3E,
        dz_NxE,
        tokens=tokens,
        heads=heads,
        head_width=head_width,
        interpret=interpret,
        name=BACKWARD,
    )


def forward_flop(operands: Sequence[tuple[int, ...]]) -> int:
    """Operations of the forward products from the operand's dimensions, folds in front of them."""
    return 2 * _flop_of_product(operands[0])


def backward_flop(operands: Sequence[tuple[int, ...]]) -> int:
    """Operations of the backward products: the weights again, and one product for each gradient."""
    return 5 * _flop_of_product(operands[0])


def _flop_of_product(y: tuple[int, ...]) -> int:
    *folds, rows, width = y
    return 2 * (folds[0] if folds else 1) * rows * ROWS * (width // 3)


def _call(
    kernel: Callable[..., None],
    result: Any,
    *operands: jax.Array,
    tokens: int,
    heads: int,
    head_width: int,
    interpret: bool,
    name: str,
) -> jax.Array:
    made: jax.Array = pl.pallas_call(
        functools.partial(kernel, tokens=tokens, heads=heads, head_width=head_width),
        out_shape=result,
        grid=(pl.cdiv(len(operands[0]), ROWS), heads),
        compiler_params=triton.CompilerParams(num_warps=4, num_stages=1),
        interpret=interpret,
        name=name,
    )(*operands)
    return made


def _forward_kernel(y_Nx3E, z_NxE, *, tokens, heads, head_width):
    tile = _Tile(z_NxE, heads)
    query, key, value = (tile.loaded(y_Nx3E, part) for part in range(3))
    weight_PxP = tile.weights(query, key, tokens, head_width)
    tile.store(z_NxE, 0, jnp.dot(weight_PxP.astype(value.dtype), value))


def _backward_kernel(y_Nx3E, dz_NxE, dy_Nx3E, *, tokens, heads, head_width):
    tile = _Tile(dz_NxE, heads)
    query, key, value = (tile.loaded(y_Nx3E, part) for part in range(3))
    dz = tile.loaded(dz_NxE, 0)
    weight_PxP = tile.weights(query, key, tokens, head_width)
    d_value = jnp.dot(weight_PxP.astype(dz.dtype).T, dz)
    d_weight_PxP = jnp.dot(dz, value.T, preferred_element_type=jnp.float32)
    along = jnp.sum(d_weight_PxP * weight_PxP, axis=1, keepdims=True)
    d_logits_PxP = weight_PxP * (d_weight_PxP - along) * head_width**-0.5
    d_logits_PxP = d_logits_PxP.astype(query.dtype)
    gradients = (jnp.dot(d_logits_PxP, key), jnp.dot(d_logits_PxP.T, query), d_value)
    for part, gradient in enumerate(gradients):
        tile.store(dy_Nx3E, part, gradient)


class _Tile:
    """Rows and columns of this program: some clips' patches of one head."""

    def __init__(self, like_NxE, heads: int):
        self.rows, self.width = like_NxE.shape
        self.features = self.width // heads
        self.first = pl.program_id(0) * ROWS
        self.head = pl.program_id(1)
        # A tile's sides are powers of two, those of a product 16 at least.
        self.columns = max(16, pl.next_power_of_2(self.features))
        in_rows = (self.first + jnp.arange(ROWS)) < self.rows
        self.inside = in_rows[:, None] & (jnp.arange(self.columns) < self.features)

    def of(self, ref, part: int):
        """The tile of Q, K or V in an array that holds them side by side."""
        column = part * self.width + self.head * self.features
        return ref.at[pl.ds(self.first, ROWS), pl.ds(column, self.columns)]

    def loaded(self, ref, part: int):
        return triton.load(self.of(ref, part), mask=self.inside, other=0.0)

    def store(self, ref, part: int, value) -> None:
        triton.store(self.of(ref, part), value.astype(ref.dtype), mask=self.inside)

    def weights(self, query, key, tokens: int, head_width: int):
        """Softmax of each row over the rows of its own clip, float32."""
        logits_PxP = jnp.dot(query, key.T, preferred_element_type=jnp.float32) * head_width**-0.5
        clip_P = jnp.arange(ROWS) // tokens
        logits_PxP = jnp.where(clip_P[:, None] == clip_P, logits_PxP, -jnp.inf)
        power_PxP = jnp.exp(logits_PxP - jnp.max(logits_PxP, axis=1, keepdims=True))
        return power_PxP / jnp.sum(power_PxP, axis=1, keepdims=True)
