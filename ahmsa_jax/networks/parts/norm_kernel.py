"""Layer normalisation between a residual's parts as one kernel for a GPU, each way, by Pallas.

XLA reads the patches once for their statistics and once more to normalise them; on the way back it
reads them and the gradient for sums along each row, again for the patches' gradient and again for
the sums over rows that the parameters get. Here each array is read once. Letters in array names: N
rows, D width, P rows at a time, S programs of the kernel.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from ahmsa_jax.networks.parts.layers import layer_norm
from ahmsa_jax.networks.parts.residual import Change

# The names by which accounts of a compiled program find these kernels.
FORWARD, BACKWARD = "own_layer_norm", "own_layer_norm_gradient"
# Rows of one program, and numbers that it holds of each array at a time.
ROWS, AT_ONCE = 32, 4096
# Of what rows sum to: the gradients of the bias that the patches lack, of scale and of shift.
_SUMS = 3


def plainly(
    x_NxD: jax.Array, bias_D: jax.Array, scale_D: jax.Array, shift_D: jax.Array, eps: float
) -> jax.Array:
    """LayerNorm(x + bias), as `normal` computes it elsewhere than on a GPU."""
    return layer_norm(Change(x_NxD, bias_D).whole(), scale_D, shift_D, eps)


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def normal_beside(
    x_NxD: jax.Array, bias_D: jax.Array, scale_D: jax.Array, shift_D: jax.Array, eps: float
) -> tuple[jax.Array, jax.Array]:
    """LayerNorm(x + bias) (N, D), and x as it is: its gradient is added to the norm's at once."""
    return _forward(x_NxD, bias_D, scale_D, shift_D, eps)[0]


Saved = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


def _forward(
    x_NxD: jax.Array, bias_D: jax.Array, scale_D: jax.Array, shift_D: jax.Array, eps: float
) -> tuple[tuple[jax.Array, jax.Array], Saved]:
    saved = (x_NxD, bias_D, scale_D, shift_D)
    normal_NxD = jax.lax.platform_dependent(
        *saved,
        cuda=functools.partial(forward, eps=eps),
        default=functools.partial(plainly, eps=eps),
    )
    return (normal_NxD, x_NxD), saved


