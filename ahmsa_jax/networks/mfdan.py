"""MFDAN (Cai et al., "MFDAN: Multi-level Flow-Driven Attention Network for Micro-Expression
Recognition", IEEE TCSVT 34(12), 2024, doi:10.1109/TCSVT.2024.3437481): its settings.

There is no public code. The pictures are magnified by warping with the clip's own flow, which is
not MagNet, the learned magnification that the paper uses.
"""

import dataclasses
from typing import Any, Literal, get_args

from ahmsa_jax.config import ConfigError, NetworkConfig, Span, setting
from ahmsa_jax.networks.network import Network, Path

Size = Literal["published", "tiny"]
Magnify = Literal["warp", "none"]
FlowEncoderKind = Literal["sssn", "small"]
Switch = Literal["on", "off"]
# Pixels of a patch's side, tokens of a window's side, layers of a block, expansion of the
# feed-forward.
PATCH, WINDOW, LAYERS, MLP_RATIO = 4, 7, 2, 4


@dataclasses.dataclass(frozen=True)
class Shape:
    """What --size stands for."""

    pixels: int
    width: int  # C, of the first block
    heads: tuple[int, int]  # of the two blocks
    mergings: int
    features: int  # that the flow's encoder gives
    thinner: int  # the flow encoder's filters are divided by this


SHAPES: dict[str, Shape] = {
    "published": Shape(pixels=224, width=96, heads=(3, 6), mergings=3, features=256, thinner=1),
    "tiny": Shape(pixels=56, width=16, heads=(1, 2), mergings=1, features=32, thinner=8),
}


@dataclasses.dataclass(frozen=True)
class Convolution:
    """A convolution of the flow's encoder with the pooling after it (max)."""

    side: int
    stride: int
    padding: int
    filters: int
    groups: int
    pool: int
    pool_stride: int

    def sizes(self, size: int) -> tuple[int, int]:
        """Sides of the grid after the convolution and after the pooling."""
        convolved = (size + 2 * self.padding - self.side) // self.stride + 1
        return convolved, (convolved - self.pool) // self.pool_stride + 1


# By --flow_encoder, at full width. The first is AlexNet's beginning, as SSSN's code has it
# (IcedDoggie/DSSN-MER, 763f257), the other ours; the paper names no numbers.
ENCODERS: dict[str, tuple[Convolution, Convolution]] = {
    "sssn": (Convolution(11, 4, 0, 96, 1, 3, 2), Convolution(5, 1, 2, 256, 2, 3, 2)),
    "small": (Convolution(5, 4, 2, 32, 1, 2, 2), Convolution(3, 2, 1, 64, 1, 2, 2)),
}


