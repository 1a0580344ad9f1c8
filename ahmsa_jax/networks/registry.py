"""The networks by the type of their settings: what training needs to know of each.

A network is a Flax module with the fields `config` and `dtype` that is called as
module(flow_BxHxWxC, real_B=..., train=...) and returns float32 logits (B, K) and its named
intermediates. `real_B` tells padding from clips; running statistics live in the collection
"batch_stats" and noise comes from the random stream "dropout", each where a network has them.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn

from ahmsa_jax.config import ModelConfig
from ahmsa_jax.networks import ahmsa, htnet, ststnet
from ahmsa_jax.networks.initial import Path
from ahmsa_jax.networks.peer_configs import HTNetConfig, STSTNetConfig


@dataclasses.dataclass(frozen=True)
class Network:
    """One network's module, and what of it training treats apart."""

    module: Callable[[Any, Any], nn.Module]  # from settings and compute type
    is_dead: Callable[[Path, Any], bool]  # whether the parameter at a path can never matter


_NETWORKS: dict[type, Network] = {
    ModelConfig: Network(ahmsa.AHMSANet, ahmsa.is_dead),
    HTNetConfig: Network(htnet.HTNet, htnet.is_dead),
    STSTNetConfig: Network(ststnet.STSTNet, lambda path, config: False),
}


def network_of(config: Any) -> Network:
    """The network that these settings are of."""
    return _NETWORKS[type(config)]


def is_dead(path: Path, config: Any) -> bool:
    """Whether the parameter at `path` can never matter, so that the optimizer need not hold it."""
    return network_of(config).is_dead(path, config)
