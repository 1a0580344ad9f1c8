"""AHMSA-Net with modules left out, average pooling and one level, against NumPy's own way.

Modules tried here without being imported: ahmsa_jax.networks.hierarchy.
"""

import dataclasses
import math

import jax
import numpy as np
import pytest
import small_problem
from random_arrays import random

from ahmsa_jax import AHMSANet, ConfigError, ModelConfig
from ahmsa_jax.config import plain
from ahmsa_jax.networks.ahmsa import is_frozen, products
from ahmsa_jax.networks.initial import initial_variables, parameter_shapes
from ahmsa_jax.networks.modules.ahmsa import MultiScaleAttention
from ahmsa_jax.networks.parts import pooling
from ahmsa_jax.networks.parts.downsampling import Conv3x3, Downsampling
from ahmsa_jax.networks.parts.residual import Patches
from ahmsa_jax.training.step import variables_of

SWITCHES = ("channel_attention", "spatial_attention", "feed_forward")
NORM_OF = {"channel_attention": "norm_channel", "spatial_attention": "norm_spatial"}
NORM_OF["feed_forward"] = "norm_feed_forward"
MODEL = small_problem.MODEL
HEADS = 3


def without(*switches):
    return dataclasses.replace(MODEL, **dict.fromkeys(switches, False))


def normalised(x, params):
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    return (x - x.mean(axis=-1, keepdims=True)) / deviation * params["scale"] + params["bias"]


def channel_attention(x, params):
    """CBAM's, written out."""
    squeeze, expand = params["squeeze"]["kernel"], params["expand"]["kernel"]
    both = [np.maximum(pooled @ squeeze, 0) @ expand for pooled in (x.mean(1), x.max(1))]
    return x / (1 + np.exp(-sum(both)))[:, None]


def spatial_attention(x, params):
    """Equation 4, head by head."""
    q, k, v = (x @ params[name]["kernel"] for name in ("query", "key", "value"))
    width, heads = q.shape[-1] // HEADS, []
    for head in range(HEADS):
        own = slice(head * width, (head + 1) * width)
        logits = q[..., own] @ k[..., own].transpose(0, 2, 1) / math.sqrt(width)
        weight = np.exp(logits - logits.max(-1, keepdims=True))
        heads.append(weight / weight.sum(-1, keepdims=True) @ v[..., own])
    return np.concatenate(heads, -1) @ params["output"]["kernel"] + params["output"]["bias"]


def feed_forward(x, params):
    hidden = x @ params["expand"]["kernel"] + params["expand"]["bias"]
    hidden = hidden * 0.5 * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2)))
    return hidden @ params["project"]["kernel"] + params["project"]["bias"]


STEPS = (channel_attention, spatial_attention, feed_forward)


@pytest.mark.parametrize("absent", [(), *((one,) for one in SWITCHES), SWITCHES[:2]])
def test_a_block_is_the_modules_that_are_left_one_after_another(absent):
    config = without(*absent)
    block = MultiScaleAttention(config, HEADS)
    x = random(2, 4, config.base_dim)
    variables = jax.jit(lambda key, x: block.init(key, Patches.of(x)))(jax.random.key(0), x)
    params = jax.tree.map(np.asarray, variables["params"])
    left = [name for name in SWITCHES if name not in absent]
    assert set(params) == {part for name in left for part in (name, NORM_OF[name])}
    expected = x.astype(np.float64)
    for step in STEPS:
        name = step.__name__
        if name in left:
            expected = expected + step(normalised(expected, params[NORM_OF[name]]), params[name])

    def applied(variables, x):
        patches, seen = block.apply(variables, Patches.of(x))
        return patches.read(), seen

    found, seen = jax.jit(applied)(variables, x)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    named = {"channel_attention": "channel_weights", "spatial_attention": "attention"}
    assert set(seen) == {named[name] for name in left if name in named}
    # The control: the modules do something.
    assert np.abs(expected - x).max() > 0.01


@pytest.mark.parametrize(("size", "out"), [(4, 2), (2, 1), (9, 3), (5, 3)])
def test_average_pooling_is_the_mean_of_the_same_bins(size, out):
    x = random(2, size, size, 5)
    expected = np.empty((2, out, out, 5), np.float32)
    for i in range(out):
        rows = slice(math.floor(i * size / out), math.ceil((i + 1) * size / out))
        for j in range(out):
            columns = slice(math.floor(j * size / out), math.ceil((j + 1) * size / out))
            expected[:, i, j] = x[:, rows, columns].mean(axis=(1, 2))
    found = pooling.mean_of_bins(x, pooling.adaptive_bins(size, out))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_average_pooling_stands_where_the_maximum_did():
    """Conv, LayerNorm, then the mean; the parameters are the same."""
    x, bins = random(2, 16, 6), pooling.adaptive_bins(4, 2)
    down = Downsampling(8, bins, average=True)
    variables = down.init(jax.random.key(1), x)
    params = jax.tree.map(np.asarray, variables["params"])
    convolved = Conv3x3(8).apply({"params": params["conv"]}, x.reshape(2, 4, 4, 6))
    normal = normalised(np.asarray(convolved, np.float64), params["norm"])
    expected = normal.reshape(2, 2, 2, 2, 2, 8).mean(axis=(2, 4)).reshape(2, 4, 8)
    np.testing.assert_allclose(down.apply(variables, x), expected, atol=1e-5)
    usual = Downsampling(8, bins).apply(variables, x)
    assert np.abs(usual - expected).max() > 0.1


