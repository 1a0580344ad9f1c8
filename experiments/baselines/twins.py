"""The PyTorch twins of the networks, by their settings, and their weights both ways.

Needs the baselines extra.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from ahmsa_jax.config import NetworkConfig
from ahmsa_jax.networks.ahmsa import ModelConfig
from ahmsa_jax.networks.hsta import HSTAConfig
from ahmsa_jax.networks.htnet import HTNetConfig
from ahmsa_jax.networks.mfdan import MFDANConfig
from ahmsa_jax.networks.small import SmallConfig
from ahmsa_jax.networks.ststnet import STSTNetConfig
from experiments.baselines import state_dicts, torch_ahmsa
from experiments.baselines.torch_ahmsa import Form
from experiments.baselines.torch_hsta import TorchHSTA
from experiments.baselines.torch_htnet import TorchHTNet
from experiments.baselines.torch_mfdan import TorchMFDAN
from experiments.baselines.torch_small import TorchSmall
from experiments.baselines.torch_ststnet import TorchSTSTNet

# What a state dict may lack: nothing reads it.
COUNTER = "num_batches_tracked"


@dataclasses.dataclass(frozen=True)
class Twin:
    """A network in PyTorch, and what its state dict calls the Flax parameters.

    Only AHMSA-Net has a form of its own for speed; the peers are one module in both.
    """

    build: Callable[[Any, Form], nn.Module]  # from the network's own settings class
    name_of: state_dicts.NameOf


TWINS: dict[type, Twin] = {
    ModelConfig: Twin(lambda config, form: torch_ahmsa.build(form, config), state_dicts.same_name),
    HTNetConfig: Twin(lambda config, form: TorchHTNet(config), state_dicts.htnet_name),
    STSTNetConfig: Twin(lambda config, form: TorchSTSTNet(config), state_dicts.same_name),
    SmallConfig: Twin(lambda config, form: TorchSmall(config), state_dicts.same_name),
    HSTAConfig: Twin(lambda config, form: TorchHSTA(config), state_dicts.hsta_name),
    MFDANConfig: Twin(lambda config, form: TorchMFDAN(config), state_dicts.mfdan_name),
}


def build(config: NetworkConfig, form: Form = "eager") -> nn.Module:
    """The twin with initial parameters of its own: the network's inputs -> logits (B, K)."""
    return TWINS[type(config)].build(config, form)


def to_torch(
    config: NetworkConfig, params: state_dicts.Arrays, form: Form = "eager"
) -> dict[str, torch.Tensor]:
    """The twin's state dict that computes what these Flax parameters do."""
    shapes = expected_shapes(config, form)
    arrays = state_dicts.to_torch(params, TWINS[type(config)].name_of, shapes)
    # STSTNet's counters of batches, which nothing reads.
    counters = {name: torch.tensor(0) for name in shapes if name.endswith(COUNTER)}
    state = {name: torch.from_numpy(value) for name, value in arrays.items()} | counters
    return dict(sorted(state.items()))


def from_torch(config: NetworkConfig, state: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """The Flax parameters that compute what this state dict of the twin does; sorted by path."""
    arrays = {name: value.detach().cpu().numpy() for name, value in state.items()}
    name_of = TWINS[type(config)].name_of
    return state_dicts.from_torch(arrays, name_of, state_dicts.flax_shapes(config))


@functools.cache
def expected_shapes(config: NetworkConfig, form: Form = "eager") -> dict[str, tuple[int, ...]]:
    """Names and shapes of the twin's state dict, without allocating it."""
    with torch.device("meta"):
        network = build(config, form)
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}
