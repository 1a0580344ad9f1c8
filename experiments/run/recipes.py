"""Settings that stand together: what a network, a recipe and the synthetic data set bring."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ahmsa_jax.config import ConfigError, TrainConfig
from ahmsa_jax.networks.registry import NETWORKS

# What --dataset=synthetic brings, so that a newcomer's run takes a minute on a CPU.
SYNTHETIC_PRESET: dict[str, Any] = {"base_dim": 24, "epochs": 40, "learning_rate": 3e-4}
# Settings that the data set gives.
FROM_DATA = ("image_size", "channels", "num_classes")
RECIPES = ("published", "described", "ours")


def setting_names() -> tuple[str, ...]:
    """Every setting that is a flag: those of all networks, then those of the training."""
    return tuple(
        dict.fromkeys(
            field.name
            for config in (*(network.config for network in NETWORKS.values()), TrainConfig)
            for field in dataclasses.fields(config)
            if field.name not in FROM_DATA
        )
    )


def presets(name: str, recipe: str | None) -> dict[str, Any]:
    """Settings, and the layout, of a network under a recipe (None: its published one, if any).

    Raises ConfigError where the network has no such recipe.
    """
    network = NETWORKS[name]
    if recipe is not None and recipe not in network.recipes:
        knowing = " and ".join(other for other, its in NETWORKS.items() if recipe in its.recipes)
        own = ", ".join(network.recipes) or "none"
        raise ConfigError(
            f"--recipe={recipe} is for networks that have one ({knowing}); --model={name} has "
            f"{own}."
        )
    chosen = network.recipes.get(recipe or RECIPES[0], {})
    return {"layout": network.layout, **network.training, **chosen}


def size_in_words(network: Mapping[str, Any]) -> str:
    """`width 256, ` for a network that has one, else nothing; from settings as stored."""
    return f"width {network['base_dim']}, " if "base_dim" in network else ""
