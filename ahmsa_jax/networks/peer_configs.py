"""Settings of the networks that AHMSA-Net is compared with, as their authors published them.

HTNet: Wang et al., "HTNet for micro-expression recognition", Neurocomputing 2024, and its public
code. STSTNet: Liong et al., "Shallow Triple Stream Three-dimensional CNN (STSTNet) for
Micro-expression Recognition", FG 2019, and its authors' PyTorch code.
"""

import dataclasses
from typing import Any, ClassVar, Literal

from ahmsa_jax.config import ConfigError, Hierarchy, in_range

ChannelOrder = Literal["uvs", "svu"]
_ORDER_HELP = (
    "Order in which the network reads the maps' channels: uvs is (u, v, strain), svu the reverse, "
    "which the published code feeds because it reads its maps with OpenCV."
)
_SCALE_HELP = "Maps of 0..255 are divided by this before the network; the published code: 1."


def _setting(default: Any, meaning: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": meaning})


@dataclasses.dataclass(frozen=True)
class HTNetConfig(Hierarchy):
    """Shape of HTNet; the defaults are the paper's, with the published code's channel order."""

    batch_coupled: ClassVar[bool] = False

    image_size: int = _setting(28, "Height and width of the flow map in pixels.")
    patch_size: int = _setting(7, "Height and width of a flow patch in pixels.")
    blocks: tuple[int, ...] = _setting(
        (2, 2, 8), "Transformer blocks per level, finest first (paper; newest code: 2,2,10)."
    )
    heads: int = _setting(3, "Attention heads at the first level; doubled at each aggregation.")
    base_dim: int = _setting(256, "Width of the first level; doubled at each aggregation.")
    mlp_ratio: int = _setting(4, "Feed-forward expands the width by this factor.")
    channel_order: ChannelOrder = _setting("svu", _ORDER_HELP)
    input_scale: float = _setting(1.0, _SCALE_HELP)
    num_classes: int = _setting(3, "Expression classes.")

    def validate(self) -> None:
        """Raise ConfigError on the first setting that is out of range."""
        in_range("--base_dim", self.base_dim, 1, 8192)
        in_range("--heads", self.heads, 1, self.base_dim)
        in_range("--mlp_ratio", self.mlp_ratio, 1, 64)
        in_range("--patch_size", self.patch_size, 1, self.image_size)
        in_range("--num_classes", self.num_classes, 2, 1000)
        _check_input(self.input_scale, self.channel_order)
        self.validate_blocks()
        finest, rest = divmod(self.image_size, self.patch_size)
        if rest or finest != 2 ** (len(self.blocks) - 1):
            raise ConfigError(
                f"{len(self.blocks)} levels (--blocks) of HTNet need a grid of "
                f"{2 ** (len(self.blocks) - 1)} patches a side; maps of {self.image_size} pixels "
                f"with --patch_size={self.patch_size} give {self.image_size / self.patch_size:g}."
            )


@dataclasses.dataclass(frozen=True)
class STSTNetConfig:
    """Shape of STSTNet; its three streams have 3, 5 and 8 filters."""

    # By batch normalisation and dropout; see ModelConfig.
    batch_coupled: ClassVar[bool] = True

    image_size: int = _setting(28, "Height and width of the flow map in pixels; 28 only.")
    dropout: float = _setting(0.5, "Share of the pooled features set to 0 in training.")
    norm_momentum: float = _setting(
        0.1, "Weight of a batch in the running averages of batch normalisation (PyTorch's)."
    )
    norm_eps: float = _setting(1e-5, "Added to the variance in batch normalisation (PyTorch's).")
    channel_order: ChannelOrder = _setting("svu", _ORDER_HELP)
    input_scale: float = _setting(1.0, _SCALE_HELP)
    num_classes: int = _setting(3, "Expression classes.")

    def validate(self) -> None:
        """Raise ConfigError on the first setting that is out of range."""
        if self.image_size != 28:
            raise ConfigError(
                f"the maps are {self.image_size} pixels wide; STSTNet takes maps of 28 pixels."
            )
        in_range("--num_classes", self.num_classes, 2, 1000)
        _check_input(self.input_scale, self.channel_order)
        if not 0 <= self.dropout < 1:
            raise ConfigError(
                f"--dropout={self.dropout:g} is out of range; allowed is a number from 0 to "
                "below 1, such as 0.5."
            )
        if not 0 < self.norm_momentum <= 1:
            raise ConfigError(
                f"--norm_momentum={self.norm_momentum:g} is out of range; allowed is a number "
                "above 0 and up to 1, such as 0.1."
            )
        if not 0 < self.norm_eps <= 1:
            raise ConfigError(
                f"--norm_eps={self.norm_eps:g} is out of range; allowed is a number above 0 and "
                "up to 1, such as 1e-5."
            )


def _check_input(input_scale: float, channel_order: str) -> None:
    if not 1e-6 <= input_scale <= 1e6:
        raise ConfigError(
            f"--input_scale={input_scale:g} is out of range; allowed are 1e-6 to 1e6 "
            "(1 keeps 0..255, 255 gives 0..1)."
        )
    if channel_order not in ("uvs", "svu"):
        raise ConfigError(f"--channel_order={channel_order}: allowed are uvs and svu.")
