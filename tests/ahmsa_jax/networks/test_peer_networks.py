"""HTNet and STSTNet compute what their PyTorch twins do, in values, gradients and training.

Modules tried here without being imported:
ahmsa_jax.networks.modules.htnet, ahmsa_jax.networks.modules.ststnet,
ahmsa_jax.networks.published_code, ahmsa_jax.networks.parts.ststnet_windows,
experiments.baselines.torch_htnet, experiments.baselines.torch_norm,
experiments.baselines.torch_ststnet.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from small_problem import TRAINING, data, folds, inputs

from ahmsa_jax.networks.htnet import HTNetConfig, is_frozen
from ahmsa_jax.networks.initial import initial_variables, parameter_shapes
from ahmsa_jax.networks.parts.ststnet_fused import conv_norm_pool
from ahmsa_jax.networks.ststnet import STSTNetConfig
from ahmsa_jax.training import step
from ahmsa_jax.training.engine import Engine, Job
from ahmsa_jax.training.protocols import epoch_shapes
from experiments.baselines import twins

HTNET = HTNetConfig(base_dim=12, blocks=(1, 2, 1))
# Two levels compile in half the time.
SMALL_HTNET = HTNetConfig(base_dim=12, blocks=(1, 1), patch_size=14)
# Dropout off: the two libraries draw other noise.
STSTNET = STSTNetConfig(dropout=0.0)
CONFIGS = {
    "htnet": HTNET,
    "htnet-uvs": HTNetConfig(base_dim=12, blocks=(1, 1, 1), channel_order="uvs"),
    "ststnet": STSTNET,
    "ststnet-uvs": STSTNetConfig(channel_order="uvs", input_scale=255),
}
JOB = Job(0, folds()[1])


def random_params(config, seed=0):
    """Parameters and statistics by path; norms, which begin at 1 and 0, are stirred."""
    rng = np.random.default_rng(seed)
    model = step.make_model(config, TRAINING)
    drawn, statistics = initial_variables(jax.random.key(seed), model, config)
    found = {"/".join(path): np.asarray(value) for path, value in drawn.items()}
    for path, value in statistics.items():
        found["/".join(("batch_stats", *path))] = np.asarray(value)
    for name, value in found.items():
        if name.endswith("/scale"):
            # Negative ones turn the order of values round, which the pool must see.
            found[name] = rng.normal(size=value.shape).astype(np.float32)
        elif name.endswith(("/var", "_pos_emb")):
            found[name] = rng.uniform(0.5, 4, value.shape).astype(np.float32)
        elif name.endswith(("/mean", "/bias")):
            found[name] = rng.normal(size=value.shape).astype(np.float32) / 10
    return found


def variables(params):
    flat = {tuple(name.split("/")): value for name, value in params.items()}
    statistics = {path[1:]: value for path, value in flat.items() if path[0] == "batch_stats"}
    live = {path: value for path, value in flat.items() if path[0] != "batch_stats"}
    return step.variables_of(live, {}, statistics)


@functools.cache
def apply(config):
    return jax.jit(step.make_model(config, TRAINING).apply)


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_agree(name):
    config, flow = CONFIGS[name], data()[0]
    network = twins.build(config).eval()
    params = random_params(config)
    network.load_state_dict(twins.to_torch(config, params))
    with torch.no_grad():
        theirs = network(torch.from_numpy(flow)).numpy()
    ours = np.asarray(apply(config)(variables(params), flow)[0])
    assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()
    # The control: with the channels the other way round they are far apart.
    other = np.asarray(apply(config)(variables(params), flow[..., ::-1].copy())[0])
    assert np.abs(other - theirs).max() > 1e-2 * np.abs(theirs).max()


@pytest.mark.parametrize("name", CONFIGS)
def test_weights_convert_both_ways_exactly(name):
    config = CONFIGS[name]
    params = random_params(config)
    state = twins.to_torch(config, params)
    assert {key: tuple(value.shape) for key, value in state.items()} == dict(
        sorted(twins.expected_shapes(config).items())
    )
    back = twins.from_torch(config, state)
    assert list(back) == sorted(params)
    for key, value in params.items():
        np.testing.assert_array_equal(back[key], value, err_msg=key)


def test_state_dicts_are_named_as_published():
    ststnet = twins.expected_shapes(STSTNetConfig())
    assert ststnet["conv2.weight"] == (5, 3, 3, 3)
    assert ststnet["bn3.running_var"] == (8,)
    assert ststnet["bn1.num_batches_tracked"] == ()
    assert ststnet["fc.weight"] == (3, 400)
    assert len(ststnet) == 3 * 7 + 2
    htnet = twins.expected_shapes(HTNetConfig())
    for key, shape in {
        "to_patch_embedding.1.weight": (256, 147, 1, 1),
        "layers.0.0.pos_emb": (1,),
        "layers.1.0.layers.1.0.norm.g": (1, 512, 1, 1),
        "layers.2.0.layers.7.0.fn.to_qkv.weight": (3 * 1020, 1024, 1, 1),
        "layers.0.0.layers.0.0.fn.to_out.0.weight": (256, 255, 1, 1),
        "layers.0.0.layers.0.1.fn.net.0.bias": (1024,),
        "layers.0.0.layers.0.1.fn.net.3.weight": (256, 1024, 1, 1),
        "layers.1.1.0.weight": (1024, 512, 3, 3),
        "layers.1.1.1.b": (1, 1024, 1, 1),
        "mlp_head.0.g": (1, 1024, 1, 1),
        "mlp_head.2.weight": (3, 1024),
    }.items():
        assert htnet[key] == shape, key
    assert round(sum(int(np.prod(shape)) for shape in htnet.values()) / 1e6, 2) == 114.43


def reference_pool(flow, kernel, bias, scale, shift, eps=1e-5):
    """conv_norm_pool in PyTorch, on tensors that may need gradients."""
    z = torch.nn.functional.conv2d(flow.permute(0, 3, 1, 2), kernel, bias, padding=2)
    normal = torch.nn.functional.batch_norm(
        torch.relu(z), None, None, scale, shift, training=True, eps=eps
    )
    return torch.nn.functional.max_pool2d(normal, 3, 3, 1).permute(0, 2, 3, 1)


@pytest.mark.parametrize("batch", [8, 5])
def test_pooled_convolution_is_torchs_in_value_and_gradient(batch):
    rng = np.random.default_rng(3)
    # Few grey values, in large even parts: windows hold equal values.
    flow = np.repeat(np.repeat(rng.integers(0, 4, (batch, 7, 7, 3)), 4, 1), 4, 2)
    flow = flow.astype(np.float32) * 60
    kernel = rng.normal(size=(3, 3, 3, 16)).astype(np.float32)
    bias, shift = rng.normal(size=(2, 16)).astype(np.float32)
    scale = (rng.uniform(0.5, 1.5, 16) * np.where(np.arange(16) % 3, 1, -1)).astype(np.float32)
    weight = rng.normal(size=(batch, 10, 10, 16)).astype(np.float32)
    # In double precision: PyTorch's own single-precision statistics are off by more than ours.
    given = [torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())]
    given += [torch.from_numpy(value) for value in (bias, scale, shift)]
    given = [value.double().requires_grad_() for value in given]
    theirs = reference_pool(torch.from_numpy(flow).double(), *given)
    (theirs * torch.from_numpy(weight)).sum().backward()

    def weighed(*parameters):
        # Padding, here ten times the maps, must change nothing.
        more = np.concatenate([flow, 10 * flow[: -batch % 8]])
        real = np.arange(len(more)) < batch
        pooled, statistics = conv_norm_pool(more, *parameters, jnp.asarray(real), 1e-5)
        return (pooled[:batch] * weight).sum(), (pooled[:batch], statistics)

    gradient = jax.jit(jax.value_and_grad(weighed, argnums=(0, 1, 2, 3), has_aux=True))
    (_, (ours, statistics)), found = gradient(kernel, bias, scale, shift)
    assert float(statistics.number) == batch * 30 * 30
    expected = [value.grad.numpy() for value in given]
    expected[0] = expected[0].transpose(2, 3, 1, 0)
    for one, other in zip((ours, *found), (theirs.detach().numpy(), *expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5 * np.abs(other).max())


@functools.cache
def engine(config, size):
    (shape,) = set(epoch_shapes(folds(), TRAINING.batch_size).values())
    return Engine(
        config, TRAINING, shape, size=size, test_places=7, devices=jax.local_devices()[:1]
    )


@pytest.mark.parametrize("config", [SMALL_HTNET, STSTNET], ids=["htnet", "ststnet"])
def test_ten_steps_agree(config):
    program = engine(config, 1)
    chunk = program.start([JOB])
    start = program.parameters(chunk, [JOB])[0]
    expected = program.run_epochs(chunk, program.place_data(*inputs()), 0, 5)[0]
    network = twins.build(config).train()
    network.load_state_dict(twins.to_torch(config, start))
    optimizer = torch.optim.Adam(network.parameters(), lr=TRAINING.learning_rate)
    flow, label = map(torch.from_numpy, data())
    key = step.fold_key(0, np.uint32(JOB.fold.stable_id))
    fold = step.FoldInput({}, jnp.asarray(JOB.fold.train_N), jnp.asarray(JOB.fold.test_index), key)
    losses = []
    for epoch in range(5):
        index, real = step.epoch_order(fold, epoch, program.shape, shuffle=True)
        clips = torch.from_numpy(np.asarray(index)[np.asarray(real)].copy())
        total = 0.0
        for batch in clips.split(TRAINING.batch_size):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(network(flow[batch]), label[batch])
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(batch)
        losses.append(total / JOB.fold.n_train)
    np.testing.assert_allclose(losses, expected, atol=1e-4)
    # The control: training moves the loss by far more than the tolerance.
    assert abs(expected[0] - expected[-1]) > 1e-3
    after = program.parameters(chunk, [JOB])[0]
    theirs = twins.from_torch(config, network.state_dict())
    for name in after:
        if name.startswith("batch_stats/"):
            np.testing.assert_allclose(after[name], theirs[name], rtol=1e-4, err_msg=name)


def test_htnet_holds_q_and_k_out_of_the_optimizer_at_every_level():
    shapes = parameter_shapes(step.make_model(HTNET, TRAINING), HTNET)
    assert sum(is_frozen(path, HTNET) for path in shapes) == 2 * sum(HTNET.blocks)
    config, flow = HTNET, data()[0]
    params = random_params(config)
    other = {
        name: value + 1 if "/query/" in name or "/key/" in name else value
        for name, value in params.items()
    }
    logits = [np.asarray(apply(config)(variables(p), flow)[0]) for p in (params, other)]
    np.testing.assert_array_equal(*logits)
