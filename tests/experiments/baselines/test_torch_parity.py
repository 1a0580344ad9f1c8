"""The PyTorch networks compute what ahmsa_jax does, and the building blocks are PyTorch's own."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_problem
import torch
from random_arrays import random
from small_problem import TRAINING, data, folds, inputs

from ahmsa_jax import AHMSANet, ModelConfig
from ahmsa_jax.networks.initial import initial_variables
from ahmsa_jax.networks.parts import downsampling, layers, pooling
from ahmsa_jax.training import step
from ahmsa_jax.training.engine import Job
from experiments.baselines import state_dicts, torch_ahmsa, twins
from experiments.baselines.torch_step import TorchFold

MODEL = dataclasses.replace(small_problem.MODEL, blocks=(1, 1, 1), patch_size=7)

FORMS = ("eager", "expert")
JOB = Job(0, folds()[1])
EPOCHS = 5  # of two steps
PLACED = ModelConfig(
    base_dim=12, blocks=(1, 1, 1), reduction=4, positional_embedding=True, activation="relu"
)


def parameters(config, seed=0):
    return initial_variables(jax.random.key(seed), AHMSANet(config), config)[0]


def by_name(params):
    return {"/".join(path): np.asarray(value) for path, value in params.items()}


@functools.cache
def logits(config):
    params = step.variables_of(parameters(config), {}, {})
    return np.asarray(jax.jit(AHMSANet(config).apply)(params, data()[0])[0])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("config", [MODEL, PLACED], ids=["usual", "placed"])
def test_logits_agree(config, form):
    network = torch_ahmsa.build(form, config)
    network.load_state_dict(twins.to_torch(config, by_name(parameters(config)), form))
    with torch.no_grad():
        ours = network(torch.from_numpy(data()[0])).numpy()
    assert np.abs(ours - logits(config)).max() <= 1e-5 * np.abs(logits(config)).max()
    # The control: other weights, of the same ranges, are far from that.
    network.load_state_dict(twins.to_torch(config, by_name(parameters(config, seed=1)), form))
    with torch.no_grad():
        other = network(torch.from_numpy(data()[0])).numpy()
    assert np.abs(other - logits(config)).max() > 1e-2 * np.abs(logits(config)).max()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("config", [MODEL, PLACED], ids=["usual", "placed"])
def test_weights_convert_both_ways_exactly(config, form):
    params = by_name(parameters(config))
    state = twins.to_torch(config, params, form)
    network = torch_ahmsa.build(form, config)
    network.load_state_dict(state)  # strict: every name and shape is the network's
    back = twins.from_torch(config, network.state_dict())
    assert list(back) == sorted(params)
    assert {name: value.shape for name, value in back.items()} == state_dicts.flax_shapes(config)
    for name, value in params.items():
        assert back[name].shape == value.shape
        np.testing.assert_array_equal(back[name], value)
    fresh = torch_ahmsa.build(form, config).state_dict()
    again = twins.to_torch(config, twins.from_torch(config, fresh), form)
    assert list(again) == sorted(again)
    for name, value in fresh.items():
        assert torch.equal(again[name], value), name


def batches(shape):
    """The clips of every step, in the engine's order."""
    key = step.fold_key(0, np.uint32(JOB.fold.stable_id))
    fold = step.FoldInput({}, jnp.asarray(JOB.fold.train_N), jnp.asarray(JOB.fold.test_index), key)
    found = []
    for epoch in range(EPOCHS):
        index, real = step.epoch_order(fold, epoch, shape, shuffle=True)
        kept = np.asarray(index)[np.asarray(real)]
        found += [kept[: shape.batch_size], kept[shape.batch_size :]]
    return found


@pytest.mark.parametrize("form", FORMS)
def test_ten_steps_agree(form):
    program = small_problem.engine(1, model=MODEL)
    chunk = program.start([JOB])
    start = program.parameters(chunk, [JOB])[0]
    expected = program.run_epochs(chunk, program.place_data(*inputs()), 0, EPOCHS)[0]
    clips = batches(program.shape)
    fold = TorchFold(form, MODEL, TRAINING, *inputs(), compiled=False)
    # A fold before it must leave no trace.
    fold.start(by_name(parameters(MODEL, seed=4)))
    fold.run([fold.as_index(index) for index in clips[:2]])
    fold.start(start)
    losses = np.array(fold.run([fold.as_index(index) for index in clips]))
    sizes = np.array([len(index) for index in clips])
    by_epoch = (losses * sizes).reshape(EPOCHS, 2).sum(axis=1) / JOB.fold.n_train
    np.testing.assert_allclose(by_epoch, expected, atol=1e-4)
    # The control: training moves the loss by far more than the tolerance.
    assert abs(expected[0] - expected[-1]) > 1e-3


