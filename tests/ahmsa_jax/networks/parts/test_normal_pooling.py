"""Normalisation and max-pooling as one function, against one after the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_arrays import random

from ahmsa_jax.networks.parts import normal_pooling, pooling
from ahmsa_jax.networks.parts.layers import LayerNorm

PARAMS = {"scale": 1 + random(6, seed=1), "bias": random(6, seed=2)}


def as_one(x, params, out):
    return normal_pooling.LargestNormal(pooled=out).apply({"params": params}, x)


def one_after_the_other(x, params, out):
    y = LayerNorm().apply({"params": params}, x)
    return pooling.largest_of_bins(y, pooling.adaptive_bins(x.shape[1], out))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize(("grid", "out"), [(4, 2), (2, 1), (6, 2), (6, 3)])
def test_values_are_those_of_one_after_the_other(grid, out, dtype):
    x = random(3, grid, grid, 6).astype(dtype)
    found = as_one(x, PARAMS, out)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, one_after_the_other(x, PARAMS, out))


@pytest.mark.parametrize(("grid", "out"), [(4, 2), (2, 1), (6, 2)])
def test_gradients_are_those_of_one_after_the_other(grid, out):
    x, weight = random(3, grid, grid, 6), random(3, out, out, 6, seed=3)
    # Two equal places in a bin: the first gets the gradient.
    x = np.array(x)
    x[0, 1, 1] = x[0, 0, 1]

    def loss(way):
        return lambda x, params: jnp.sum(weight * way(x, params, out))

    mine = jax.grad(loss(as_one), (0, 1))(jnp.asarray(x), PARAMS)
    expected = jax.grad(loss(one_after_the_other), (0, 1))(jnp.asarray(x), PARAMS)
    for one, other in zip(jax.tree.leaves(mine), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)
        assert np.abs(other).max() > 0.1


def test_which_bins_part_a_grid():
    assert normal_pooling.is_partition(pooling.adaptive_bins(4, 2), 4)
    assert normal_pooling.is_partition(pooling.adaptive_bins(2, 1), 2)
    assert not normal_pooling.is_partition(pooling.adaptive_bins(5, 3), 5)
    assert not normal_pooling.is_partition(pooling.strided_bins(4), 4)


@pytest.mark.parametrize("axes", [(1,), (1, 3)])
def test_chain_and_reduction_choose_the_same(axes):
    # Few values, so that many are equal.
    x = jnp.floor(3 * random(2, 4, 5, 3, 2))
    other = random(2, 4, 5, 3, 2, seed=1)
    by_chain = pooling._by_chain(axes, x, other)
    by_reduction = pooling._by_reduction(axes, x, other)
    for one, two in zip(by_chain, by_reduction, strict=True):
        np.testing.assert_array_equal(one, two)
    value, row, held = (np.asarray(array) for array in by_chain)
    moved, moved_other = (
        np.moveaxis(np.asarray(a), axes, range(-len(axes), 0)) for a in (x, other)
    )
    flat, flat_other = (a.reshape(*value.shape, -1) for a in (moved, moved_other))
    np.testing.assert_array_equal(row, flat.argmax(-1))
    np.testing.assert_array_equal(value, flat.max(-1))
    np.testing.assert_array_equal(held, np.take_along_axis(flat_other, row[..., None], -1)[..., 0])
