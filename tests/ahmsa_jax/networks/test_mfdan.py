"""MFDAN: its size, its ablations, its noise, and what each of its inputs reaches.

The pictures are stored at 56 pixels here, which the tiny size takes as they are.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stored_pictures import (
    assert_same_gradients,
    built,
    flow_px,
    gradient,
    logits,
    outputs,
    pictures,
)

from ahmsa_jax.config import ConfigError
from ahmsa_jax.networks import mfdan, registry
from ahmsa_jax.networks.initial import parameter_shapes
from ahmsa_jax.networks.mfdan import NETWORK, MFDANConfig
from ahmsa_jax.networks.modules.mfdan import MFDAN

TINY = MFDANConfig(size="tiny", image_size=56)
ONE = {"mergings": 1, "share_embedding": True}
KEY, OTHER_KEY = 5, 6


def inputs(count, seed=0):
    return flow_px(count, 56, seed), pictures(count, 56, seed)


@pytest.mark.parametrize(
    ("settings", "parameters", "gflop"),
    [
        ({}, 27_304_055, 4.66),
        ({"share_embedding": True}, 25_745_495, 4.66),
        (ONE, 10_977_431, 4.29),
        ({"mergings": 1}, 11_056_823, 4.29),
        (ONE | {"flow_encoder": "small"}, 2_021_591, 3.82),
        (ONE | {"flow_guidance": "off"}, 10_977_431, 3.88),
    ],
)
def test_it_has_the_declared_size(monkeypatch, settings, parameters, gflop):
    monkeypatch.setitem(registry.NETWORKS, "mfdan", NETWORK)
    config = MFDANConfig(**settings)
    config.validate()
    shapes = parameter_shapes(MFDAN(config), config)
    assert sum(math.prod(shape) for shape in shapes.values()) == parameters
    # Without guidance the flow's path is left out here, of 0.14 GFLOP.
    assert 2 * sum(mfdan.products(config).values()) / 1e9 == pytest.approx(gflop, rel=0.04)
    # Saved for the backward pass in float32: 98 to 122 MB a clip.
    assert 90e6 < 4 * mfdan.activations(config) < 130e6
    again = dataclasses.replace(config, remat=True)
    assert mfdan.activations(again) < 0.6 * mfdan.activations(config)


def test_both_inputs_matter_and_so_does_each_setting_of_the_image(monkeypatch):
    model, params = built(monkeypatch, NETWORK, TINY)
    assert NETWORK.inputs_of(TINY) == ("flow_px", "frames")
    flow, frames = inputs(2)
    straight, seen = outputs(model, params, flow, frames)
    assert straight.shape == (2, 3)
    assert straight.dtype == jnp.float32
    # The six frames of the clip are not looked at, nor is the apex where the onset is warped.
    other = pictures(2, 56, seed=1)
    changed = np.concatenate([other[:, :6], frames[:, 6:7], other[:, 7:]], axis=1)
    np.testing.assert_array_equal(logits(model, params, flow, changed), straight)
    changed[:, 6] = other[:, 6]
    assert np.abs(logits(model, params, flow, changed) - straight).max() > 1e-4
    assert np.abs(logits(model, params, -flow, frames) - straight).max() > 1e-4
    assert 0 <= float(seen["image"].min()) < float(seen["image"].max()) <= 1
    assert {"block_0/layer_1/flow", "block_1/layer_0/self"} <= set(seen)
    assert seen["block_0/layer_1/flow"].shape == (2, 14, 14)


def image(settings, flow, frames, **more):
    """What a network with these settings looks at, in grey values."""
    looking = MFDAN(dataclasses.replace(TINY, **settings))
    train = more.pop("train", False)
    return looking.apply({}, flow, frames, train=train, method=MFDAN._image, **more)


def test_the_image_is_the_apex_or_the_onset_moved_further():
    flow, frames = inputs(2)
    flow = flow.astype(np.float32)
    np.testing.assert_array_equal(image({"magnify": "none"}, flow, frames), frames[:, 7])
    np.testing.assert_array_equal(image({}, 0 * flow, frames), frames[:, 6])
    tested = image({}, flow, frames)
    fixed = {"magnify_low": 3.0, "magnify_high": 3.0}
    rngs = {"dropout": jax.random.key(KEY)}
    np.testing.assert_allclose(image(fixed, flow, frames, train=True, rngs=rngs), tested, atol=1e-3)
    # Another strength for each clip, and in each step.
    twice = np.repeat(flow[:1], 2, axis=0), np.repeat(frames[:1], 2, axis=0)
    drawn = image({}, *twice, train=True, rngs=rngs)
    assert np.abs(drawn[0] - drawn[1]).max() > 1
    other = image({}, *twice, train=True, rngs={"dropout": jax.random.key(OTHER_KEY)})
    assert np.abs(drawn - other).max(axis=(1, 2, 3)).min() > 1


def test_the_flows_strength_reaches_the_image_alone(monkeypatch):
    """By min-max the flow's own paths see its shape; the magnified image sees its pixels."""
    model, params = built(monkeypatch, NETWORK, TINY)
    flow, frames = inputs(2)
    even = np.full_like(frames, 90)
    straight = logits(model, params, flow, even)
    np.testing.assert_allclose(logits(model, params, 2 * flow, even), straight, atol=1e-5)
    difference = logits(model, params, 2 * flow, frames) - logits(model, params, flow, frames)
    assert np.abs(difference).max() > 1e-4


