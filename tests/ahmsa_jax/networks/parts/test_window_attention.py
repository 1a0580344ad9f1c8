"""Flow-driven window attention against attention written in NumPy, token by token of a window."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_arrays import random

from ahmsa_jax.networks.parts import window_attention
from ahmsa_jax.networks.parts.window_attention import (
    FlowDrivenAttention,
    FlowDrivenLayer,
    Merging,
    from_windows,
    in_windows,
    shift_mask,
)

HEADS, WIDTH, SIDE, WINDOW, SHIFT = 2, 8, 14, 7, 3
TOKENS = WINDOW**2


def parameters(seed=0):
    draw = lambda place, *shape: random(*shape, seed=seed + place)  # noqa: E731
    return {
        "qkv": {"kernel": draw(0, WIDTH, 3 * WIDTH)},
        **{f"{name}_bias": draw(place, WIDTH) for place, name in enumerate("qkv", 1)},
        "bias_table": draw(4, (2 * WINDOW - 1) ** 2, HEADS),
        "tau": np.abs(draw(5, HEADS)) + 0.1,
        "proj": {"kernel": draw(6, WIDTH, WIDTH), "bias": draw(7, WIDTH)},
    }


def attention(**settings):
    return FlowDrivenAttention(HEADS, tau=0.1, tau_floor=0.01, **settings)


def plain_window_attention(x_GxGxD, shift, params):
    """Swin's attention over one picture, in float64, by places of the picture and not by rolls."""
    out = np.zeros(x_GxGxD.shape)
    kernel = params["qkv"]["kernel"].astype(np.float64)
    bias = np.concatenate([params[f"{name}_bias"] for name in "qkv"])
    width = WIDTH // HEADS
    for top in range(0, SIDE, WINDOW):
        for left in range(0, SIDE, WINDOW):
            # Places of this window, with the region that each came from.
            places = []
            for row in range(top + shift, top + shift + WINDOW):
                for column in range(left + shift, left + shift + WINDOW):
                    place = (row % SIDE, column % SIDE, row >= SIDE, column >= SIDE)
                    places.append(place)
            tokens = np.array([x_GxGxD[row, column] for row, column, *_ in places])
            query, key, value = np.split(tokens @ kernel + bias, 3, axis=1)
            seen = np.zeros((TOKENS, WIDTH))
            for head in range(HEADS):
                own = slice(head * width, (head + 1) * width)
                logits = query[:, own] @ key[:, own].T / np.sqrt(width)
                for q, (*_, q_down, q_right) in enumerate(places):
                    for k, (*_, k_down, k_right) in enumerate(places):
                        rows = q // WINDOW - k // WINDOW + WINDOW - 1
                        columns = q % WINDOW - k % WINDOW + WINDOW - 1
                        place = rows * (2 * WINDOW - 1) + columns
                        logits[q, k] += params["bias_table"][place, head]
                        logits[q, k] -= 100 * ((q_down, q_right) != (k_down, k_right))
                weight = np.exp(logits - logits.max(axis=1, keepdims=True))
                seen[:, own] = weight / weight.sum(axis=1, keepdims=True) @ value[:, own]
            for (row, column, *_), token in zip(places, seen, strict=True):
                out[row, column] = token @ params["proj"]["kernel"] + params["proj"]["bias"]
    return out


@pytest.mark.parametrize("shift", [0, SHIFT])
def test_without_the_flow_it_is_window_attention(shift):
    x = random(1, SIDE, SIDE, WIDTH, seed=10)
    # Small enough for values of about 1, whose digits float32 keeps to 1e-7.
    params = jax.tree.map(lambda leaf: 0.2 * leaf, parameters())
    mask = shift_mask(SIDE, WINDOW, shift) if shift else None
    cut = in_windows(jnp.asarray(x), WINDOW, shift)
    with jax.default_matmul_precision("highest"):
        out, seen = attention(is_guided=False).apply({"params": params}, cut, cut, mask)
    assert set(seen) == {"self"}
    expected = plain_window_attention(x[0], shift, params)
    found = from_windows(out, WINDOW, shift)[0]
    assert 0.3 < np.abs(expected).max() < 2
    np.testing.assert_allclose(found, expected, atol=1e-6)


