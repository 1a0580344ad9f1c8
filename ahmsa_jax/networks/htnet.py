"""HTNet (Wang et al., Neurocomputing 2024, and its public code): settings and recipes."""

import dataclasses

from ahmsa_jax.config import ConfigError
from ahmsa_jax.networks import hierarchy, own_recipe, published_code
from ahmsa_jax.networks.hierarchy import Hierarchy
from ahmsa_jax.networks.network import Network, Path
from ahmsa_jax.networks.published_code import ChannelOrder


@dataclasses.dataclass(frozen=True)
class HTNetConfig(Hierarchy):
    """Shape of HTNet; the defaults are the paper's, with the published code's channel order.

    Its newest code has blocks 2,2,10.
    """

    channel_order: ChannelOrder = published_code.channel_order()
    input_scale: float = published_code.input_scale()

    def validate(self) -> None:
        """Raise ConfigError on the first setting that is out of range."""
        super().validate()
        finest, rest = divmod(self.image_size, self.patch_size)
        if rest or finest != 2 ** (len(self.blocks) - 1):
            raise ConfigError(
                f"{len(self.blocks)} levels (--blocks) of HTNet need a grid of "
                f"{2 ** (len(self.blocks) - 1)} patches a side; maps of {self.image_size} pixels "
                f"with --patch_size={self.patch_size} give {self.image_size / self.patch_size:g}."
            )


def is_frozen(path: Path, config: HTNetConfig) -> bool:
    """Whether the parameter at `path` can never matter: Q and K, at every level.

    Each attention is over one patch, whose softmax is exactly 1; see ahmsa.is_frozen.
    """
    return len(path) >= 3 and path[-2] in ("query", "key")


def products(config: HTNetConfig) -> dict[str, int]:
    """Multiply-adds of one clip's forward pass by part; attention over one patch costs nothing."""
    of_blocks = [
        hierarchy.value_and_output(config, level) + hierarchy.feed_forward(config, level)
        for level in range(len(config.blocks))
    ]
    return hierarchy.products(config, of_blocks)


NETWORK = Network(
    name="htnet",
    config=HTNetConfig,
    module="ahmsa_jax.networks.modules.htnet:HTNet",
    layout="quad_htnet",
    is_frozen=is_frozen,
    products=products,
    activations=hierarchy.activations,
    training=published_code.TRAINING,
    recipes={
        # The order of the clips is inferred from its published truth lists.
        "published": published_code.AS_PUBLISHED | {"order": "class_210"},
        "ours": own_recipe.PEER,
        # The code's region cut takes x for rows, which the paper's four regions do not.
        "described": published_code.AS_DESCRIBED | {"layout": "quad"},
    },
)
