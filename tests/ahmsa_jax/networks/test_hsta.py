"""HSTA: its size, what flows between its branches, its noise and its settings."""

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
    nested,
    pictures,
)

from ahmsa_jax.config import ConfigError
from ahmsa_jax.networks import hsta, registry
from ahmsa_jax.networks.hsta import NETWORK, HSTAConfig
from ahmsa_jax.networks.initial import initial_variables, parameter_shapes
from ahmsa_jax.networks.modules.hsta import HSTA, HstaModule

TINY = HSTAConfig(size="tiny", image_size=112)
QUICK = dataclasses.replace(TINY, depths=(1, 1))
QUIET = dataclasses.replace(QUICK, dropout=0.0, drop_path=0.0)


KEY, OTHER_KEY = 5, 6


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        ({"num_classes": 7}, 81_887_623),
        ({}, 81_883_011),
        ({"num_classes": 7, "modules": 1, "depths": (1, 1)}, 14_527_879),
        ({"num_classes": 7, "modules": 8, "depths": (1, 1)}, 105_554_311),
        ({"num_classes": 7, "depths": (2, 2)}, 88_983_943),
        ({"num_classes": 7, "modules": 3, "depths": (1, 4)}, 104_319_367),
    ],
)
def test_it_has_the_published_number_of_parameters(monkeypatch, settings, parameters):
    monkeypatch.setitem(registry.NETWORKS, "hsta", NETWORK)
    config = HSTAConfig(**settings)
    config.validate()
    shapes = parameter_shapes(HSTA(config), config)
    assert sum(math.prod(shape) for shape in shapes.values()) == parameters
    # The biases of CSTA's keys, and nothing else: 384 + 768 a module.
    frozen = [math.prod(shapes[path]) for path in shapes if hsta.is_frozen(path, config)]
    assert sum(frozen) == (384 + 768) * config.count


def test_kernels_start_as_wide_as_their_sums_need(monkeypatch):
    """0.02 at the published widths, as in the code; four times that at a sixteenth of the width."""
    monkeypatch.setitem(registry.NETWORKS, "hsta", NETWORK)
    published, tiny = hsta.SHAPES["published"], hsta.SHAPES["tiny"]
    assert published.deviation == 0.02
    for wide, narrow in zip(published.widths, tiny.widths, strict=True):
        assert tiny.deviation * narrow**0.5 == pytest.approx(published.deviation * wide**0.5)
    params, _ = jax.jit(lambda key: initial_variables(key, HSTA(QUICK), QUICK))(jax.random.key(0))
    kernels = {
        path: leaf
        for path, leaf in params.items()
        if path[-1] == "kernel" and leaf.size > 1000 and not path[0].startswith("patch_embed")
    }
    assert len(kernels) > 10
    for path, leaf in kernels.items():
        assert float(jnp.std(leaf)) == pytest.approx(0.08, rel=0.1), path


def test_its_arithmetic_is_that_of_the_published_size():
    config = HSTAConfig(num_classes=7)
    gflop = 2 * sum(hsta.products(config).values()) / 1e9
    assert gflop == pytest.approx(88.4, rel=0.01)
    # Saved for the backward pass in float32: 562 MB a clip.
    assert 4 * hsta.activations(config) == pytest.approx(562e6, rel=0.05)
    assert hsta.activations(dataclasses.replace(config, remat=True)) < hsta.activations(config) / 4


def test_names_lead_to_the_published_state_dict(monkeypatch):
    """A path joined by dots, with dots before numbers too, is the name there."""
    monkeypatch.setitem(registry.NETWORKS, "hsta", NETWORK)
    paths = parameter_shapes(HSTA(TINY), TINY)
    published = {"kernel": "weight", "scale": "weight"}
    names = set()
    for path in paths:
        words = [word.replace("_0", ".0").replace("_1", ".1").replace("_2", ".2") for word in path]
        names.add(".".join([*words[:-1], published.get(words[-1], words[-1])]))
    layer = ["norm1.weight", "attn.q_bias", "attn.v_bias", "attn.qkv.weight", "attn.proj.bias"]
    layer += ["norm2.bias", "mlp.fc1.weight", "mlp.fc2.bias"]
    expected = {f"blocks.0.blocks.1.1.{name}" for name in layer}
    expected |= {f"blocks.0.fusion.0.attn.{name}.weight" for name in ("wq", "wk", "wv", "proj")}
    expected |= {"blocks.0.projs.1.0.weight", "blocks.0.projs.1.2.weight"}
    expected |= {"blocks.0.revert_projs.0.2.bias", "blocks.0.fusion.1.norm1.bias"}
    expected |= {"patch_embed.0.proj.weight", "cls_token.1", "norm.0.weight", "head.weight"}
    assert expected <= names
    assert ("blocks_0", "fusion_0", "attn", "wq", "kernel") in paths
    # The block that renews the special branch's token is as wide as the video.
    assert paths["blocks_0", "fusion_0", "attn", "wq", "kernel"] == (48, 48)


