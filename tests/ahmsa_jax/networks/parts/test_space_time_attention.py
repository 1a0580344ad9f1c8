"""HSTA's attention against NumPy's, written from the equations and the published formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_arrays import random

from ahmsa_jax.networks.parts.space_time_attention import (
    EPS,
    CrossAttention,
    DescribedUstaLayer,
    UstaLayer,
    sinusoid,
    tubelets,
)

BATCH, TOKENS, WIDTH, HEADS = 2, 17, 12, 3


def stirred(module, x):
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)["params"]
    leaves, tree = jax.tree.flatten(shapes)
    drawn = [0.3 * random(*leaf.shape, seed=place) for place, leaf in enumerate(leaves)]
    return jax.tree.unflatten(tree, drawn)


def normal(x, norm):
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + EPS) * norm["scale"] + norm["bias"]


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def attended(query, key, value, heads):
    """Each head by itself: (B, Q, D), and the weights (B, H, Q, T)."""
    width = query.shape[-1] // heads
    parts, weights = [], []
    for head in range(heads):
        own = slice(head * width, (head + 1) * width)
        logits = query[..., own] @ key[..., own].swapaxes(1, 2) / np.sqrt(width)
        weights.append(softmax(logits))
        parts.append(weights[-1] @ value[..., own])
    return np.concatenate(parts, axis=-1), np.stack(weights, axis=1)


def linear(x, layer):
    return x @ layer["kernel"] + layer.get("bias", 0)


def gelu(x):
    return np.asarray(jax.nn.gelu(x, approximate=False))


def test_a_layer_of_the_code():
    layer, x = UstaLayer(HEADS, 4), random(BATCH, TOKENS, WIDTH, seed=50)
    params = stirred(layer, x)
    found, weights = layer.apply({"params": params}, x)
    attn = params["attn"]
    query, key, value = np.split(normal(x, params["norm1"]) @ attn["qkv"]["kernel"], 3, axis=-1)
    z, expected = attended(query + attn["q_bias"], key, value + attn["v_bias"], HEADS)
    y = x + linear(z, attn["proj"])
    hidden = gelu(linear(normal(y, params["norm2"]), params["mlp"]["fc1"]))
    y = y + linear(hidden, params["mlp"]["fc2"])
    np.testing.assert_allclose(found, y, atol=2e-4)
    np.testing.assert_allclose(weights, expected[:, :, 0], atol=1e-5)


def test_a_layer_of_the_equations():
    layer, x = DescribedUstaLayer(), random(BATCH, TOKENS, WIDTH, seed=50)
    params = stirred(layer, x)
    found, _ = layer.apply({"params": params}, x)
    query, key, value = np.split(x @ params["attn"]["qkv"]["kernel"], 3, axis=-1)
    expected = normal(x + attended(query, key, value, 1)[0], params["norm1"])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert set(params) == {"attn", "norm1"}
    assert set(params["attn"]) == {"qkv"}


@pytest.mark.parametrize("is_plain", [False, True])
def test_a_class_token_asks_the_other_branch(is_plain):
    module, t = CrossAttention(HEADS, is_plain), random(BATCH, TOKENS, WIDTH, seed=50)
    params = stirred(module, t)
    found, weights = module.apply({"params": params}, t)
    attn = params["attn"]
    seen = t if is_plain else normal(t, params["norm1"])
    query, key, value = (linear(seen, attn[name]) for name in ("wq", "wk", "wv"))
    expected, weight = attended(query[:, :1], key, value, 1 if is_plain else HEADS)
    if is_plain:
        assert not any("bias" in leaf for leaf in attn.values())
    else:
        expected = linear(expected, attn["proj"])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(weights, weight[:, :, 0], atol=1e-5)


def test_places_by_hand():
    table = sinusoid(3, 4)
    assert table.dtype == np.float32
    np.testing.assert_allclose(table[0], [0, 1, 0, 1])
    expected = [np.sin(2), np.cos(2), np.sin(2 / 100), np.cos(2 / 100)]
    np.testing.assert_allclose(table[2], expected, rtol=1e-6)


def test_patches_stand_by_time_row_and_column_and_the_rest_is_cut_off():
    frames = jnp.arange(1.0 * 4 * 5 * 5 * 3).reshape(1, 4, 5, 5, 3)
    patches = tubelets(frames, 2, 2)
    assert patches.shape == (1, 2 * 2 * 2, 2 * 2 * 2 * 3)
    # The second time, the second row, the first column.
    expected = frames[0, 2:4, 2:4, 0:2].reshape(-1)
    np.testing.assert_array_equal(patches[0, 4 + 2], expected)
