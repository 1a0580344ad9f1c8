"""The kernel that makes a gradient and updates its weights, run by Pallas's interpreter."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_arrays import random

from ahmsa_jax.networks.parts.layers import in_compute_type
from ahmsa_jax.training import product_adam
from ahmsa_jax.training.optimizers import B1, B2, EPS

FOLDS, RATE, STEP = 2, 1e-2, 3
# Rows, width and features are no whole tiles: the last tile of each axis reaches beyond the arrays.
ROWS, WIDTH, FEATURES = 40, 68, 132


def given(dtype=jnp.float32):
    x, dy = random(FOLDS, ROWS, WIDTH), random(FOLDS, ROWS, FEATURES)
    weight, first, second = (random(FOLDS, WIDTH, FEATURES) for _ in range(3))
    scales = product_adam.Scales(
        *(jnp.full(FOLDS, value, jnp.float32) for value in (RATE, 1 - B1**STEP, 1 - B2**STEP))
    )
    weights = tuple(jnp.asarray(array) for array in (weight, first, np.square(second)))
    return jnp.asarray(x, dtype), jnp.asarray(dy, dtype), weights, scales


def as_read(weights):
    return jax.vmap(lambda weight: in_compute_type(weight, jnp.bfloat16))(weights)


def by_definition(x, dy, weights, scales):
    """Adam as Kingma and Ba write it, in double precision."""
    weight, first, second = (np.asarray(array, np.float64) for array in weights)
    gradient = np.einsum("snd,snf->sdf", np.asarray(x, np.float64), np.asarray(dy, np.float64))
    first = B1 * first + (1 - B1) * gradient
    second = B2 * second + (1 - B2) * gradient**2
    step = (first / (1 - B1**STEP)) / (np.sqrt(second / (1 - B2**STEP)) + EPS)
    return weight - RATE * step, first, second


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_the_kernel_is_adams_step_with_the_layers_gradient(dtype):
    case = given(dtype)
    is_copied = dtype == jnp.bfloat16
    kernel = functools.partial(product_adam.by_kernel, interpret=True, copied=is_copied)
    with jax.default_matmul_precision("highest"):
        updated, copy = jax.jit(jax.vmap(kernel))(*case)
    if is_copied:
        assert copy.shape == (FOLDS, 72, 136), "rows of whole 16 bytes"
        np.testing.assert_array_equal(copy, as_read(updated[0]))
    else:
        assert copy is None
    for found, expected, before in zip(updated, by_definition(*case), case[2], strict=True):
        assert found.dtype == jnp.float32
        # Sums of 40 products in float32.
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
        assert not np.allclose(found, before), "the step changes it"


def test_a_cpu_computes_the_same_by_its_own_operations():
    case = given()
    with jax.default_matmul_precision("highest"):
        update = functools.partial(product_adam.update, copied=True)
        updated, copy = jax.jit(jax.vmap(update))(*case)
    np.testing.assert_array_equal(copy, as_read(updated[0]))
    for found, expected in zip(updated, by_definition(*case), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def test_operations_follow_from_the_shapes():
    one = product_adam.flop([(ROWS, WIDTH), (ROWS, FEATURES), (4,), (WIDTH, FEATURES)])
    assert one == 2 * 40 * 68 * 132
    x, dy = (FOLDS, ROWS, WIDTH), (FOLDS, ROWS, FEATURES)
    assert product_adam.flop([x, dy]) == FOLDS * one
