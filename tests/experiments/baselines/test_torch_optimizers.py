"""The PyTorch loops' optimizers make the engine's steps, decay and layers included."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import twin_parity

from ahmsa_jax.config import TrainConfig
from ahmsa_jax.networks.hsta import NETWORK as HSTA
from ahmsa_jax.networks.hsta import HSTAConfig
from ahmsa_jax.networks.mfdan import NETWORK as MFDAN
from ahmsa_jax.networks.mfdan import MFDANConfig
from ahmsa_jax.training import optimizers
from experiments.baselines import torch_optimizers, twins

STEPS = 4
CONFIGS = {"hsta": HSTAConfig(size="tiny", depths=(1, 1)), "mfdan": MFDANConfig(size="tiny")}
NETWORKS = {"hsta": HSTA, "mfdan": MFDAN}


def gradients(params, step):
    rng = np.random.default_rng(step)
    return {path: rng.normal(size=x.shape).astype(np.float32) for path, x in params.items()}


def by_engine(config, params, training):
    optimizer = optimizers.make_optimizer(training, STEPS, config)
    live = {path: jnp.asarray(x) for path, x in params.items()}
    state = optimizer.init(live)

    @functools.partial(jax.jit, compiler_options=twin_parity.QUICK)
    def step(gradient, state, live):
        updates, state = optimizer.update(gradient, state, live)
        return state, jax.tree.map(jnp.add, live, updates)

    for number in range(STEPS):
        state, live = step(gradients(params, number), state, live)
    return {"/".join(path): np.asarray(x) for path, x in live.items()}


def by_torch(config, params, training):
    network = twins.build(config)
    network.load_state_dict(twins.to_torch(config, flat(params)))
    optimizer = torch_optimizers.make_optimizer(network, config, training)
    schedule = torch_optimizers.make_schedule(optimizer, training, STEPS)
    for step in range(STEPS):
        given = twins.to_torch(config, flat(gradients(params, step)))
        for name, value in network.named_parameters():
            value.grad = given[name]
        optimizer.step()
        if schedule is not None:
            schedule.step()
    return twins.from_torch(config, network.state_dict())


def flat(params):
    return {"/".join(path): x for path, x in params.items()}


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        (
            "hsta",
            {
                "optimizer": "adamw",
                "weight_decay": 2.0,
                "layer_decay": 0.5,
                "schedule": "cosine",
            },
        ),
        ("mfdan", {"optimizer": "adan", "weight_decay": 2.0, "schedule": "onecycle"}),
    ],
    ids=["hsta", "mfdan"],
)
def test_steps_are_the_engines(model, settings):
    """From the same gradients; a leaf that decays, or learns more slowly, or not, is seen."""
    training = TrainConfig(learning_rate=1e-2, epochs=1, **settings)
    config = CONFIGS[model]
    params = twin_parity.weights(NETWORKS[model], config)
    ours, theirs = (way(config, params, training) for way in (by_engine, by_torch))
    assert ours.keys() == theirs.keys()
    for path, value in ours.items():
        np.testing.assert_allclose(theirs[path], value, rtol=1e-5, atol=2e-6, err_msg=path)
    # The control: each leaf has moved by far more than that.
    start = flat(params)
    assert min(np.abs(ours[path] - start[path]).max() for path in ours) > 1e-4


def test_every_layer_has_its_share_of_the_rate():
    config = dataclasses.replace(CONFIGS["hsta"], modules=2)
    training = TrainConfig(optimizer="adamw", learning_rate=1.0, weight_decay=0.1, layer_decay=0.5)
    network = twins.build(config)
    name_of = {id(value): name for name, value in network.named_parameters()}
    rate_of, decays = {}, set()
    for group in torch_optimizers.groups(network, config, training):
        for value in group["params"]:
            name = name_of[id(value)]
            rate_of[name] = group["lr"]
            if group["weight_decay"]:
                decays.add(name)
    assert rate_of.keys() == set(name_of.values())
    assert rate_of["patch_embed.0.proj.weight"] == 0.125
    assert rate_of["blocks.0.blocks.1.0.attn.qkv.weight"] == 0.25
    assert rate_of["blocks.1.fusion.0.attn.wq.weight"] == 0.5
    assert rate_of["head.weight"] == rate_of["cls_token.0"] == rate_of["norm.1.bias"] == 1
    # As in the published code.
    assert "cls_token.0" in decays
    assert not {"norm.0.weight", "head.bias", "blocks.0.blocks.0.0.attn.q_bias"} & decays


def test_adan_by_hand():
    """Three steps of one number, decay 0, as in the paper's algorithm 1 with bias correction."""
    value = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimizer = torch_optimizers.Adan([value], lr=0.1, betas=(0.5, 0.5, 0.5), eps=0.0)
    steps = []
    for gradient in (1.0, 3.0, 2.0):
        value.grad = torch.tensor([gradient], dtype=torch.float64)
        before = value.item()
        optimizer.step()
        steps.append((before - value.item()) / 0.1)
    # Means 1/2, 7/4, 15/8; of the changes 0, 2, -1: 0, 1, 0; of the squares of the gradients ahead,
    # 1, 4, 3/2: 1/2, 33/4, 21/4. Each is made whole by 1/2, 3/4, 7/8.
    expected = [
        1 / 1**0.5,
        (7 / 3 + 0.5 * 4 / 3) / 11**0.5,
        (15 / 7) / 6**0.5,
    ]
    assert steps == pytest.approx(expected, rel=1e-12)