def test_csta_renews_the_class_tokens_and_leaves_every_other(monkeypatch):
    """Equation 12, bit by bit: CSTA on and off give the same patches."""
    model, params = built(monkeypatch, NETWORK, QUIET)
    without = HstaModule(dataclasses.replace(QUIET, csta="off"), 0, train=False)
    with_csta = HstaModule(QUIET, 0, train=False)
    own = {path[1:]: leaf for path, leaf in params.items() if path[0] == "blocks_0"}
    rng = np.random.default_rng(1)
    z = [rng.normal(size=(2, 5, 24)), rng.normal(size=(2, 7, 48))]
    z = [jnp.asarray(tokens, jnp.float32) for tokens in z]
    before, _ = jax.jit(without.apply)(nested(own), z)
    after, _ = jax.jit(with_csta.apply)(nested(own), z)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old[:, 1:], new[:, 1:])
        assert np.abs(old[:, 0] - new[:, 0]).min() > 0
    assert model.config == QUIET


def test_only_csta_carries_the_special_frames_to_the_video_branch(monkeypatch):
    seen = pictures(2, 112)
    other = seen.copy()
    other[:, 6:] = pictures(2, 112, seed=1)[:, 6:]
    _, params = built(monkeypatch, NETWORK, QUIET)

    def video_token(config, frames):
        """The features of the video branch, by a head that reads nothing else."""
        head = np.zeros((72, 3), np.float32)
        head[24:27] = np.eye(3)
        changed = params | {("head", "kernel"): head}
        return logits(HSTA(config), changed, frames)

    off = dataclasses.replace(QUIET, csta="off")
    np.testing.assert_array_equal(video_token(off, seen), video_token(off, other))
    assert np.abs(video_token(QUIET, seen) - video_token(QUIET, other)).max() > 1e-5


@pytest.mark.parametrize("usta", ["published", "described"])
def test_time_and_the_order_of_onset_and_apex_are_seen(monkeypatch, usta):
    config = dataclasses.replace(QUIET, usta=usta)
    model, params = built(monkeypatch, NETWORK, config)
    frames = pictures(2, 112)
    straight = logits(model, params, frames)
    assert straight.shape == (2, 3)
    assert straight.dtype == jnp.float32
    for order in ([5, 4, 3, 2, 1, 0, 6, 7], [0, 1, 2, 3, 4, 5, 7, 6]):
        assert np.abs(logits(model, params, frames[:, order]) - straight).max() > 1e-4


def test_the_flow_takes_the_place_of_the_special_frames(monkeypatch):
    config = dataclasses.replace(QUIET, special="flow")
    model, params = built(monkeypatch, NETWORK, config)
    assert NETWORK.inputs_of(config) == ("frames", "flow_px")
    assert NETWORK.inputs_of(QUIET) == ("frames",)
    frames, flow = pictures(2, 112), flow_px(2, 112)
    straight = logits(model, params, frames, flow)
    changed = frames.copy()
    changed[:, 6:] = 0
    np.testing.assert_array_equal(logits(model, params, changed, flow), straight)
    # By its shape alone, not its strength.
    np.testing.assert_allclose(logits(model, params, frames, 2 * flow), straight, atol=1e-5)
    assert np.abs(logits(model, params, frames, -flow) - straight).max() > 1e-5
    with pytest.raises(ValueError, match="takes the flow"):
        logits(model, params, frames)


