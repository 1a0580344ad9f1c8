"""Multi-head attention over a level's patches against equation 4 written out per clip and head."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_arrays import random

from ahmsa_jax.networks.parts import attention


@pytest.mark.parametrize(("tokens", "width", "heads"), [(4, 12, 3), (16, 10, 3), (1, 12, 3)])
def test_spatial_attention_is_equation_4(tokens, width, heads):
    x = random(2, tokens, width)
    module = attention.SpatialAttention(heads)
    params = module.init(jax.random.key(2), x)["params"]
    head = width // heads
    inner = heads * head
    q, k, v = (
        (x @ params[name]["kernel"]).reshape(2, tokens, heads, head)
        for name in ("query", "key", "value")
    )
    assert params["query"]["kernel"].shape == (width, inner)
    z = np.empty((2, tokens, heads, head), np.float32)
    maps = np.empty((2, heads, tokens, tokens))
    for b in range(2):
        for h in range(heads):
            logits = q[b, :, h] @ k[b, :, h].T / math.sqrt(head)
            weight = np.exp(logits - logits.max(axis=1, keepdims=True))
            maps[b, h] = weight / weight.sum(axis=1, keepdims=True)
            z[b, :, h] = maps[b, h] @ v[b, :, h]
    expected = z.reshape(2, tokens, inner) @ params["output"]["kernel"] + params["output"]["bias"]
    change, seen = module.apply({"params": params}, x)
    np.testing.assert_allclose(seen, maps, atol=1e-6)
    np.testing.assert_allclose(change.whole(), expected, atol=2e-6)


def alone(query, key, value):
    logits = jnp.einsum("qhk,thk->hqt", query, key) / math.sqrt(query.shape[-1])
    maps = jax.nn.softmax(logits, axis=-1)
    return jnp.einsum("hqt,thk->qhk", maps, value), maps


@pytest.mark.parametrize("clips", [1, 2, 4, 6, 7, 8, 12])
@pytest.mark.parametrize("tokens", [4, 9, 16])
def test_clips_attended_to_in_groups_are_as_each_alone(clips, tokens):
    query, key, value = (
        10 * random(clips, tokens, 3, 5, seed=seed) for seed in range(3)
    )  # logits of +-100: another clip's patches would win many rows
    z, maps = attention.attend(query, key, value)
    expected_z, expected_maps = jax.vmap(alone)(query, key, value)
    np.testing.assert_allclose(maps, expected_maps, atol=2e-5)
    np.testing.assert_allclose(z, expected_z, atol=5e-4)
    assert maps.shape == (clips, 3, tokens, tokens)


def test_gradients_in_groups_are_those_of_each_clip_alone():
    clips = [random(8, 4, 3, 5, seed=seed) for seed in range(3)]
    weight = random(8, 4, 3, 5, seed=3)
    grouped = jax.grad(lambda q, k, v: jnp.sum(weight * attention.attend(q, k, v)[0]), (0, 1, 2))
    single = jax.grad(lambda q, k, v: jnp.sum(weight * jax.vmap(alone)(q, k, v)[0]), (0, 1, 2))
    for mine, expected in zip(grouped(*clips), single(*clips), strict=True):
        np.testing.assert_allclose(mine, expected, atol=2e-6)
        assert np.abs(expected).max() > 0.1


def test_a_clip_is_untouched_by_what_its_group_holds():
    query, key, value = (random(8, 4, 3, 5, seed=seed) for seed in range(3))
    z, _ = attention.attend(query, key, value)
    others = np.arange(8) != 5
    changed = [np.where(others[:, None, None, None], array * 50, array) for array in (query, key)]
    again, _ = attention.attend(*changed, np.where(others[:, None, None, None], -value, value))
    np.testing.assert_array_equal(np.asarray(again)[5], np.asarray(z)[5])
    assert np.abs(np.asarray(again)[4] - np.asarray(z)[4]).max() > 0.1
