"""Where a network looks, whatever it sees: maps of flow, or frames."""

from collections.abc import Sequence

import numpy as np

from ahmsa_jax.config import NetworkConfig
from ahmsa_jax.networks.registry import network_of
from experiments.looking import grad_cam, seen_maps
from experiments.looking.seen_maps import SeenMaps, Weights
from input_pipeline.core.clips import Clips


def maps_of(
    config: NetworkConfig,
    weights: Sequence[Weights],
    clips: Clips,
    class_N: np.ndarray | None = None,
) -> SeenMaps:
    """As seen_maps.maps_of or grad_cam.maps_of; raises ConfigError as they do."""
    look = seen_maps.maps_of if network_of(config).sees_maps_alone(config) else grad_cam.maps_of
    return look(config, weights, clips, class_N)


def check_network(config: NetworkConfig) -> None:
    """Raise ConfigError for a network of which nobody here knows where it looks."""
    if not network_of(config).sees_maps_alone(config):
        grad_cam.layers_of(config)
