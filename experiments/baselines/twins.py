"""The PyTorch twin of each network by its settings, and its weights both ways."""

import numpy as np
import torch
from torch import nn

from ahmsa_jax.networks.ahmsa import ModelConfig
from ahmsa_jax.networks.htnet import HTNetConfig
from ahmsa_jax.networks.ststnet import STSTNetConfig
from experiments.baselines import ahmsa_weights, peer_weights, torch_ahmsa
from experiments.baselines.peer_weights import Arrays, State
from experiments.baselines.torch_ahmsa import Form
from experiments.baselines.torch_htnet import TorchHTNet
from experiments.baselines.torch_ststnet import TorchSTSTNet

AnyConfig = ModelConfig | HTNetConfig | STSTNetConfig


def build(config: AnyConfig, form: Form = "eager") -> nn.Module:
    """The twin with PyTorch's own initial parameters: maps (B, 28, 28, 3) -> logits (B, K).

    Only AHMSA-Net has a form of its own for speed; the peers are one module in both.
    """
    if isinstance(config, HTNetConfig):
        return TorchHTNet(config)
    if isinstance(config, STSTNetConfig):
        return TorchSTSTNet(config)
    return torch_ahmsa.build(form, config)


def to_torch(config: AnyConfig, params: Arrays, form: Form = "eager") -> dict[str, torch.Tensor]:
    """The twin's state dict that computes what these Flax parameters do."""
    if isinstance(config, HTNetConfig):
        return peer_weights.htnet_to_torch(params, config)
    if isinstance(config, STSTNetConfig):
        return peer_weights.ststnet_to_torch(params)
    return ahmsa_weights.to_torch(params, form)


def from_torch(config: AnyConfig, state: State) -> dict[str, np.ndarray]:
    """The Flax parameters that compute what this state dict of the twin does; sorted by path."""
    if isinstance(config, HTNetConfig):
        return peer_weights.htnet_from_torch(state, config)
    if isinstance(config, STSTNetConfig):
        return peer_weights.ststnet_from_torch(state)
    return ahmsa_weights.from_torch(state, "eager")


def expected_shapes(config: AnyConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the twin's state dict, without allocating it."""
    with torch.device("meta"):
        network = build(config)
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}