def guided(params, x, flow, **settings):
    return attention(**settings).apply({"params": params}, x, flow)


def windows(seed):
    return jnp.asarray(random(2, 3, TOKENS, WIDTH, seed=seed))


def test_the_flows_attention_is_the_softmax_of_cosines():
    params, x, flow = parameters(), windows(11), windows(12)
    out, seen = guided(params, x, flow)
    kernel = params["qkv"]["kernel"]
    query = np.asarray(flow @ kernel[:, :WIDTH]).reshape(2, 3, TOKENS, HEADS, -1)
    key = np.asarray(x @ kernel[:, WIDTH : 2 * WIDTH] + params["k_bias"]).reshape(query.shape)
    cosine = np.einsum("bvqhk,bvthk->bvhqt", query, key) / (
        np.linalg.norm(query, axis=-1).transpose(0, 1, 3, 2)[..., None]
        * np.linalg.norm(key, axis=-1).transpose(0, 1, 3, 2)[..., None, :]
    )
    table = params["bias_table"][window_attention.relative_place(WINDOW)]
    logits = cosine / params["tau"][:, None, None] + table.transpose(2, 0, 1)
    weight = np.exp(logits - logits.max(axis=-1, keepdims=True))
    weight /= weight.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(seen["flow"], weight, atol=1e-5)
    # The output is the sum of both attentions' outputs.
    alone, _ = guided(params, x, flow, is_guided=False)
    value = np.asarray(x @ kernel[:, 2 * WIDTH :] + params["v_bias"]).reshape(query.shape)
    added = np.einsum("bvhqt,bvthk->bvqhk", weight, value).reshape(x.shape)
    np.testing.assert_allclose(out - alone, added @ params["proj"]["kernel"], atol=2e-4)


def test_the_flows_length_does_not_matter():
    params, x, flow = parameters(), windows(11), windows(12)
    weight = guided(params, x, flow)[1]["flow"]
    for factor in (5.0, 1e-3):
        longer = guided(params, x, factor * flow)[1]["flow"]
        np.testing.assert_allclose(longer, weight, atol=1e-5)
    assert np.abs(guided(params, x, -flow)[1]["flow"] - weight).max() > 0.01


def test_no_flow_leaves_the_bias_and_no_nan():
    params, x = parameters(), windows(11)
    none = jnp.zeros_like(x)
    weight = guided(params, x, none)[1]["flow"]
    table = params["bias_table"][window_attention.relative_place(WINDOW)]
    expected = jax.nn.softmax(table.transpose(2, 0, 1), axis=-1)
    np.testing.assert_allclose(weight, np.broadcast_to(expected, weight.shape), atol=1e-6)

    def loss(params, x, flow):
        return jnp.sum(jnp.square(guided(params, x, flow)[0]))

    gradients = jax.grad(loss, argnums=(0, 1, 2))(params, x, none)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    assert (np.asarray(gradients[2]) == 0).all()


def test_tau_does_not_fall_below_its_floor():
    params, x, flow = parameters(), windows(11), windows(12)
    at_floor = guided(params | {"tau": np.full(HEADS, 0.01, np.float32)}, x, flow)[0]
    below = guided(params | {"tau": np.full(HEADS, -3.0, np.float32)}, x, flow)[0]
    np.testing.assert_array_equal(below, at_floor)