def _backward(
    eps: float, saved: Saved, gradients: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    def by_plain(*given: jax.Array) -> tuple[jax.Array, ...]:
        *saved, d_normal_NxD, d_same_NxD = given
        own = jax.vjp(functools.partial(plainly, eps=eps), *saved)[1](d_normal_NxD)
        return (own[0] + d_same_NxD, *own[1:])

    found: tuple[jax.Array, jax.Array, jax.Array, jax.Array] = jax.lax.platform_dependent(
        *saved, *gradients, cuda=functools.partial(backward, eps=eps), default=by_plain
    )
    return found


normal_beside.defvjp(_forward, _backward)


def forward(
    x_NxD: jax.Array,
    bias_D: jax.Array,
    scale_D: jax.Array,
    shift_D: jax.Array,
    *,
    eps: float,
    interpret: bool = False,
) -> jax.Array:
    """LayerNorm(x + bias) as a Pallas kernel; `interpret` runs it without a GPU, for tests."""
    like = jax.ShapeDtypeStruct(x_NxD.shape, x_NxD.dtype)
    normal_NxD: jax.Array = _call(
        functools.partial(_forward_kernel, eps=eps),
        like,
        (x_NxD, bias_D, scale_D, shift_D),
        interpret=interpret,
        name=FORWARD,
    )
    return normal_NxD


def backward(
    x_NxD: jax.Array,
    bias_D: jax.Array,
    scale_D: jax.Array,
    shift_D: jax.Array,
    d_normal_NxD: jax.Array,
    d_same_NxD: jax.Array,
    *,
    eps: float,
    interpret: bool = False,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Gradients for x, with d_same added, and for bias, scale and shift (the latter float32)."""
    rows, width = x_NxD.shape
    programs = pl.cdiv(rows, ROWS)
    dx_NxD, sums_S3xD = _call(
        functools.partial(_backward_kernel, eps=eps),
        (
            jax.ShapeDtypeStruct(x_NxD.shape, x_NxD.dtype),
            jax.ShapeDtypeStruct((programs * _SUMS, width), jnp.float32),
        ),
        (x_NxD, bias_D, scale_D, d_normal_NxD, d_same_NxD),
        interpret=interpret,
        name=BACKWARD,
    )
    d_bias_D, d_scale_D, d_shift_D = jnp.sum(sums_S3xD.reshape(programs, _SUMS, width), axis=0)
    return dx_NxD, d_bias_D, d_scale_D, d_shift_D


def no_flop(operands: Sequence[tuple[int, ...]]) -> int:
    """Operations of the kernels' products: they have none."""
    return 0


def _call(
    kernel: Callable[..., None],
    results: Any,
    operands: tuple[jax.Array, ...],
    *,
    interpret: bool,
    name: str,
) -> Any:
    return pl.pallas_call(
        kernel,
        out_shape=results,
        grid=(pl.cdiv(len(operands[0]), ROWS),),
        compiler_params=triton.CompilerParams(num_warps=4, num_stages=1),
        interpret=interpret,
        name=name,
    )(*operands)


def _forward_kernel(x_NxD, bias_D, scale_D, shift_D, normal_NxD, *, eps):
    strip = _Strip(x_NxD)
    scale, shift = strip.vector(scale_D), strip.vector(shift_D)
    bias = strip.vector(bias_D)

    def rows(number: jax.Array, nothing: None) -> None:
        normal, _ = strip.normalised(x_NxD, number, bias, eps)
        strip.store(normal_NxD, number, normal * scale + shift)

    jax.lax.fori_loop(0, strip.steps, rows, None)


def _backward_kernel(x_NxD, bias_D, scale_D, d_normal_NxD, d_same_NxD, dx_NxD, sums_S3xD, *, eps):
    strip = _Strip(x_NxD)
    scale, bias = strip.vector(scale_D), strip.vector(bias_D)

    def rows(number: jax.Array, sums: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        normal, inverse_std = strip.normalised(x_NxD, number, bias, eps)
        dy = strip.loaded(d_normal_NxD, number)
        d_normal = dy * scale
        along = jnp.sum(d_normal * normal, axis=1, keepdims=True) / strip.width
        level = jnp.sum(d_normal, axis=1, keepdims=True) / strip.width
        dx = (d_normal - level - normal * along) * inverse_std
        strip.store(dx_NxD, number, dx + strip.loaded(d_same_NxD, number))
        # Columns beyond the arrays' hold what they may; rows beyond have a gradient of 0.
        terms = (dx, dy * normal, dy)
        return tuple(total + jnp.sum(term, axis=0) for total, term in zip(sums, terms, strict=True))

    nothing = tuple(jnp.zeros(strip.columns, jnp.float32) for _ in range(_SUMS))
    sums = jax.lax.fori_loop(0, strip.steps, rows, nothing)
    for place, total in enumerate(sums):
        triton.store(
            sums_S3xD.at[strip.program * _SUMS + place, strip.across], total, mask=strip.in_width
        )


class _Strip:
    """Rows of this program, some at a time, over the whole width."""

    def __init__(self, like_NxD):
        self.rows, self.width = like_NxD.shape
        # A tile's sides are powers of two.
        self.columns = pl.next_power_of_2(self.width)
        self.at_once = min(ROWS, max(1, AT_ONCE // self.columns))
        self.steps = ROWS // self.at_once
        self.program = pl.program_id(0)
        # From column 0, which may not be written as such: JAX refuses what reaches beyond an array.
        self.across = pl.ds(self.program * 0, self.columns)
        self.in_width = jnp.arange(self.columns) < self.width

    def vector(self, ref_D):
        return triton.load(ref_D.at[self.across], mask=self.in_width, other=0.0)

    def loaded(self, ref_NxD, number):
        tile, inside = self._of(ref_NxD, number)
        return triton.load(tile, mask=inside, other=0.0).astype(jnp.float32)

    def store(self, ref_NxD, number, value) -> None:
        tile, inside = self._of(ref_NxD, number)
        triton.store(tile, value.astype(ref_NxD.dtype), mask=inside)

    def normalised(self, ref_NxD, number, bias, eps: float):
        """(x + bias - mean) / deviation of each row, and 1 / deviation, (P, 1), float32."""
        x = self.loaded(ref_NxD, number) + bias
        mean = jnp.sum(x, axis=1, keepdims=True) / self.width
        centred = jnp.where(self.in_width, x - mean, 0.0)
        variance = jnp.sum(centred * centred, axis=1, keepdims=True) / self.width
        inverse_std = jax.lax.rsqrt(variance + eps)
        return centred * inverse_std, inverse_std

    def _of(self, ref_NxD, number):
        first = self.program * ROWS + number * self.at_once
        inside = (first + jnp.arange(self.at_once)) < self.rows
        tile = ref_NxD.at[pl.ds(first, self.at_once), self.across]
        return tile, inside[:, None] & self.in_width
