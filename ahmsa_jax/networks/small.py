"""A small network of our own, which shows what the large ones add: its settings."""

import dataclasses

from ahmsa_jax.config import ConfigError, NetworkConfig, Span, setting
from ahmsa_jax.networks import own_recipe
from ahmsa_jax.networks.ahmsa import SCALE_HINT
from ahmsa_jax.networks.network import Network


@dataclasses.dataclass(frozen=True)
class SmallConfig(NetworkConfig):
    """Shape of the small network: means of 2x2 pixels, one hidden layer."""

    base_dim: int = setting(128, "Units of the hidden layer.", span=Span(1, 8192))
    input_dropout: float = setting(
        0.25, "Share of the averaged pixels set to 0 in training.", span=Span(0, 1, open_high=True)
    )
    dropout: float = setting(
        0.5, "Share of the hidden units set to 0 in training.", span=Span(0, 1, open_high=True)
    )
    norm_momentum: float = setting(
        0.1,
        "Weight of a batch in the running averages of batch normalisation (PyTorch's).",
        span=Span(0, 1, open_low=True),
    )
    norm_eps: float = setting(
        1e-5,
        "Added to the variance in batch normalisation (PyTorch's).",
        span=Span(0, 1, open_low=True),
    )
    input_scale: float = setting(
        1.0, "Maps are divided by this first.", span=Span(1e-6, 1e6), hint=SCALE_HINT
    )

    def validate(self) -> None:
        """Raise ConfigError on the first setting that is out of range."""
        super().validate()
        if self.image_size % 2:
            raise ConfigError(
                f"the maps are {self.image_size} pixels wide; the small network takes an even "
                "number."
            )

    @property
    def features(self) -> int:
        """Numbers that the hidden layer sees: 14x14x3 of maps of 28 pixels."""
        return (self.image_size // 2) ** 2 * self.channels


def products(config: SmallConfig) -> dict[str, int]:
    """Multiply-adds of one clip's forward pass by part."""
    return {
        "hidden": config.features * config.base_dim,
        "head": config.base_dim * config.num_classes,
    }


def activations(config: SmallConfig) -> int:
    """Numbers kept for the backward pass of one clip: the dropped input, the hidden layer twice."""
    return config.features + 2 * config.base_dim


NETWORK = Network(
    name="small",
    config=SmallConfig,
    module="ahmsa_jax.networks.modules.small:Small",
    layout="whole",
    products=products,
    activations=activations,
    # By batch normalisation and dropout.
    batch_coupled=True,
    training={"epochs": 40, "batch_size": 64, "learning_rate": 2e-3, "drop_last": True},
    recipes={"ours": own_recipe.SMALL},
)