@pytest.mark.parametrize("guidance", ["on", "off"])
def test_frozen_parameters_never_matter_and_all_others_do(monkeypatch, guidance):
    config = dataclasses.replace(TINY, flow_guidance=guidance)
    model, params = built(monkeypatch, NETWORK, config)
    arrays = inputs(2)

    _, by_path = gradient(model, params, *arrays)
    largest = max(float(np.abs(leaf).max()) for leaf in by_path.values())
    frozen = {path for path in params if mfdan.is_frozen(path, config)}
    for path, leaf in by_path.items():
        assert np.isfinite(leaf).all(), path
        # A sum that is 0 leaves its rounding.
        assert (np.abs(leaf).max() < 1e-7 * largest) == (path in frozen), path
    assert {path[-1] for path in frozen} >= ({"tau", "k_bias"} if guidance == "off" else set())
    assert bool(frozen) == (guidance == "off")


def test_a_clip_without_motion_gives_finite_gradients(monkeypatch):
    """Its flow is 0 everywhere, and with the embedding's bias at 0 so are the flow's queries."""
    model, params = built(monkeypatch, NETWORK, TINY)
    flow, frames = inputs(2)
    params = params | {
        path: np.zeros_like(leaf) for path, leaf in params.items() if path[0] == "flow_embed"
    }
    value, by_path = gradient(model, params, 0 * flow, frames)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in by_path.values())


def test_noise_is_drawn_in_training_alone_and_padding_reaches_no_other_clip(monkeypatch):
    model, params = built(monkeypatch, NETWORK, TINY)
    flow, frames = inputs(3)

    def trained(count, key):
        real_B = jnp.arange(count) < 2
        more = {"train": True, "key": jax.random.key(key), "real_B": real_B}
        return logits(model, params, flow[:count], frames[:count], **more)

    alone = trained(2, KEY)
    np.testing.assert_allclose(trained(3, KEY)[:2], alone, atol=1e-5)
    assert np.abs(trained(2, OTHER_KEY) - alone).max() > 1e-3


def test_weights_per_fold_and_recomputing_change_nothing(monkeypatch):
    """Both at once: two folds with layers computed again, against each alone as it is.

    Layers computed again with noise are HSTA's to show.
    """
    model, first = built(monkeypatch, NETWORK, TINY)
    _, second = built(monkeypatch, NETWORK, TINY, seed=1)
    again, arrays = MFDAN(dataclasses.replace(TINY, remat=True)), inputs(2)
    stacked = {path: np.stack([first[path], second[path]]) for path in first}
    values, together = jax.vmap(lambda params: gradient(again, params, *arrays))(stacked)
    for fold, params in enumerate((first, second)):
        value, alone = gradient(model, params, *arrays)
        assert float(values[fold]) == pytest.approx(float(value), rel=1e-5)
        of_fold = {path: leaf[fold] for path, leaf in together.items()}
        assert_same_gradients(alone, of_fold, 1e-3)


def test_no_convolution_stands_in_the_training_step(monkeypatch):
    model, params = built(monkeypatch, NETWORK, TINY)
    more = {"train": True, "key": jax.random.key(KEY)}
    step = jax.make_jaxpr(lambda params: gradient(model, params, *inputs(2), **more))(params)
    assert "dot_general" in str(step)
    assert "conv_general_dilated" not in str(step)


def test_half_precision_gives_the_same_up_to_its_digits(monkeypatch):
    _, params = built(monkeypatch, NETWORK, TINY)
    arrays = inputs(2)
    exact = logits(MFDAN(TINY), params, *arrays)
    half = logits(MFDAN(TINY, jnp.bfloat16), params, *arrays)
    assert half.dtype == jnp.float32
    assert 0 < np.abs(half - exact).max() < 0.1 * np.abs(exact).max()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": "tiny", "mergings": 3}, "--mergings=3 does not lead from 14x14"),
        ({"image_size": 28}, "28 pixels wide; MFDAN with --size=published"),
        ({"magnify_low": 6.0}, "--magnify_low=6 is above --magnify_high=5"),
        ({"dropkey": 1.0}, "--dropkey=1 is out of range"),
        ({"flow_guidance": "half"}, "--flow_guidance=half: allowed are on and off"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        MFDANConfig(**settings).validate()


def test_its_recipe_is_the_papers():
    described = NETWORK.training | NETWORK.recipes["described"]
    assert (described["loss"], described["optimizer"]) == ("focal", "adan")
    assert (described["learning_rate"], described["batch_size"]) == (1e-4, 16)
    assert NETWORK.batch_coupled
    assert NETWORK.layout == "rgb224"