def test_frozen_parameters_never_matter_and_all_others_do(monkeypatch):
    model, params = built(monkeypatch, NETWORK, QUIET)
    frames = pictures(2, 112)

    _, by_path = gradient(model, params, frames)
    largest = max(float(np.abs(leaf).max()) for leaf in by_path.values())
    for path, leaf in by_path.items():
        if hsta.is_frozen(path, QUIET):
            # Up to the rounding of sums that are 0.
            assert np.abs(leaf).max() < 1e-6 * largest, path
        else:
            assert np.abs(leaf).max() > 1e-6 * largest, path


def test_weights_per_fold_and_recomputing_change_nothing(monkeypatch):
    """Both at once: two folds with layers computed again, against each alone as it is."""
    model, first = built(monkeypatch, NETWORK, QUICK)
    _, second = built(monkeypatch, NETWORK, QUICK, seed=1)
    again, frames = HSTA(dataclasses.replace(QUICK, remat=True)), pictures(2, 112)
    more = {"train": True, "key": jax.random.key(KEY)}
    stacked = {path: np.stack([first[path], second[path]]) for path in first}
    values, together = jax.vmap(lambda params: gradient(again, params, frames, **more))(stacked)
    for fold, params in enumerate((first, second)):
        value, alone = gradient(model, params, frames, **more)
        assert float(values[fold]) == pytest.approx(float(value), rel=1e-5)
        # Gradients of what is frozen are the rounding of sums that are 0.
        of_fold = {path: leaf[fold] for path, leaf in together.items()}
        alone = {path: alone[path] for path in alone if not hsta.is_frozen(path, QUICK)}
        assert_same_gradients(alone, of_fold, 1e-3)


def test_padding_reaches_no_other_clip(monkeypatch):
    """Noise of a clip does not depend on what pads its batch, and there is noise."""
    model, params = built(monkeypatch, NETWORK, QUICK)
    frames = pictures(3, 112)
    real = jnp.asarray([True, True, False])
    padded = logits(model, params, frames, real_B=real, train=True, key=jax.random.key(KEY))
    alone = logits(model, params, frames[:2], real_B=real[:2], train=True, key=jax.random.key(KEY))
    np.testing.assert_allclose(padded[:2], alone, atol=1e-5)
    other = logits(model, params, frames[:2], train=True, key=jax.random.key(OTHER_KEY))
    assert np.abs(other - alone).max() > 1e-3


def test_no_convolution_stands_in_the_training_step(monkeypatch):
    model, params = built(monkeypatch, NETWORK, QUICK)
    more = {"train": True, "key": jax.random.key(KEY)}
    step = jax.make_jaxpr(lambda params: gradient(model, params, pictures(2, 112), **more))(params)
    assert "dot_general" in str(step)
    assert "conv_general_dilated" not in str(step)


def test_drop_path_rises_over_the_layers_of_the_video_branch():
    """Of 8 layers: linspace(0, 0.2, 8), of which the special branch takes every other."""
    config = HSTAConfig()
    rates = [config.drop_path_rates(hsta.VIDEO, module) for module in range(4)]
    np.testing.assert_allclose(np.ravel(rates), np.linspace(0, 0.2, 8), atol=1e-12)
    special = [config.drop_path_rates(hsta.SPECIAL, module)[0] for module in range(4)]
    np.testing.assert_allclose(special, np.linspace(0, 0.2, 8)[::2], atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depths": (1, 2, 3)}, "--depths=1,2,3 is out of range"),
        ({"depths": (1, 65)}, "--depths=1,65 is out of range"),
        ({"image_size": 28}, "28 pixels wide; HSTA with --size=published"),
        ({"usta": "other"}, "--usta=other: allowed are published and described"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        HSTAConfig(**settings).validate()


def test_recipes_tell_paper_and_code_apart():
    published, described = NETWORK.recipes["published"], NETWORK.recipes["described"]
    assert next(iter(NETWORK.recipes)) == "published"
    assert (published["loss"], described["loss"]) == ("cross_entropy", "mse")
    assert (published["learning_rate"], described["learning_rate"]) == (5e-4 * 32 / 256, 5e-5)
    fields = {field.name for field in dataclasses.fields(HSTAConfig)}
    assert {"usta", "dropout", "drop_path"} <= fields & set(published)