def test_only_the_expert_leaves_dead_parameters_out():
    frozen = {
        form: sum(
            value.numel()
            for value in torch_ahmsa.build(form, MODEL).parameters()
            if not value.requires_grad
        )
        for form in FORMS
    }
    assert frozen == {"eager": 0, "expert": 2 * 48 * 48}


@pytest.mark.parametrize(("size", "out"), [(4, 2), (2, 1), (9, 3), (3, 1), (5, 3), (7, 3), (4, 3)])
def test_adaptive_max_pool_is_torchs(size, out):
    x = random(2, size, size, 5)
    pooled = torch.nn.AdaptiveMaxPool2d(out)(torch.from_numpy(x).permute(0, 3, 1, 2))
    ours = pooling.largest_of_bins(jnp.asarray(x), pooling.adaptive_bins(size, out))
    np.testing.assert_array_equal(ours, pooled.permute(0, 2, 3, 1).numpy())


def test_layer_norm_is_torchs():
    x, weight = random(3, 4, 12), random(3, 4, 12, seed=1)
    theirs = torch.nn.LayerNorm(12, eps=1e-5)
    with torch.no_grad():
        theirs.weight.copy_(torch.from_numpy(random(12, seed=2)))
        theirs.bias.copy_(torch.from_numpy(random(12, seed=3)))
    given = torch.from_numpy(x).requires_grad_()
    value = theirs(given)
    (value * torch.from_numpy(weight)).sum().backward()
    scale, bias = random(12, seed=2), random(12, seed=3)
    np.testing.assert_allclose(layers.layer_norm(x, scale, bias), value.detach(), atol=2e-6)
    gradients = jax.grad(
        lambda *arguments: (layers.layer_norm(*arguments) * weight).sum(), argnums=(0, 1, 2)
    )(jnp.asarray(x), scale, bias)
    for ours, torchs in zip(
        gradients, (given.grad, theirs.weight.grad, theirs.bias.grad), strict=True
    ):
        np.testing.assert_allclose(ours, torchs, atol=5e-6)


@pytest.mark.parametrize("grid", [1, 2, 3, 4, 9])
def test_conv3x3_is_torchs_in_value_and_gradient(grid):
    x, weight = random(2, grid, grid, 3), random(2, grid, grid, 5, seed=1)
    kernel, bias = random(3, 3, 3, 5, seed=2), random(5, seed=3)
    given = torch.from_numpy(x).requires_grad_()
    theirs = torch.nn.Conv2d(3, 5, 3, padding=1)
    with torch.no_grad():
        theirs.weight.copy_(torch.from_numpy(kernel.transpose(3, 2, 0, 1)))
        theirs.bias.copy_(torch.from_numpy(bias))
    value = theirs(given.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    (value * torch.from_numpy(weight)).sum().backward()

    def weighed(x, kernel, bias):
        params = {"params": {"kernel": kernel, "bias": bias}}
        y = downsampling.Conv3x3(5).apply(params, x)
        return (y * weight).sum(), y

    (_, ours), gradients = jax.jit(jax.value_and_grad(weighed, argnums=(0, 1, 2), has_aux=True))(
        x, kernel, bias
    )
    np.testing.assert_allclose(ours, value.detach(), atol=1e-5)
    torchs = (given.grad, theirs.weight.grad.permute(2, 3, 1, 0), theirs.bias.grad)
    for gradient, expected in zip(gradients, torchs, strict=True):
        # Sums of up to 162 products of size about 1.
        np.testing.assert_allclose(gradient, expected, atol=5e-5)


def test_initial_ranges_are_torchs():
    """Uniform in +-1/sqrt(fan_in): same bounds, and filled evenly, leaf by leaf."""
    config = ModelConfig(base_dim=24, blocks=(1, 1, 1))
    torch.manual_seed(0)
    theirs = twins.from_torch(config, torch_ahmsa.build("eager", config).state_dict())
    ours = by_name(parameters(config))
    compared = 0
    for name, value in ours.items():
        other = theirs[name]
        if value.size < 200:
            continue
        compared += 1
        bound = np.abs(np.concatenate([value.ravel(), other.ravel()])).max()
        # The largest of n even draws misses the bound by 1/n on average.
        for found in (value, other):
            assert np.abs(found).max() > bound * (1 - 20 / value.size), name
            assert abs(found.std() / (bound / 3**0.5) - 1) < 0.1, name
    assert compared > 15
    for name in ("level_0_block_0/norm_channel/scale", "level_0_block_0/norm_channel/bias"):
        np.testing.assert_array_equal(ours[name], theirs[name])
