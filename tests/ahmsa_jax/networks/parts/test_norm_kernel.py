"""The kernels of layer normalisation, run by Pallas's interpreter, against double precision."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_arrays import random

from ahmsa_jax.networks.parts import norm_kernel

FOLDS, EPS = 2, 1e-5
# Rows and widths: not whole programs and no power of two; whole ones; wider than one load of rows.
SIZES = [(40, 24), (64, 16), (33, 510), (5, 8200)]


def given(rows, width, dtype=jnp.float32):
    """Patches with a mean far from 0, bias, scale, shift; gradients of both results."""
    arrays = [random(FOLDS, rows, width, seed=seed) for seed in range(3)]
    x, d_normal, d_same = (jnp.asarray(array, dtype) for array in arrays)
    bias, scale, shift = (random(FOLDS, width, seed=3 + seed) for seed in range(3))
    return x + 2, bias, scale, shift, d_normal, d_same


def by_definition(x, bias, scale, shift, d_normal, d_same):
    """The normalised patches and the four gradients, written out in double precision."""
    x, bias, scale, shift, d_normal, d_same = (
        np.asarray(array, np.float64) for array in (x, bias, scale, shift, d_normal, d_same)
    )
    y = x + bias[:, None]
    deviation = np.sqrt(y.var(axis=2, keepdims=True) + EPS)
    unit = (y - y.mean(axis=2, keepdims=True)) / deviation
    d_unit = d_normal * scale[:, None]
    along = (d_unit * unit).mean(axis=2, keepdims=True)
    dx = (d_unit - d_unit.mean(axis=2, keepdims=True) - unit * along) / deviation
    normal = unit * scale[:, None] + shift[:, None]
    sums = dx.sum(axis=1), (d_normal * unit).sum(axis=1), d_normal.sum(axis=1)
    return normal, dx + d_same, *sums


def by_kernels(*case):
    forward = functools.partial(norm_kernel.forward, eps=EPS, interpret=True)
    backward = functools.partial(norm_kernel.backward, eps=EPS, interpret=True)
    return jax.jit(jax.vmap(forward))(*case[:4]), *jax.jit(jax.vmap(backward))(*case)


# Eight bits of a bfloat16, of values up to 20.
@pytest.mark.parametrize(("dtype", "atol"), [(jnp.float32, 2e-5), (jnp.bfloat16, 0.1)])
@pytest.mark.parametrize(("rows", "width"), SIZES)
def test_kernels_are_the_norm_and_its_gradient(rows, width, dtype, atol):
    case = given(rows, width, dtype)
    found = by_kernels(*case)
    assert [array.dtype for array in found] == [dtype, dtype, *3 * [jnp.float32]]
    for mine, expected in zip(found, by_definition(*case), strict=True):
        assert mine.shape == expected.shape
        np.testing.assert_allclose(mine.astype(jnp.float32), expected, atol=atol)
        assert np.abs(expected).max() > 1


def test_patches_that_are_all_alike_have_a_gradient():
    x, bias, scale, shift, d_normal, d_same = given(8, 16)
    found = by_kernels(jnp.ones_like(x), 0 * bias, scale, shift, d_normal, d_same)
    np.testing.assert_array_equal(found[0], np.broadcast_to(shift[:, None], x.shape))
    assert all(np.isfinite(array).all() for array in found)


def test_a_cpu_computes_the_same_by_its_own_operations():
    case = given(40, 24)

    def both(x, bias, scale, shift):
        return norm_kernel.normal_beside(x, bias, scale, shift, EPS)

    def fold(x, bias, scale, shift, *gradients):
        (normal, same), back = jax.vjp(both, x, bias, scale, shift)
        return normal, same, *back(gradients)

    normal, same, *gradients = jax.jit(jax.vmap(fold))(*case)
    np.testing.assert_array_equal(same, case[0])
    for mine, expected in zip((normal, *gradients), by_definition(*case), strict=True):
        np.testing.assert_allclose(mine, expected, atol=2e-5)


def test_they_are_no_products():
    assert norm_kernel.no_flop([(40, 24), (24,)]) == 0
