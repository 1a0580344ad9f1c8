"""Networks by the name after --model: their settings, and how each is trained unless told else."""

import dataclasses
from typing import Any

from ahmsa_jax.config import ConfigError, ModelConfig, TrainConfig
from ahmsa_jax.networks.peer_configs import HTNetConfig, STSTNetConfig

# What --dataset=synthetic brings, so that a newcomer's run takes a minute on a CPU.
SYNTHETIC_PRESET: dict[str, Any] = {"base_dim": 24, "epochs": 40, "learning_rate": 3e-4}
# Settings that the data set gives.
FROM_DATA = ("image_size", "num_classes")


@dataclasses.dataclass(frozen=True)
class Model:
    """A network's settings class, layout of maps, and what of the defaults it replaces.

    `recipes` are ways to run it as a whole; the first one counts where none is named.
    """

    config: Any  # its settings class
    layout: str
    training: dict[str, Any]
    recipes: dict[str, dict[str, Any]]


# The peers' papers and code agree in these.
_PEER_TRAINING = {"learning_rate": 5e-5, "batch_size": 256, "epochs": 800}
# What the published code does and its paper does not say: channels reversed by OpenCV, clips in
# one order in all epochs.
_AS_PUBLISHED = {"channel_order": "svu", "shuffle": False}
# Of HTNet inferred from its published truth lists, of STSTNet from its published weights.
_HTNET_ORDER, _STSTNET_ORDER = {"order": "class_210"}, {"order": "class_021"}
_AS_DESCRIBED = {"channel_order": "uvs", "shuffle": True}
MODELS = {
    "ahmsa": Model(ModelConfig, "five", {}, {}),
    "htnet": Model(
        HTNetConfig,
        "quad_htnet",
        _PEER_TRAINING,
        # The code's region cut takes x for rows, which the paper's four regions do not.
        {
            "published": _AS_PUBLISHED | _HTNET_ORDER,
            "described": _AS_DESCRIBED | {"layout": "quad"},
        },
    ),
    "ststnet": Model(
        STSTNetConfig,
        "whole",
        _PEER_TRAINING,
        {"published": _AS_PUBLISHED | _STSTNET_ORDER, "described": _AS_DESCRIBED},
    ),
}
RECIPES = ("published", "described")
SETTINGS = tuple(
    dict.fromkeys(
        field.name
        for config in (*(model.config for model in MODELS.values()), TrainConfig)
        for field in dataclasses.fields(config)
        if field.name not in FROM_DATA
    )
)


def presets(name: str, recipe: str | None) -> dict[str, Any]:
    """Settings, and the layout, of a network under a recipe (None: its first one).

    Raises ConfigError where the network knows no recipes.
    """
    model = MODELS[name]
    if recipe is not None and not model.recipes:
        knowing = " and ".join(other for other, its in MODELS.items() if its.recipes)
        raise ConfigError(
            f"--recipe={recipe} is for networks whose code is published ({knowing}); leave it out "
            f"with --model={name}."
        )
    chosen = model.recipes.get(recipe or RECIPES[0], {})
    return {"layout": model.layout} | model.training | chosen


def plain(config: Any) -> dict[str, Any]:
    """A settings object as JSON holds it: tuples as lists.

    Without settings that earlier versions did not have, where they stand at their default: what
    was trained before keeps its hash.
    """
    kept = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if not field.metadata.get("later") or value != field.default:
            kept[field.name] = list(value) if isinstance(value, tuple) else value
    return kept


def size_in_words(config: dict[str, Any]) -> str:
    """`width 256, ` for a network that has one, else nothing; from settings as stored."""
    return f"width {config['base_dim']}, " if "base_dim" in config else ""