@dataclasses.dataclass(frozen=True)
class MFDANConfig(NetworkConfig):
    """Shape of MFDAN; the defaults follow the paper's text, or are declared where it is silent."""

    image_size: int = setting(224, "Height and width of the stored pictures and flow in pixels.")
    size: Size = setting(
        "published",
        "published: 224 pixels, width 96, 3 and 6 heads; tiny, for a CPU: 56 pixels, width 16, 1 "
        "and 2 heads, a flow encoder of an eighth of the filters.",
        choices=get_args(Size),
    )
    mergings: int = setting(
        0,
        "Mergings of 2x2 tokens between the blocks: 3, as the text says (7x7 tokens of 8 C), or 1, "
        "which fits the heads 3 and 6; 0: the size's, 3 (tiny 1).",
        span=Span(0, 3),
    )
    share_embedding: bool = setting(
        False, "One patch embedding and one set of mergings for image and flow. Open in the paper."
    )
    flow_guidance: Switch = setting(
        "on", "Flow-driven attention beside self-attention; off: M1.", choices=get_args(Switch)
    )
    dropkey: float = setting(
        0.3,
        "Share of the keys lost in training, per query, head and window; 0: M3. The paper has 0.4 "
        "for CASME II, 0.3 for SAMM and SMIC, and names none for the composite.",
        span=Span(0, 1, open_high=True),
    )
    tau: float = setting(
        0.1,
        "Divides the cosines at first; learned per head. Open in the paper: Swin v2's.",
        span=Span(0, 100, open_low=True),
    )
    tau_floor: float = setting(
        0.01,
        "Smallest number that the cosines are divided by. Open in the paper: Swin v2's.",
        span=Span(0, 100, open_low=True),
    )
    flow_encoder: FlowEncoderKind = setting(
        "sssn",
        "sssn: AlexNet's first two convolutions (SSSN's public code); small: 32 and 64 filters of "
        "our own. Open in the paper.",
        choices=get_args(FlowEncoderKind),
    )
    flow_dropout: float = setting(
        0.5,
        "Share of the flow encoder's flattened features set to 0 in training. Open: SSSN's.",
        span=Span(0, 1, open_high=True),
    )
    magnify: Magnify = setting(
        "warp",
        "The image: warp: the onset moved along its flow times 1 + alpha, our own magnification "
        "and not MagNet, which the paper uses; none: the apex as it is.",
        choices=get_args(Magnify),
    )
    magnify_low: float = setting(
        1.0, "Smallest alpha in training, drawn anew for each clip and step.", span=Span(0, 100)
    )
    magnify_high: float = setting(5.0, "Largest alpha in training.", span=Span(0, 100))
    magnify_test: float = setting(3.0, "alpha outside training.", span=Span(0, 100))
    remat: bool = setting(
        False, "Compute each layer again in the backward pass instead of keeping its values."
    )

    @property
    def shape(self) -> Shape:
        """What --size stands for."""
        return SHAPES[self.size]

    @property
    def merged(self) -> int:
        """Mergings between the two blocks."""
        return self.mergings or self.shape.mergings

    @property
    def grids(self) -> tuple[int, int]:
        """Tokens of a side in the two blocks: (56, 7)."""
        finest = self.shape.pixels // PATCH
        return finest, finest // 2**self.merged

    @property
    def widths(self) -> tuple[int, int]:
        """Widths of the two blocks: (96, 768)."""
        return self.shape.width, self.shape.width * 2**self.merged

    @property
    def encoder(self) -> tuple[Convolution, Convolution]:
        """The flow encoder's two convolutions with their filters at this size."""
        first, second = (
            dataclasses.replace(convolution, filters=convolution.filters // self.shape.thinner)
            for convolution in ENCODERS[self.flow_encoder]
        )
        return first, second

    def validate(self) -> None:
        """Raise ConfigError on the first setting that is out of range."""
        super().validate()
        if self.image_size % self.shape.pixels:
            raise ConfigError(
                f"the stored pictures are {self.image_size} pixels wide; MFDAN with "
                f"--size={self.size} takes a multiple of {self.shape.pixels}."
            )
        if self.shape.pixels // PATCH % (WINDOW * 2**self.merged):
            raise ConfigError(
                f"--mergings={self.mergings} does not lead from {self.grids[0]}x{self.grids[0]} "
                f"tokens (--size={self.size}) to whole windows of {WINDOW}x{WINDOW}; give "
                f"{self.shape.mergings}."
            )
        if self.magnify_low > self.magnify_high:
            raise ConfigError(
                f"--magnify_low={self.magnify_low:g} is above --magnify_high="
                f"{self.magnify_high:g}; give them in order."
            )


def is_frozen(path: Path, config: MFDANConfig) -> bool:
    """Whether the parameter at `path` can never matter: what the flow's guidance alone reads.

    Without guidance that are tau, the flow's own embedding and mergings, and the biases of the
    keys, which add the same to all of a query's logits and leave its softmax as it is; the cosines
    with the flow's queries do see them.
    """
    if config.flow_guidance == "on":
        return False
    return path[-1] in ("tau", "k_bias") or path[0].startswith("flow_embed")


def _block_products(config: MFDANConfig, block: int) -> int:
    """Multiply-adds of a block: linear layers, attention, and what the flow's guidance adds."""
    tokens, width = config.grids[block] ** 2, config.widths[block]
    between = 2 * tokens * WINDOW**2 * width
    layer = tokens * (4 + 2 * MLP_RATIO) * width**2 + between
    if config.flow_guidance == "on":
        layer += tokens * width**2 + between
    return LAYERS * layer


def products(config: MFDANConfig) -> dict[str, int]:
    """Multiply-adds of one clip's forward pass by part; those of the magnification are left out."""
    paths = 2 if config.flow_guidance == "on" else 1
    finest, width = config.grids[0], config.widths[0]
    merging = sum(
        (finest // 2 ** (step + 1)) ** 2 * 8 * (width * 2**step) ** 2
        for step in range(config.merged)
    )
    found = {
        "embedding": paths * finest**2 * PATCH**2 * 3 * width,
        "block_0": _block_products(config, 0),
        "mergings": paths * merging,
        "block_1": _block_products(config, 1),
    }
    size, channels = config.shape.pixels, 3
    for number, convolution in enumerate(config.encoder):
        convolved, size = convolution.sizes(size)
        taps = convolution.side**2 * channels // convolution.groups
        found[f"flow_convolution_{number}"] = convolved**2 * taps * convolution.filters
        channels = convolution.filters
    found["flow_features"] = size**2 * channels * config.shape.features
    found["head"] = (config.widths[1] + config.shape.features) * config.num_classes
    return found


# Numbers kept for the backward pass per token and unit of width, and per entry of an attention map,
# in one layer, and per output of a convolution: 98 to 122 MB a clip at the published size.
_PER_VALUE, _PER_WEIGHT, _PER_OUTPUT = 24, 2, 4


def activations(config: MFDANConfig) -> int:
    """Numbers kept for the backward pass of one clip."""
    maps = 2 if config.flow_guidance == "on" else 1
    total, largest = 0, 0
    for block in range(2):
        tokens, width = config.grids[block] ** 2, config.widths[block]
        weights = maps * _PER_WEIGHT * config.shape.heads[block] * tokens * WINDOW**2
        layer = _PER_VALUE * tokens * width + weights
        largest = max(largest, layer)
        total += LAYERS * (tokens * width if config.remat else layer)
    size, channels = config.shape.pixels, 3
    for convolution in config.encoder:
        convolved, size = convolution.sizes(size)
        taps = convolution.side**2 * channels
        total += convolved**2 * (taps + _PER_OUTPUT * convolution.filters)
        channels = convolution.filters
    return total + (largest if config.remat else 0)


_TRAINING: dict[str, Any] = {
    "epochs": 100,
    "batch_size": 16,
    "learning_rate": 1e-4,
    "optimizer": "adan",
    "loss": "focal",
}

NETWORK = Network(
    name="mfdan",
    config=MFDANConfig,
    module="ahmsa_jax.networks.modules.mfdan:MFDAN",
    layout="rgb224",
    inputs=("flow_px", "frames"),
    is_frozen=is_frozen,
    products=products,
    activations=activations,
    # By DropKey, dropout and the random magnification.
    batch_coupled=True,
    training=_TRAINING,
    # Epochs, schedule and decay are not stated: ours. M2 is --loss=cross_entropy, M4
    # --optimizer=adamw.
    recipes={"described": {"loss": "focal", "optimizer": "adan", "weight_decay": 0.0}},
)