def test_lost_keys_get_no_weight_and_the_rest_shares_it():
    """In one draw for both attentions; the mean over draws is near the weights without."""
    params, x, flow = parameters(), windows(11)[:1, :1], windows(12)[:1, :1]
    # No key has much of the weight, so that losing it changes little of what the others share.
    params["bias_table"] = 0.1 * params["bias_table"]
    params["tau"] = np.full(HEADS, 5.0, np.float32)
    params["qkv"]["kernel"] = 0.2 * params["qkv"]["kernel"]
    losing = attention(dropkey=0.3)

    def weights(key):
        return losing.apply({"params": params}, x, flow, rngs={"dropout": key})[1]

    drawn = jax.jit(jax.vmap(weights))(jax.random.split(jax.random.key(3), 400))
    whole = guided(params, x, flow)[1]
    is_lost = np.asarray(drawn["self"]) == 0
    np.testing.assert_array_equal(is_lost, np.asarray(drawn["flow"]) == 0)
    # Heads and windows draw for themselves, and 0.3 of the keys are lost.
    assert abs(is_lost.mean() - 0.3) < 5 * np.sqrt(0.21 / is_lost.size)
    assert (is_lost[:, :, :, 0] != is_lost[:, :, :, 1]).any()
    for name in ("self", "flow"):
        np.testing.assert_allclose(drawn[name].sum(axis=-1), 1, atol=1e-5)
        mean = np.asarray(drawn[name]).mean(axis=0)
        # A weight w is w / 0.7 with probability 0.7, else 0: a deviation of 0.65 w, of the mean
        # over 400 draws 0.033 w. Six of those, there being 4,802 weights.
        assert np.abs(mean / np.asarray(whole[name]) - 1).max() < 6 * 0.033


def test_all_keys_lost_is_finite():
    params, x, flow = parameters(), windows(11), windows(12)

    def loss(params):
        rngs = {"dropout": jax.random.key(0)}
        losing = attention(dropkey=1 - 1e-9)
        return jnp.sum(losing.apply({"params": params}, x, flow, rngs=rngs)[0])

    value, gradient = jax.value_and_grad(loss)(params)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_windows_come_back_to_their_places():
    grid = jnp.arange(2.0 * SIDE * SIDE).reshape(2, SIDE, SIDE, 1)
    for shift in (0, SHIFT):
        cut = in_windows(grid, WINDOW, shift)
        np.testing.assert_array_equal(from_windows(cut, WINDOW, shift), grid)
        assert float(cut[0, 0, 0, 0]) == shift * SIDE + shift
    assert float(in_windows(grid, WINDOW, 0)[0, 1, 0, 0]) == WINDOW


def test_merging_stands_as_in_swin():
    """Four tokens: at the top left, below it, right of it, and below that."""
    grid = jnp.arange(16.0).reshape(1, 4, 4, 1)
    module = Merging()
    params = {"reduction": {"kernel": np.eye(4, 2, -1, dtype=np.float32)}}
    params["norm"] = {"scale": np.ones(4, np.float32), "bias": np.zeros(4, np.float32)}
    merged = module.apply({"params": params}, grid)
    four = np.array([0.0, 4, 1, 5])
    expected = ((four - four.mean()) / np.sqrt(four.var() + 1e-5))[1:3]
    assert merged.shape == (1, 2, 2, 2)
    np.testing.assert_allclose(merged[0, 0, 0], expected, atol=1e-5)


def test_a_layer_norms_what_it_adds():
    """z' = LN(Driven) + z; z = LN(MLP) + z': the norms' scale 0 leaves the tokens as they are."""
    layer = FlowDrivenLayer(attention(parent=None), WINDOW, SHIFT, 4)
    z, flow = (jnp.asarray(random(1, SIDE, SIDE, WIDTH, seed=seed)) for seed in (1, 2))
    params = jax.jit(layer.init)(jax.random.key(0), z, flow)["params"]
    still = {name: jax.tree.map(jnp.zeros_like, params[name]) for name in ("norm1", "norm2")}
    same, received = layer.apply({"params": params | still}, z, flow)
    np.testing.assert_array_equal(same, z)
    changed, _ = layer.apply({"params": params | {"norm1": still["norm1"]}}, z, flow)
    added = np.asarray(changed - z)
    # What is added has mean 0 and variance 1 over the width, up to eps.
    np.testing.assert_allclose(added.mean(axis=-1), 0, atol=1e-5)
    # Weight is shared out, not made: on average each token receives 1.
    for name in ("self", "flow"):
        assert received[name].shape == (1, SIDE, SIDE)
        assert float(received[name].mean()) == pytest.approx(1, rel=1e-5)
