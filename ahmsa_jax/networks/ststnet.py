"""STSTNet (Liong et al., FG 2019, and its authors' PyTorch code): settings and recipes."""

import dataclasses

from ahmsa_jax.config import ConfigError, NetworkConfig, Span, setting
from ahmsa_jax.networks import own_recipe, published_code
from ahmsa_jax.networks.network import Network
from ahmsa_jax.networks.published_code import ChannelOrder


@dataclasses.dataclass(frozen=True)
class STSTNetConfig(NetworkConfig):
    """Shape of STSTNet; its three streams have 3, 5 and 8 filters."""

    dropout: float = setting(
        0.5, "Share of the pooled features set to 0 in training.", span=Span(0, 1, open_high=True)
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
    channel_order: ChannelOrder = published_code.channel_order()
    input_scale: float = published_code.input_scale()

    def validate(self) -> None:
        """Raise ConfigError on the first setting that is out of range."""
        super().validate()
        if self.image_size != 28:
            raise ConfigError(
                f"the maps are {self.image_size} pixels wide; STSTNet takes maps of 28 pixels."
            )


def products(config: STSTNetConfig) -> dict[str, int]:
    """Multiply-adds: 100 windows of 5x5 pixels and a bias, 9 places of 16 filters; 400 features."""
    return {"streams": 100 * (25 * config.channels + 1) * 9 * 16, "head": 400 * config.num_classes}


def activations(config: STSTNetConfig) -> int:
    """Numbers kept for the backward pass of one clip: 33 MB a fold of 256 clips, measured."""
    return 32_000


NETWORK = Network(
    name="ststnet",
    config=STSTNetConfig,
    module="ahmsa_jax.networks.modules.ststnet:STSTNet",
    layout="whole",
    products=products,
    activations=activations,
    # By batch normalisation and dropout.
    batch_coupled=True,
    training=published_code.TRAINING,
    recipes={
        # The order of the clips is inferred from its published weights.
        "published": published_code.AS_PUBLISHED | {"order": "class_021"},
        "ours": own_recipe.PEER,
        "described": published_code.AS_DESCRIBED,
    },
)
