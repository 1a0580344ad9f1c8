"""The small network computes what its PyTorch twin does, running statistics included.

Modules tried here without being imported: experiments.baselines.torch_small.
"""

import jax
import numpy as np
import torch
from small_problem import TRAINING

from ahmsa_jax.networks.initial import initial_variables
from ahmsa_jax.networks.small import SmallConfig
from ahmsa_jax.training import step
from experiments.baselines import twins

# The two libraries draw other noise.
STILL = SmallConfig(input_dropout=0.0, dropout=0.0)


def flow(seed=0):
    return np.random.default_rng(seed).normal(size=(9, 28, 28, 3)).astype(np.float32)


def test_values_and_running_statistics_are_pytorchs():
    model = step.make_model(STILL, TRAINING)
    params, statistics = initial_variables(jax.random.key(1), model, STILL)
    network = twins.build(STILL).train()
    flat = {"/".join(path): np.asarray(leaf) for path, leaf in params.items()}
    flat |= {"/".join(("batch_stats", *path)): np.asarray(s) for path, s in statistics.items()}
    network.load_state_dict(twins.to_torch(STILL, flat))
    theirs_trained = network(torch.from_numpy(flow()))
    variables = step.variables_of(params, {}, statistics)
    (ours_trained, _), changed = model.apply(
        variables,
        flow(),
        train=True,
        rngs={"dropout": jax.random.key(0)},
        mutable=["batch_stats"],
    )
    np.testing.assert_allclose(ours_trained, theirs_trained.detach(), atol=2e-5)
    moved = step.statistics_of(changed)
    np.testing.assert_allclose(moved["norm", "mean"], network.norm.running_mean, atol=1e-6)
    np.testing.assert_allclose(moved["norm", "var"], network.norm.running_var, atol=1e-6)
    theirs = network.eval()(torch.from_numpy(flow(seed=1)))
    ours, _ = model.apply(step.variables_of(params, {}, moved), flow(seed=1))
    np.testing.assert_allclose(ours, theirs.detach(), atol=2e-5)