def test_one_level_keeps_its_grid_and_the_head_takes_its_mean():
    config = dataclasses.replace(MODEL, blocks=(0,), patch_size=7)
    config.validate()
    assert config.grids == (4,)
    drawn, _ = initial_variables(jax.random.key(0), AHMSANet(config), config)
    params = {path: np.asarray(leaf, np.float64) for path, leaf in drawn.items()}
    flow = small_problem.data()[0][:3]
    patches = flow.reshape(3, 4, 7, 4, 7, 3).swapaxes(2, 3).reshape(3, 16, 147)
    x = patches @ params["patch_embedding", "kernel"] + params["patch_embedding", "bias"]
    norm = {name: params["head_norm", name] for name in ("scale", "bias")}
    expected = normalised(x, norm).mean(axis=1) @ params["head", "kernel"] + params["head", "bias"]
    logits, _ = jax.jit(AHMSANet(config).apply)(variables_of(drawn, {}, {}), flow)
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_one_level_of_twelve_blocks_has_no_dead_parameters():
    config = ModelConfig(blocks=(12,))
    config.validate()
    paths = parameter_shapes(AHMSANet(config), config)
    assert {path[0] for path in paths if path[0].startswith("level")} == {
        f"level_0_block_{block}" for block in range(12)
    }
    assert not any(is_frozen(path, config) for path in paths)
    # A single level of one patch, accepted before, has them.
    alone = ModelConfig(blocks=(1,), patch_size=28)
    alone.validate()
    assert any(is_frozen(path, alone) for path in parameter_shapes(AHMSANet(alone), alone))
    with pytest.raises(ConfigError, match="do not lead from a 4x4 grid"):
        ModelConfig(blocks=(6, 6)).validate()


def test_multiply_adds_of_the_modules_by_hand():
    """Width 12 on 2x2 and 24 on 1x1, three and six heads of 4, squeezed by 4, expanded by 4."""
    usual = products(MODEL)
    of_level = {
        "channel_attention": (2 * 2 * 12 * 3, 2 * 24 * 6),
        "spatial_attention": (4 * 4 * 12 * 12 + 2 * 4**2 * 12, 2 * 24 * 24),
        "feed_forward": (4 * 2 * 4 * 12**2, 2 * 4 * 24**2),
    }
    for name, (first, second) in of_level.items():
        found = products(without(name))
        assert usual["level_0"] - found["level_0"] == first
        assert usual["level_1"] - found["level_1"] == second
    nothing = products(without(*SWITCHES))
    assert (nothing["level_0"], nothing["level_1"]) == (0, 0)
    assert nothing["down_1"] == usual["down_1"]


def test_what_is_stored_of_the_usual_network_is_as_before():
    stored = plain(ModelConfig())
    assert set(stored) == {
        *("image_size", "num_classes", "patch_size", "blocks", "heads", "base_dim", "mlp_ratio"),
        *("scale_factor", "reduction", "activation", "positional_embedding", "input_scale"),
    }
    other = ModelConfig(feed_forward=False, pooling="average")
    assert plain(other) == stored | {"feed_forward": False, "pooling": "average"}
    with pytest.raises(ConfigError, match="--pooling=median: allowed are adaptive_max and average"):
        ModelConfig(pooling="median").validate()


def test_a_network_of_what_is_left_trains():
    config = dataclasses.replace(without("spatial_attention"), pooling="average")
    program = small_problem.engine(1, model=config)
    (fold,) = (one for one in small_problem.folds() if one.key == "lab/b")
    jobs = [small_problem.Job(0, fold)]
    chunk = program.start(jobs)
    before = program.parameters(chunk, jobs)[0]
    data = program.place_data(*small_problem.inputs())
    (losses,) = program.run_epochs(chunk, data, 0, 2)
    after = program.parameters(chunk, jobs)[0]
    assert np.isfinite(losses).all()
    assert before.keys() == after.keys()
    assert not any("spatial" in name for name in after)
    assert all((before[name] != after[name]).any() for name in after)
