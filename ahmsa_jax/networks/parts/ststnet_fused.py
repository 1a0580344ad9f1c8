"""STSTNet's streams up to their max-pool in one function: conv, ReLU, batch norm, max-pool.

Written one after another these four pass arrays of 900 positions x 16 channels a clip through the
memory a dozen times and more, which took 66 ms a step and fold on a CPU; as written here it is 12.
The convolution computes all nine positions of a pooling window in one product of the window's 5x5
inputs, a few clips at a time, and keeps only sum, spread and largest value of each window. The
backward pass, in closed form, computes those products again. There is no gradient for the maps.

Letters in array names: B clips, P side of the pooled grid (10), V values of a window (76),
Q positions in a window (9), L places of the edge (59), F filters (16).
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ahmsa_jax.networks.parts import ststnet_windows

# Clips of one product on a CPU, so that what lies between stays in the caches; measured.
CPU_CLIPS = 8


class Statistics(NamedTuple):
    """Mean and biased variance of each channel over the real clips' positions; their number."""

    mean_F: jax.Array
    variance_F: jax.Array
    number: jax.Array


class _Saved(NamedTuple):
    """What the backward pass reads."""

    windows: jax.Array
    matrix_VxQF: jax.Array
    strip_BxLx9: jax.Array
    edge_BxLxF: jax.Array
    best_BxPxPxF: jax.Array
    place_BxPxPxF: jax.Array
    scale_F: jax.Array
    inverse_std_F: jax.Array
    real_B: jax.Array
    statistics: Statistics


@functools.partial(jax.custom_vjp, nondiff_argnums=(6,))
def conv_norm_pool(
    flow_BxHxWxC: jax.Array,
    kernel_3x3xCxF: jax.Array,
    bias_F: jax.Array,
    scale_F: jax.Array,
    shift_F: jax.Array,
    real_B: jax.Array,
    eps: float,
) -> tuple[jax.Array, Statistics]:
    """Pooled features (B, 10, 10, F) in training, normalised over the real clips of the batch.

    As PyTorch's Conv2d(padding=2), ReLU, BatchNorm2d, MaxPool2d(3, 3, padding=1). Products are
    computed in the type of the maps, all else in float32. The statistics carry no gradient.
    """
    return _forward(flow_BxHxWxC, kernel_3x3xCxF, bias_F, scale_F, shift_F, real_B, eps)[0]


def conv_pool_with(
    flow_BxHxWxC: jax.Array,
    kernel_3x3xCxF: jax.Array,
    bias_F: jax.Array,
    scale_F: jax.Array,
    shift_F: jax.Array,
    mean_F: jax.Array,
    variance_F: jax.Array,
    eps: float,
) -> jax.Array:
    """Pooled features (B, 10, 10, F) with given statistics, as in evaluation; no own gradient."""
    matrix_VxQF = ststnet_windows.window_matrix(kernel_3x3xCxF, bias_F).astype(flow_BxHxWxC.dtype)
    taps = _relu_taps(ststnet_windows.window_inputs(flow_BxHxWxC), matrix_VxQF)
    best_BxPxPxF, _ = _extreme(taps, scale_F)
    slope_F = scale_F * jax.lax.rsqrt(variance_F + eps)
    return (best_BxPxPxF - mean_F) * slope_F + shift_F


def _convolved(windows: jax.Array, matrix_VxQF: jax.Array) -> jax.Array:
    """The convolution (B, P, P, Q, F) at every position of the windows, float32."""
    rows = windows.reshape(-1, windows.shape[-1])
    z = jnp.dot(rows, matrix_VxQF, preferred_element_type=jnp.float32)
    return z.reshape(
        -1, ststnet_windows.POOLED, ststnet_windows.POOLED, 9, matrix_VxQF.shape[1] // 9
    )


def _relu_taps(windows: jax.Array, matrix_VxQF: jax.Array) -> list[jax.Array]:
    z_BxPxPxQxF = _convolved(windows, matrix_VxQF)
    return [jax.nn.relu(z_BxPxPxQxF[..., tap, :]) for tap in range(9)]


