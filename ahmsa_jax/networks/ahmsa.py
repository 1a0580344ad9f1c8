"""AHMSA-Net (Zhang et al., arXiv 2501.02539): its settings, and what training must know of it."""

import dataclasses
from typing import Literal, get_args

from ahmsa_jax.config import ConfigError, Span, setting
from ahmsa_jax.networks import hierarchy, own_recipe
from ahmsa_jax.networks.hierarchy import Hierarchy
from ahmsa_jax.networks.network import Network, Path

Activation = Literal["gelu", "relu"]
Pooling = Literal["adaptive_max", "average"]
SCALE_HINT = " (1 keeps 0..255, 255 gives 0..1)"


@dataclasses.dataclass(frozen=True)
class ModelConfig(Hierarchy):
    """Shape of AHMSA-Net; the defaults are the paper's, or ours where it is silent."""

    scale_factor: int = setting(
        2, "Grid side of a level divided by that of the next (Table 3).", span=Span(2, 8)
    )
    reduction: int = setting(
        16,
        "Channel attention squeezes the width by this factor. Open in the paper: CBAM's.",
        span=Span(1, 1024),
    )
    activation: Activation = setting(
        "gelu",
        "Between the two feed-forward layers; gelu is the exact (erf) form. Open: HTNet's.",
        choices=get_args(Activation),
    )
    positional_embedding: bool = setting(
        False, "A learned vector per patch, added after the embedding. The paper names none."
    )
    input_scale: float = setting(
        1.0,
        "Maps of 0..255 are divided by this before the network. Open in the paper: HTNet's.",
        span=Span(1e-6, 1e6),
        hint=SCALE_HINT,
    )
    channel_attention: bool = setting(
        True,
        "Whether each block has its channel attention (ours, for ablations; the paper: yes).",
        later=True,
    )
    spatial_attention: bool = setting(
        True,
        "Whether each block has its spatial attention (ours, for ablations; the paper: yes).",
        later=True,
    )
    feed_forward: bool = setting(
        True,
        "Whether each block has its feed-forward module (ours, for ablations; the paper: yes).",
        later=True,
    )
    pooling: Pooling = setting(
        "adaptive_max",
        "Between the levels: adaptive_max (paper eq. 2), or average, the mean of the same bins "
        "(ours, for ablations).",
        choices=get_args(Pooling),
        later=True,
    )

    def validate(self) -> None:
        """Raise ConfigError on the first setting that is out of range."""
        super().validate()
        finest, rest = divmod(self.image_size, self.patch_size)
        if rest:
            raise ConfigError(
                f"--patch_size={self.patch_size} does not divide the maps' side of "
                f"{self.image_size} pixels; choose a divisor, such as 7 for 28 or 4 for 36."
            )
        # A single level has nothing to lead to: it keeps its grid, whose mean the head takes.
        if len(self.blocks) > 1 and finest != self.scale_factor ** (len(self.blocks) - 1):
            raise ConfigError(
                f"{len(self.blocks)} levels (--blocks) with --scale_factor={self.scale_factor} do "
                f"not lead from a {finest}x{finest} grid ({self.image_size} pixels, patches of "
                f"{self.patch_size}) to 1x1; the grid's side must be the scale factor to the power "
                "of the number of levels minus 1, such as 4 = 2^2 for 3 levels."
            )


def is_frozen(path: Path, config: ModelConfig) -> bool:
    """Whether the parameter at `path` can never matter: Q and K of a level with one patch.

    Their softmax runs over one key and is exactly 1, so their gradient is exactly 0 and Adam
    without weight decay would leave them where they are. Training keeps them out of the optimizer.
    """
    if len(path) < 3 or path[-2] not in ("query", "key"):
        return False
    level = int(path[0].split("_")[1])
    return config.grids[level] == 1


def products(config: ModelConfig) -> dict[str, int]:
    """Multiply-adds of one clip's forward pass by part, without Q and K of a single patch."""
    of_blocks = []
    for level, grid in enumerate(config.grids):
        width, tokens, inner = config.widths[level], grid**2, config.inner(level)
        squeezed = max(1, width // config.reduction)
        found = 0
        if config.channel_attention:
            # It weights its only patch in one pooling, several patches in two.
            found += (1 if tokens == 1 else 2) * 2 * width * squeezed
        if config.spatial_attention:
            found += hierarchy.value_and_output(config, level)
            found += 0 if tokens == 1 else tokens * 2 * width * inner + 2 * tokens**2 * inner
        if config.feed_forward:
            found += hierarchy.feed_forward(config, level)
        of_blocks.append(found)
    return hierarchy.products(config, of_blocks)


NETWORK = Network(
    name="ahmsa",
    config=ModelConfig,
    module="ahmsa_jax.networks.modules.ahmsa:AHMSANet",
    layout="five",
    is_frozen=is_frozen,
    products=products,
    activations=hierarchy.activations,
    recipes={"ours": own_recipe.AHMSA},
)
