"""Every setting of the network and its training, with unit, range and source.

"Table 3" is that of the AHMSA-Net paper (Zhang et al., arXiv 2501.02539). What the paper leaves
open is marked so here and listed in the README. The command-line flags take their default and
their help text from here.
"""

import dataclasses
from typing import Any, ClassVar, Literal, get_args

Precision = Literal["float32", "tf32", "bfloat16"]
Activation = Literal["gelu", "relu"]
Order = Literal["data", "class", "class_021", "class_210"]


NetworkConfig = Any


class ConfigError(ValueError):
    """A setting outside its range: one full sentence that names value and range."""


def _setting(default: Any, meaning: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": meaning})


def _later_setting(default: Any, meaning: str) -> Any:
    """A setting that earlier versions did not have: stored only where it is not the default."""
    return dataclasses.field(default=default, metadata={"help": meaning, "later": True})


class Hierarchy:
    """Levels of a network: the grid of patches shrinks and the width doubles from one to the next.

    A base of the settings of such networks, which hold the values that the levels follow from.
    """

    image_size: int
    patch_size: int
    blocks: tuple[int, ...]
    heads: int
    base_dim: int

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

    def validate_blocks(self) -> None:
        """Raise ConfigError where the number of levels or of a level's blocks is out of range."""
        if not 1 <= len(self.blocks) <= 8 or any(not 0 <= n <= 64 for n in self.blocks):
            raise ConfigError(
                f"--blocks={','.join(map(str, self.blocks))} is out of range; give 1 to 8 levels "
                "of 0 to 64 blocks each, such as 2,2,8."
            )


@dataclasses.dataclass(frozen=True)
class ModelConfig(Hierarchy):
    """Shape of AHMSA-Net; the defaults are the paper's, or the README's where it is silent."""

    # Whether clips of a batch see each other, or noise is drawn for it, in training: such a
    # network's batches cannot be spread over devices.
    batch_coupled: ClassVar[bool] = False

    image_size: int = _setting(28, "Height and width of the flow map in pixels (Table 3).")
    patch_size: int = _setting(7, "P: height and width of a flow patch in pixels (Table 3).")
    blocks: tuple[int, ...] = _setting(
        (2, 2, 8), "Multi-scale attention blocks per level, finest level first (Table 3)."
    )
    scale_factor: int = _setting(2, "Grid side of a level divided by that of the next (Table 3).")
    heads: int = _setting(
        3,
        "Attention heads at the first level; doubled at each aggregation like the width (Table 3).",
    )
    base_dim: int = _setting(
        256, "Width of the first level; doubled at each aggregation. Open in the paper: HTNet's."
    )
    reduction: int = _setting(
        16, "Channel attention squeezes the width by this factor. Open in the paper: CBAM's."
    )
    mlp_ratio: int = _setting(
        4, "Feed-forward expands the width by this factor. Open in the paper: HTNet's."
    )
    activation: Activation = _setting(
        "gelu", "Between the two feed-forward layers; gelu is the exact (erf) form. Open: HTNet's."
    )
    positional_embedding: bool = _setting(
        False, "A learned vector per patch, added after the embedding. The paper names none."
    )
    input_scale: float = _setting(
        1.0,
        "Maps of 0..255 are divided by this before the network. Open in the paper: HTNet's.",
    )
    num_classes: int = _setting(3, "Expression classes.")

    def validate(self) -> None:
        """Raise ConfigError on the first setting that is out of range."""
        in_range("--base_dim", self.base_dim, 1, 8192)
        in_range("--heads", self.heads, 1, self.base_dim)
        in_range("--reduction", self.reduction, 1, 1024)
        in_range("--mlp_ratio", self.mlp_ratio, 1, 64)
        in_range("--scale_factor", self.scale_factor, 2, 8)
        in_range("--patch_size", self.patch_size, 1, self.image_size)
        in_range("--num_classes", self.num_classes, 2, 1000)
        self.validate_blocks()
        if not 1e-6 <= self.input_scale <= 1e6:
            raise ConfigError(
                f"--input_scale={self.input_scale:g} is out of range; allowed are 1e-6 to 1e6 "
                "(1 keeps 0..255, 255 gives 0..1)."
            )
        if self.activation not in ("gelu", "relu"):
            raise ConfigError(f"--activation={self.activation}: allowed are gelu and relu.")
        finest, rest = divmod(self.image_size, self.patch_size)
        if rest:
            raise ConfigError(
                f"--patch_size={self.patch_size} does not divide the maps' side of "
                f"{self.image_size} pixels; choose a divisor, such as 7 for 28 or 4 for 36."
            )
        if finest != self.scale_factor ** (len(self.blocks) - 1):
            raise ConfigError(
                f"{len(self.blocks)} levels (--blocks) with --scale_factor={self.scale_factor} do "
                f"not lead from a {finest}x{finest} grid ({self.image_size} pixels, patches of "
                f"{self.patch_size}) to 1x1; the grid's side must be the scale factor to the power "
                "of the number of levels minus 1, such as 4 = 2^2 for 3 levels."
            )


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How one fold is trained; the defaults are the paper's Table 3 where it speaks."""

    epochs: int = _setting(800, "Passes over the training clips of a fold (Table 3).")
    batch_size: int = _setting(
        256, "Clips per optimizer step; the last step of an epoch takes what is left (Table 3)."
    )
    learning_rate: float = _setting(
        5e-6,
        "Adam's step size (Table 3); b1 0.9, b2 0.999, eps 1e-8, no decay, as PyTorch's defaults.",
    )
    shuffle: bool = _setting(
        True,
        "A new order of the training clips in each epoch. Open in the paper; HTNet keeps one.",
    )
    order: Order = _later_setting(
        "data",
        "Order of the clips in an epoch without shuffling: the data set's, or one class after the "
        "other by subject and clip name, as the public scripts of STSTNet (class_021: negative, "
        "surprise, positive) and HTNet (class_210) list their folders.",
    )
    precision: Precision = _setting(
        "tf32",
        "float32; tf32 (on a GPU, else float32); bfloat16 (compute; master weights float32).",
    )

    def validate(self) -> None:
        """Raise ConfigError on the first setting that is out of range."""
        in_range("--epochs", self.epochs, 1, 1_000_000)
        in_range("--batch_size", self.batch_size, 1, 65_536)
        if not 0 < self.learning_rate <= 10:
            raise ConfigError(
                f"--learning_rate={self.learning_rate:g} is out of range; allowed is a number "
                "above 0 and up to 10, such as 5e-6."
            )
        if self.order not in get_args(Order):
            raise ConfigError(f"--order={self.order}: allowed are {', '.join(get_args(Order))}.")
        if self.shuffle and self.order != "data":
            raise ConfigError(
                f"--order={self.order} is for epochs that are not shuffled; give --noshuffle too."
            )
        if self.precision not in ("float32", "tf32", "bfloat16"):
            raise ConfigError(
                f"--precision={self.precision}: allowed are float32, tf32 and bfloat16."
            )


def in_range(flag: str, value: int, low: int, high: int) -> None:
    """Raise ConfigError that names the flag where its value lies outside low..high."""
    if not low <= value <= high:
        raise ConfigError(f"{flag}={value} is out of range; allowed are {low} to {high}.")