def _extreme(taps: list[jax.Array], scale_F: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Value and number of the position that is largest once normalised; the first of equals.

    Normalising keeps the order of values, or turns it round where the scale is negative.
    """
    sign_F = jnp.where(scale_F < 0, -1.0, 1.0)
    best = jnp.full(taps[0].shape, -jnp.inf)
    place = jnp.zeros(best.shape, jnp.int32)
    for number, tap in enumerate(taps):
        value = jnp.where(ststnet_windows.INSIDE[:, :, :, number], tap * sign_F, -jnp.inf)
        is_better = value > best
        best = jnp.where(is_better, value, best)
        place = jnp.where(is_better, number, place)
    return best * sign_F, place


def _sums(taps: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
    """Sum and sum of squares around the own mean, (B, P, P, F) each, over a window's positions."""
    kept = [
        jnp.where(ststnet_windows.INSIDE[:, :, :, number], tap, 0.0)
        for number, tap in enumerate(taps)
    ]
    total = functools.reduce(jnp.add, kept)
    mean = total / ststnet_windows.COUNT
    apart = [
        jnp.where(ststnet_windows.INSIDE[:, :, :, number], jnp.square(tap - mean), 0.0)
        for number, tap in enumerate(taps)
    ]
    return total, functools.reduce(jnp.add, apart)


def _clips_at_once(batch: int) -> int:
    """Clips of one product: few on a CPU, for its caches; elsewhere all of them."""
    fits = jax.default_backend() == "cpu" and batch % CPU_CLIPS == 0
    return CPU_CLIPS if fits else batch


def _forward(
    flow_BxHxWxC: jax.Array,
    kernel_3x3xCxF: jax.Array,
    bias_F: jax.Array,
    scale_F: jax.Array,
    shift_F: jax.Array,
    real_B: jax.Array,
    eps: float,
) -> Any:
    batch, filters = flow_BxHxWxC.shape[0], bias_F.shape[0]
    step = _clips_at_once(batch)
    matrix_VxQF = ststnet_windows.window_matrix(kernel_3x3xCxF, bias_F).astype(flow_BxHxWxC.dtype)
    windows = ststnet_windows.window_inputs(flow_BxHxWxC)

    def some_clips(number: jax.Array, kept: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        some = jax.lax.dynamic_slice_in_dim(windows, number * step, step)
        taps = _relu_taps(some, matrix_VxQF)
        found = (*_sums(taps), *_extreme(taps, scale_F))
        return tuple(
            jax.lax.dynamic_update_slice_in_dim(whole, part, number * step, 0)
            for whole, part in zip(kept, found, strict=True)
        )

    blank = jnp.zeros((batch, ststnet_windows.POOLED, ststnet_windows.POOLED, filters))
    kept = (blank, blank, blank, blank.astype(jnp.int32))
    total, apart, best, place = jax.lax.fori_loop(0, batch // step, some_clips, kept)
    strip_BxLx9 = ststnet_windows.edge_inputs(flow_BxHxWxC)
    edge_BxLxF = ststnet_windows.edge_convolved(strip_BxLx9, kernel_3x3xCxF, bias_F)
    statistics = _statistics(total, apart, jax.nn.relu(edge_BxLxF), real_B)
    inverse_std_F = jax.lax.rsqrt(statistics.variance_F + eps)
    pooled = (best - statistics.mean_F) * (inverse_std_F * scale_F) + shift_F
    saved = _Saved(
        windows,
        matrix_VxQF,
        strip_BxLx9,
        edge_BxLxF,
        best,
        place,
        scale_F,
        inverse_std_F,
        real_B,
        statistics,
    )
    return (pooled, statistics), saved


def _statistics(
    total: jax.Array, apart: jax.Array, edge_BxLxF: jax.Array, real_B: jax.Array
) -> Statistics:
    """Mean and variance over the real clips, from those of windows and the edge's values.

    The variance is that within the windows and that of their means: no difference of large sums.
    """
    weight_Bx1x1 = real_B.astype(jnp.float32)[:, None, None]
    weight_Bx1x1x1 = weight_Bx1x1[..., None]
    count = jnp.sum(weight_Bx1x1) * ststnet_windows.CONVOLVED**2

    def summed(windows: jax.Array, edge: jax.Array) -> jax.Array:
        return jnp.sum(weight_Bx1x1x1 * windows, (0, 1, 2)) + jnp.sum(weight_Bx1x1 * edge, (0, 1))

    mean_F = summed(total, edge_BxLxF) / count
    around = apart + ststnet_windows.COUNT * jnp.square(total / ststnet_windows.COUNT - mean_F)
    variance_F = summed(around, jnp.square(edge_BxLxF - mean_F)) / count
    return Statistics(mean_F, variance_F, count)


def _backward(eps: float, saved: _Saved, gradients: tuple[jax.Array, Any]) -> Any:
    """Gradients of kernel, bias, scale and shift.

    Of the normalisation: d relu = slope (d pooled - mean d - normal * mean (d normal)), in which
    the means run over all positions, though d is 0 where a position is not its window's largest.
    """
    d_pooled, _ = gradients
    mean_F, _, count = saved.statistics
    batch, filters = d_pooled.shape[0], d_pooled.shape[-1]
    normal = (saved.best_BxPxPxF - mean_F) * saved.inverse_std_F
    d_shift_F = jnp.sum(d_pooled, axis=(0, 1, 2))
    d_scale_F = jnp.sum(d_pooled * normal, axis=(0, 1, 2))
    slope_F = saved.scale_F * saved.inverse_std_F
    # slope * (mean d + normal * mean (d normal)) as a line over the value itself.
    rise_F = slope_F * saved.inverse_std_F * d_scale_F / count
    base_F = slope_F * d_shift_F / count - rise_F * mean_F
    weight_B = saved.real_B.astype(jnp.float32)
    d_best = slope_F * d_pooled
    numbers_Qx1 = np.arange(9, dtype=np.int32)[:, None]
    step = _clips_at_once(batch)

    def some_clips(number: jax.Array, matrix_VxQF: jax.Array) -> jax.Array:
        def some(array: jax.Array) -> jax.Array:
            return jax.lax.dynamic_slice_in_dim(array, number * step, step)

        windows = some(saved.windows)
        z = _convolved(windows, saved.matrix_VxQF)
        is_best = some(saved.place_BxPxPxF)[..., None, :] == numbers_Qx1
        from_pool = jnp.where(is_best, some(d_best)[..., None, :], 0.0)
        from_norm = some(weight_B)[:, None, None, None, None] * (base_F + rise_F * z)
        dz = jnp.where(ststnet_windows.INSIDE & (z > 0), from_pool - from_norm, 0.0)
        rows = windows.reshape(-1, windows.shape[-1])
        dz = dz.reshape(len(rows), -1).astype(rows.dtype)
        return matrix_VxQF + jnp.einsum("rv,rq->vq", rows, dz, preferred_element_type=jnp.float32)

    blank = jnp.zeros(saved.matrix_VxQF.shape, jnp.float32)
    d_matrix = jax.lax.fori_loop(0, batch // step, some_clips, blank)
    channels = saved.strip_BxLx9.shape[-1] // 3
    d_kernel, d_bias_F = ststnet_windows.kernel_from_matrix(d_matrix, channels)
    from_norm = weight_B[:, None, None] * (base_F + rise_F * saved.edge_BxLxF)
    d_edge = jnp.where(saved.edge_BxLxF > 0, -from_norm, 0.0)
    strip = saved.strip_BxLx9.astype(jnp.float32)
    for taps, places in (
        ((0,), slice(ststnet_windows.CONVOLVED)),
        ((slice(None), 0), slice(ststnet_windows.CONVOLVED, None)),
    ):
        part = jnp.einsum("bla,blf->af", strip[:, places], d_edge[:, places])
        d_kernel = d_kernel.at[taps].add(part.reshape(3, channels, filters))
    return None, d_kernel, d_bias_F + jnp.sum(d_edge, (0, 1)), d_scale_F, d_shift_F, None


conv_norm_pool.defvjp(_forward, _backward)
