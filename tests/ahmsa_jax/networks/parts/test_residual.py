"""Patches whose biases are summed apart are the plain sums, and so are their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_arrays import random

from ahmsa_jax.networks.parts.residual import Change, Patches


def kept_apart(x, products, biases, weighted):
    patches = Patches.made(Change(products[0], biases[0])).plus(x)
    patches = patches.changed(Change(products[1], biases[1]))
    patches = patches.plus(weighted * patches.read())
    return patches.changed(Change(products[2], biases[2]))


def plain(x, products, biases, weighted):
    sums = [product + bias for product, bias in zip(products, biases, strict=True)]
    y = x + sums[0] + sums[1]
    return y + weighted * y + sums[2]


def parts(tokens):
    width = 5
    x, weighted, *products = (random(3, tokens, width, seed=seed) for seed in range(5))
    biases = [random(width, seed=10 + seed) for seed in range(3)]
    return x, products, biases, weighted


@pytest.mark.parametrize("tokens", [1, 4])
def test_what_is_read_is_the_plain_sum(tokens):
    given = parts(tokens)
    patches = kept_apart(*given)
    assert patches.lacking_NxD.shape == (3 * tokens, 5)
    np.testing.assert_allclose(patches.read(), plain(*given), atol=2e-6)
    # The control: the biases are not in memory yet.
    lacking = np.asarray(patches.lacking_NxD).reshape(3, tokens, 5)
    assert np.abs(lacking - plain(*given)).max() > 0.1


@pytest.mark.parametrize("tokens", [1, 4])
def test_gradients_are_those_of_the_plain_sum(tokens):
    given = parts(tokens)

    def loss(way):
        return lambda *given: jnp.sum(jnp.sin(way(*given)))

    mine = jax.grad(loss(lambda *given: kept_apart(*given).read()), (0, 1, 2, 3))(*given)
    expected = jax.grad(loss(plain), (0, 1, 2, 3))(*given)
    for one, other in zip(jax.tree.leaves(mine), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
        assert np.abs(other).max() > 0.1


def test_a_bias_gets_its_gradient_in_float32():
    rows = jnp.full((4096, 3), 1 / 256, jnp.bfloat16)

    def loss(bias_D):
        return jnp.sum(Patches.made(Change(rows, bias_D)).read().astype(jnp.float32))

    # bfloat16 counts no further than 256 by ones.
    np.testing.assert_array_equal(jax.grad(loss)(jnp.zeros(3)), np.full(3, 4096.0))


def test_patches_start_lacking_nothing():
    x = random(2, 4, 3)
    patches = Patches.of(x)
    np.testing.assert_array_equal(patches.read(), x)
    np.testing.assert_array_equal(patches.bias_D, np.zeros(3))
