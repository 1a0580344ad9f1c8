"""The PyTorch twins of the networks, by their settings, and their weights both ways.

Needs the baselines extra.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from ahmsa_jax.config import NetworkConfig
from ahmsa_jax.networks.ahmsa import ModelConfig
from ahmsa_jax.networks.htnet import HTNetConfig
from ahmsa_jax.networks.ststnet import STSTNetConfig
from experiments.baselines import state_dicts, torch_ahmsa
from experiments.baselines.state_dicts import Arrays, State
from experiments.baselines.torch_ahmsa import Form
from experiments.baselines.torch_htnet import TorchHTNet
from experiments.baselines.torch_ststnet import TorchSTSTNet


@dataclasses.dataclass(frozen=True)
class Twin:
    """A network in PyTorch and the way between its state dict and the Flax parameters.

    Only AHMSA-Net has a form of its own for speed; the peers are one module in both.
    """

    build: Callable[[Any, Form], nn.Module]  # from the network's own settings class
    to_torch: Callable[[Arrays, Any, Form], dict[str, torch.Tensor]]
    from_torch: Callable[[State, Any], dict[str, np.ndarray]]


TWINS: dict[type, Twin] = {
    ModelConfig: Twin(
        lambda config, form: torch_ahmsa.build(form, config),
        lambda params, config, form: state_dicts.ahmsa_to_torch(params, form),
        lambda state, config: state_dicts.ahmsa_from_torch(state, "eager"),
    ),
    HTNetConfig: Twin(
        lambda config, form: TorchHTNet(config),
        lambda params, config, form: state_dicts.htnet_to_torch(params, config),
        state_dicts.htnet_from_torch,
    ),
    STSTNetConfig: Twin(
        lambda config, form: TorchSTSTNet(config),
        lambda params, config, form: state_dicts.ststnet_to_torch(params),
        lambda state, config: state_dicts.ststnet_from_torch(state),
    ),
}


def build(config: NetworkConfig, form: Form = "eager") -> nn.Module:
    """The twin with PyTorch's own initial parameters: maps (B, 28, 28, 3) -> logits (B, K)."""
    return TWINS[type(config)].build(config, form)


def to_torch(
    config: NetworkConfig, params: Arrays, form: Form = "eager"
) -> dict[str, torch.Tensor]:
    """The twin's state dict that computes what these Flax parameters do."""
    return TWINS[type(config)].to_torch(params, config, form)


def from_torch(config: NetworkConfig, state: State) -> dict[str, np.ndarray]:
    """The Flax parameters that compute what this state dict of the twin does; sorted by path."""
    return TWINS[type(config)].from_torch(state, config)


def expected_shapes(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the twin's state dict, without allocating it."""
    with torch.device("meta"):
        network = build(config)
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}
