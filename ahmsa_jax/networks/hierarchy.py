"""Settings of networks whose grid of patches shrinks from level to level as the width doubles."""

import dataclasses

from ahmsa_jax.config import ConfigError, NetworkConfig, Span, setting


@dataclasses.dataclass(frozen=True)
class Hierarchy(NetworkConfig):
    """Levels of a network, from the settings that they follow from."""

    patch_size: int = setting(7, "P: height and width of a flow patch in pixels (Table 3).")
    blocks: tuple[int, ...] = setting((2, 2, 8), "Blocks per level, finest level first (Table 3).")
    heads: int = setting(
        3,
        "Attention heads at the first level; doubled at each aggregation like the width (Table 3).",
    )
    base_dim: int = setting(
        256,
        "Width of the first level; doubled at each aggregation. Open in AHMSA-Net's paper: "
        "HTNet's.",
        span=Span(1, 8192),
    )
    mlp_ratio: int = setting(
        4,
        "Feed-forward expands the width by this factor. Open in AHMSA-Net's paper: HTNet's.",
        span=Span(1, 64),
    )

    @property
    def scale_factor(self) -> int:
        """Grid side of a level divided by that of the next."""
        return 2

    @property
    def grids(self) -> tuple[int, ...]:
        """Side of each level's square grid of patches, finest first: (4, 2, 1) by default."""
        finest = self.image_size // self.patch_size
        return tuple(finest // self.scale_factor**level for level in range(len(self.blocks)))

    @property
    def widths(self) -> tuple[int, ...]:
        """Feature width of each level: (256, 512, 1024) by default."""
        return tuple(self.base_dim * 2**level for level in range(len(self.blocks)))

    @property
    def level_heads(self) -> tuple[int, ...]:
        """Attention heads of each level: (3, 6, 12) by default."""
        return tuple(self.heads * 2**level for level in range(len(self.blocks)))

    def inner(self, level: int) -> int:
        """Width of a level's queries, keys and values over all heads."""
        heads = self.level_heads[level]
        return heads * (self.widths[level] // heads)

    def validate(self) -> None:
        """Raise ConfigError on the first setting that is out of range."""
        super().validate()
        for name, high in (("heads", self.base_dim), ("patch_size", self.image_size)):
            if not 1 <= getattr(self, name) <= high:
                raise ConfigError(
                    f"--{name}={getattr(self, name)} is out of range; allowed are 1 to {high}."
                )
        if not 1 <= len(self.blocks) <= 8 or any(not 0 <= n <= 64 for n in self.blocks):
            raise ConfigError(
                f"--blocks={','.join(map(str, self.blocks))} is out of range; give 1 to 8 levels "
                "of 0 to 64 blocks each, such as 2,2,8."
            )


# Numbers kept for the backward pass per patch, block and unit of width, as compiled programs
# needed them on a CPU; only the first guess, compiling gives the true need.
_ACTIVATIONS_PER_WIDTH = 32


def activations(config: Hierarchy) -> int:
    """Numbers kept for the backward pass of one clip."""
    levels = zip(config.blocks, config.grids, config.widths, strict=True)
    return _ACTIVATIONS_PER_WIDTH * sum(blocks * grid**2 * width for blocks, grid, width in levels)


def value_and_output(config: Hierarchy, level: int) -> int:
    """Multiply-adds of a block's values and of the output of its attention."""
    return config.grids[level] ** 2 * 2 * config.widths[level] * config.inner(level)


def feed_forward(config: Hierarchy, level: int) -> int:
    """Multiply-adds of a block's feed-forward module."""
    return config.grids[level] ** 2 * 2 * config.mlp_ratio * config.widths[level] ** 2


def products(config: Hierarchy, of_blocks: list[int]) -> dict[str, int]:
    """Multiply-adds of one clip's forward pass by part, from the maps on.

    `of_blocks` are those of one block at each level. Left out are taps of the 3x3 convolutions
    that would read the padding.
    """
    values = config.channels * config.patch_size**2
    found = {"patch_embedding": config.grids[0] ** 2 * values * config.widths[0]}
    for level, blocks in enumerate(config.blocks):
        width = config.widths[level]
        if level:
            finer = config.grids[level - 1]
            inside = (3 * finer - 2) ** 2 if finer > 1 else 1
            found[f"down_{level}"] = inside * config.widths[level - 1] * width
        found[f"level_{level}"] = blocks * of_blocks[level]
    found["head"] = config.widths[-1] * config.num_classes
    return found
