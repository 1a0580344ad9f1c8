"""AHMSA-Net as a whole: its size, shapes, intermediates, and what each setting changes.

Modules tried here without being imported:
ahmsa_jax.networks.hierarchy, ahmsa_jax.networks.modules.ahmsa.
"""

import dataclasses

import jax
import numpy as np
import pytest
import small_problem

from ahmsa_jax import AHMSANet, ConfigError, ModelConfig, TrainConfig
from ahmsa_jax.networks.ahmsa import is_frozen
from ahmsa_jax.networks.initial import initial_variables, parameter_shapes
from ahmsa_jax.training.step import variables_of

# All three levels; the engine's tests leave the middle one out.
MODEL = dataclasses.replace(small_problem.MODEL, blocks=(1, 1, 1), patch_size=7)


def parameters(config, seed=0):
    drawn, _ = initial_variables(jax.random.key(seed), AHMSANet(config), config)
    return variables_of(drawn, {}, {})


def run(config, maps, dtype=np.float32):
    apply = jax.jit(AHMSANet(config, dtype).apply)
    return apply(parameters(config), maps)


def maps(count=3, size=28):
    return np.random.default_rng(0).uniform(0, 255, (count, size, size, 3)).astype(np.float32)


def hand_count(width, blocks, heads, reduction, ratio):
    """Parameters of the network from the paper's description and the README's table."""
    total = 147 * width + width
    dead = 0
    for level, count in enumerate(blocks):
        inner = heads * (width // heads)
        norms = 3 * 2 * width
        channel = 2 * width * (width // reduction)
        spatial = 3 * width * inner + inner * width + width
        feed_forward = 2 * ratio * width * width + ratio * width + width
        total += count * (norms + channel + spatial + feed_forward)
        if level == len(blocks) - 1:
            dead = count * 2 * width * inner
            total += 2 * width + 3 * width + 3
        else:
            total += 9 * width * 2 * width + 2 * width + 2 * 2 * width
            width, heads = 2 * width, 2 * heads
    return total, dead


def test_parameter_count_at_the_papers_setting():
    config = ModelConfig()
    shapes = parameter_shapes(AHMSANet(config), config)
    total = sum(int(np.prod(shape)) for shape in shapes.values())
    dead = sum(int(np.prod(shape)) for path, shape in shapes.items() if is_frozen(path, config))
    assert (total, dead) == hand_count(256, (2, 2, 8), 3, 16, 4)
    # The design's figures.
    assert round(total / 1e6, 1) == 115.6
    assert round(dead / 1e6, 1) == 16.7


@pytest.mark.parametrize("size", [28, 36])
def test_shapes_of_logits_and_intermediates(size):
    config = MODEL
    if size == 36:
        config = dataclasses.replace(config, image_size=36, patch_size=4, scale_factor=3)
    assert config.grids == ((4, 2, 1) if size == 28 else (9, 3, 1))
    config.validate()
    logits, seen = run(config, maps(size=size))
    assert logits.shape == (3, 3)
    assert logits.dtype == np.float32
    for level, (tokens, width, heads) in enumerate(
        zip([grid**2 for grid in config.grids], (12, 24, 48), (3, 6, 12), strict=True)
    ):
        weight = np.asarray(seen[f"level_{level}/block_0/channel_weights"])
        attention = np.asarray(seen[f"level_{level}/block_0/attention"])
        assert weight.shape == (3, width)
        assert (weight > 0).all()
        assert (weight < 1).all()
        assert attention.shape == (3, heads, tokens, tokens)
        np.testing.assert_allclose(attention.sum(axis=-1), 1, atol=1e-5)
    assert len(seen) == 6


def test_attention_spans_the_whole_grid():
    """Every patch attends to every other of its level: no windows (eq. 4)."""
    _, seen = run(MODEL, maps())
    assert (np.asarray(seen["level_0/block_0/attention"]) > 0).all()
    assert (np.asarray(seen["level_1/block_0/attention"]) > 0).all()


def test_clips_do_not_influence_each_other():
    many, _ = run(MODEL, maps(5))
    one, _ = run(MODEL, maps(5)[2:3])
    # The rows of a product may be summed in another order: float32 rounding of logits near 1.
    np.testing.assert_allclose(one[0], many[2], atol=2e-5)


def test_input_scale_divides():
    scaled = dataclasses.replace(MODEL, input_scale=255.0)
    np.testing.assert_allclose(run(scaled, maps())[0], run(MODEL, maps() / 255)[0], atol=1e-5)
    assert np.abs(run(scaled, maps())[0] - run(MODEL, maps())[0]).max() > 1e-3


@pytest.mark.parametrize(
    "change", [{"activation": "relu"}, {"positional_embedding": True}, {"mlp_ratio": 2}]
)
def test_settings_change_the_network(change):
    usual = run(MODEL, maps())[0]
    other = run(dataclasses.replace(MODEL, **change), maps())[0]
    assert np.abs(usual - other).max() > 1e-5


def test_bfloat16_computes_near_float32():
    exact = run(MODEL, maps())[0]
    rough = run(MODEL, maps(), dtype=jax.numpy.bfloat16)[0]
    # bfloat16 keeps 8 bits: 0.4 % a rounding, some tens of them on the way to logits near 1.
    np.testing.assert_allclose(rough, exact, atol=0.1)
    assert np.abs(rough - exact).max() > 0


def test_dead_parameters_do_not_matter():
    config = MODEL
    params = parameters(config)
    shapes = parameter_shapes(AHMSANet(config), config)
    model = AHMSANet(config)
    other, _ = initial_variables(jax.random.key(9), model, config)
    mixed, _ = initial_variables(jax.random.key(0), model, config)
    for path in shapes:
        if is_frozen(path, config):
            mixed[path] = other[path]
    apply = jax.jit(AHMSANet(config).apply)
    logits = apply(params, maps())[0]
    np.testing.assert_array_equal(logits, apply(variables_of(mixed, {}, {}), maps())[0])


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (ModelConfig(base_dim=0), "--base_dim=0 is out of range; allowed are 1 to 8192"),
        (ModelConfig(heads=0), "--heads=0"),
        (ModelConfig(base_dim=8, heads=9), "--heads=9 is out of range; allowed are 1 to 8"),
        (ModelConfig(blocks=(2, 2)), "do not lead from a 4x4 grid"),
        (ModelConfig(blocks=(2, -1, 2)), "--blocks=2,-1,2"),
        (ModelConfig(patch_size=5), "--patch_size=5 does not divide"),
        (ModelConfig(input_scale=0.0), "--input_scale=0"),
        (ModelConfig(input_scale=float("nan")), "--input_scale=nan"),
        (ModelConfig(scale_factor=1), "--scale_factor=1"),
        (TrainConfig(epochs=0), "--epochs=0"),
        (TrainConfig(batch_size=0), "--batch_size=0"),
        (TrainConfig(learning_rate=0.0), "--learning_rate=0"),
        (TrainConfig(learning_rate=float("inf")), "--learning_rate=inf"),
        (TrainConfig(learning_rate=float("nan")), "--learning_rate=nan"),
    ],
)
def test_settings_out_of_range_are_refused(config, words):
    with pytest.raises(ConfigError) as error:
        config.validate()
    assert words in str(error.value)
