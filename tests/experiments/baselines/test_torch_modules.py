"""The PyTorch twins of AHMSA-Net with modules left out, average pooling, one level."""

import dataclasses

import jax
import numpy as np
import pytest
import small_problem
import torch

from ahmsa_jax import AHMSANet
from ahmsa_jax.networks.initial import initial_variables
from ahmsa_jax.training import step
from experiments.baselines import torch_ahmsa, twins

MODEL = dataclasses.replace(small_problem.MODEL, blocks=(1, 1, 1), patch_size=7)
CHANGES = (
    {"channel_attention": False},
    {"spatial_attention": False},
    {"feed_forward": False},
    {"pooling": "average"},
    {"blocks": (2,)},
)


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_logits_and_weights_agree(change):
    config = dataclasses.replace(MODEL, **change)
    config.validate()
    drawn, _ = initial_variables(jax.random.key(0), AHMSANet(config), config)
    flow = small_problem.data()[0]
    apply = jax.jit(AHMSANet(config).apply)
    expected = np.asarray(apply(step.variables_of(drawn, {}, {}), flow)[0])
    params = {"/".join(path): np.asarray(value) for path, value in drawn.items()}
    for form in ("eager", "expert"):
        network = torch_ahmsa.build(form, config)
        # Strict: every name and shape is the network's.
        network.load_state_dict(twins.to_torch(config, params, form))
        with torch.no_grad():
            found = network(torch.from_numpy(flow)).numpy()
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
        back = twins.from_torch(config, network.state_dict())
        assert list(back) == sorted(params)
        for name, value in params.items():
            np.testing.assert_array_equal(back[name], value)
    # The control: the usual twin takes other weights, or gives other logits.
    usual = torch_ahmsa.build("eager", MODEL)
    state = twins.to_torch(config, params)
    if set(state) == set(usual.state_dict()):
        usual.load_state_dict(state)
        with torch.no_grad():
            other = usual(torch.from_numpy(flow)).numpy()
        assert np.abs(other - expected).max() > 1e-2 * np.abs(expected).max()
    else:
        assert change != {"pooling": "average"}
