"""The building blocks against hand-worked values and PyTorch's and the paper's definitions."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_arrays import random

from ahmsa_jax.networks.parts import activations, layers


def test_layer_norm_by_hand():
    # Mean 2, biased variance 2/3 of (1, 2, 3).
    value = layers.layer_norm(jnp.asarray([[1.0, 2.0, 3.0]]), jnp.full(3, 2.0), jnp.full(3, 1.0))
    step = 2 / math.sqrt(2 / 3 + 1e-5)
    np.testing.assert_allclose(value, [[1 - step, 1, 1 + step]], rtol=1e-6)


def plain_layer_norm(x, scale, bias):
    mean = x.mean(axis=-1, keepdims=True)
    variance = jnp.square(x - mean).mean(axis=-1, keepdims=True)
    return (x - mean) / jnp.sqrt(variance + 1e-5) * scale + bias


@pytest.mark.parametrize("magnitude", [1e-3, 1.0, 1e3])
def test_layer_norm_gradient_is_that_of_its_formula(magnitude):
    x, scale, bias = magnitude * random(3, 4, 8), random(8, seed=1), random(8, seed=2)
    weight = random(3, 4, 8, seed=3)

    def gradients(function):
        loss = lambda *arguments: (function(*arguments) * weight).sum()  # noqa: E731
        return jax.grad(loss, argnums=(0, 1, 2))(jnp.asarray(x), scale, bias)

    pairs = zip(gradients(layers.layer_norm), gradients(plain_layer_norm), strict=True)
    for ours, derived in pairs:
        # Differences of numbers of the size of the gradient itself, in float32.
        np.testing.assert_allclose(ours, derived, atol=2e-6 * np.abs(derived).max() + 1e-12)


def test_patches_stand_row_by_row_with_values_row_column_channel():
    row, column, channel = np.meshgrid(range(4), range(4), range(3), indexing="ij")
    maps = (100 * row + 10 * column + channel)[None].astype(np.float32)
    patches = np.asarray(layers.patches_from_maps(jnp.asarray(maps), 2))
    assert patches.shape == (1, 4, 12)
    assert patches[0, 0].tolist() == [0, 1, 2, 10, 11, 12, 100, 101, 102, 110, 111, 112]
    assert patches[0, 1, 0] == 20  # the patch to the right
    assert patches[0, 2, 0] == 200  # the patch below


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("tokens", [1, 4, 16])
def test_channel_attention_is_cbams(tokens):
    x = random(2, tokens, 8)
    module = layers.ChannelAttention(reduction=4)
    params = module.init(jax.random.key(1), x)["params"]
    squeeze, expand = params["squeeze"]["kernel"], params["expand"]["kernel"]
    assert (squeeze.shape, expand.shape) == ((8, 2), (2, 8))
    assert set(params["squeeze"]) == {"kernel"}, "no biases"
    mlp = lambda pooled: np.maximum(pooled @ squeeze, 0) @ expand  # noqa: E731
    weight = sigmoid(mlp(x.mean(axis=1)) + mlp(x.max(axis=1)))
    y, seen = module.apply({"params": params}, x)
    np.testing.assert_allclose(seen, weight, rtol=1e-5)
    np.testing.assert_allclose(y, x * weight[:, None], rtol=1e-5, atol=1e-7)


def test_feed_forward_uses_the_exact_gelu():
    x = random(3, 2, 4)
    module = layers.FeedForward(ratio=4, activation="gelu")
    params = module.init(jax.random.key(3), x)["params"]
    hidden = np.asarray(x @ params["expand"]["kernel"] + params["expand"]["bias"])
    gelu = hidden * 0.5 * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2)))
    expected = gelu @ params["project"]["kernel"] + params["project"]["bias"]
    assert hidden.shape[-1] == 16
    np.testing.assert_allclose(module.apply({"params": params}, x).whole(), expected, atol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_gelus_slope_is_that_of_the_function(dtype):
    x = jnp.linspace(-9, 9, 1801).astype(dtype)
    _, pull = jax.vjp(activations.gelu, x)
    slope = np.asarray(pull(jnp.ones_like(x))[0], np.float64)
    at = np.asarray(x, np.float64)
    distribution = 0.5 * (1 + np.vectorize(math.erf)(at / math.sqrt(2)))
    expected = distribution + at * np.exp(-0.5 * at**2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(slope, expected, atol=2e-7 if dtype == jnp.float32 else 4e-3)
    (twice,) = pull(jnp.full_like(x, 2))
    np.testing.assert_array_equal(np.asarray(twice, np.float64), 2 * slope)
