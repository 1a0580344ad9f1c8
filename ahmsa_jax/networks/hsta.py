"""HSTA (Hao et al., "Hierarchical Space-Time Attention for Micro-Expression Recognition").

Settings, and what training must know of it. Where the paper's equations and its public code
(OceanSummerDay/HSTA_MER, bc5dc41) differ, each is a recipe: `published` is the code.
"""

import dataclasses
from typing import Any, Literal, get_args

from ahmsa_jax.config import ConfigError, NetworkConfig, Span, setting
from ahmsa_jax.networks.network import Network, Path

Size = Literal["published", "tiny"]
Special = Literal["frames", "flow"]
Blocks = Literal["published", "described"]
Switch = Literal["on", "off"]
# Branches by their number in names of parameters and in --depths, as in the published code.
SPECIAL, VIDEO = 0, 1
# Frames that a patch reaches over, and frames of the two branches.
TUBELET = 2
BRANCH_FRAMES = (2, 6)
MLP_RATIO = 4


@dataclasses.dataclass(frozen=True)
class Shape:
    """What --size stands for; pairs are of the special and the video branch."""

    pixels: int
    widths: tuple[int, int]
    patches: tuple[int, int]
    heads: int
    modules: int
    # Of the linear layers' kernels at first: the code's, or that of an equally large sum of fewer
    # values: 0.02 * sqrt(768 / 48). With the code's no clip would be told from another.
    deviation: float


SHAPES: dict[str, Shape] = {
    "published": Shape(
        pixels=224, widths=(384, 768), patches=(12, 16), heads=12, modules=4, deviation=0.02
    ),
    "tiny": Shape(
        pixels=112, widths=(24, 48), patches=(12, 16), heads=3, modules=1, deviation=0.08
    ),
}


@dataclasses.dataclass(frozen=True)
class HSTAConfig(NetworkConfig):
    """Shape of HSTA; the defaults are those of its published code and its main results."""

    image_size: int = setting(224, "Height and width of the stored pictures in pixels.")
    size: Size = setting(
        "published",
        "published: 224 pixels, widths 384 and 768, 12 heads; tiny, for a CPU: 112 pixels, widths "
        "24 and 48, 3 heads.",
        choices=get_args(Size),
    )
    modules: int = setting(
        0, "M: modules of USTA layers and CSTA; 0: the size's, 4 (tiny 1).", span=Span(0, 64)
    )
    depths: tuple[int, ...] = setting(
        (1, 2), "L_s,L_v: USTA layers per module of the special and of the video branch."
    )
    csta: Switch = setting(
        "on", "Whether the branches exchange their class tokens (CSTA).", choices=get_args(Switch)
    )
    special: Special = setting(
        "frames",
        "The special branch sees onset and apex (frames), or the flow between them as one picture "
        "(u, v, strain).",
        choices=get_args(Special),
    )
    usta: Blocks = setting(
        "published",
        "USTA and CSTA as in the published code (norm first, heads, feed-forward) or as the "
        "paper's equations 1 to 13 describe them (norm last, one head, no feed-forward).",
        choices=get_args(Blocks),
    )
    dropout: float = setting(
        0.2,
        "Share of values set to 0 in training: embedding, attention's output, feed-forward (code).",
        span=Span(0, 1, open_high=True),
    )
    drop_path: float = setting(
        0.2,
        "Chance that a clip skips what the deepest layer adds; from 0 at the first (code).",
        span=Span(0, 1, open_high=True),
    )
    remat: bool = setting(
        False, "Compute each USTA layer again in the backward pass instead of keeping its values."
    )

    @property
    def shape(self) -> Shape:
        """What --size stands for."""
        return SHAPES[self.size]

    @property
    def count(self) -> int:
        """M, the modules."""
        return self.modules or self.shape.modules

    @property
    def tokens(self) -> tuple[int, int]:
        """Patches of the two branches; what is left at the right and below is cut off."""
        special, video = ((self.shape.pixels // patch) ** 2 for patch in self.shape.patches)
        return special, BRANCH_FRAMES[VIDEO] // TUBELET * video

    def patch_values(self, branch: int) -> int:
        """Numbers of one patch; the flow is one picture, not two frames."""
        frames = 1 if branch == SPECIAL and self.special == "flow" else TUBELET
        return frames * self.shape.patches[branch] ** 2 * 3

    def drop_path_rates(self, branch: int, module: int) -> tuple[float, ...]:
        """Chance of each USTA layer of a branch and module; the shallower branch takes the first.

        Evenly from 0 at the first layer to `drop_path` at the last one of the deeper branch.
        """
        deepest = max(self.depths)
        steps = max(1, self.count * deepest - 1)
        first = module * deepest
        return tuple(
            self.drop_path * (first + layer) / steps for layer in range(self.depths[branch])
        )

    def validate(self) -> None:
        """Raise ConfigError on the first setting that is out of range."""
        super().validate()
        if len(self.depths) != 2 or any(not 0 <= depth <= 64 for depth in self.depths):
            raise ConfigError(
                f"--depths={','.join(map(str, self.depths))} is out of range; give two numbers of "
                "0 to 64, of the special and of the video branch, such as 1,2."
            )
        if self.image_size % self.shape.pixels:
            raise ConfigError(
                f"the stored pictures are {self.image_size} pixels wide; HSTA with "
                f"--size={self.size} takes a multiple of {self.shape.pixels}."
            )


def more_inputs(config: HSTAConfig) -> tuple[str, ...]:
    """The flow, where the special branch sees it."""
    return ("flow_px",) if config.special == "flow" else ()


def is_frozen(path: Path, config: HSTAConfig) -> bool:
    """Whether the parameter at `path` can never matter.

    A bias of CSTA's keys adds the same to all logits of its one query, which the softmax takes off
    again. Without CSTA a branch of no layers never reads its patches.
    """
    if path[-2:] == ("wk", "bias"):
        return True
    unread = [branch for branch in (SPECIAL, VIDEO) if not config.depths[branch]]
    return config.csta == "off" and path[0] in {f"patch_embed_{branch}" for branch in unread}


def layers_above(path: Path, config: HSTAConfig) -> int:
    """Modules above a parameter; those of the embedding lie one below the first (the code's)."""
    if path[0].startswith("patch_embed"):
        return config.count + 1
    if path[0].startswith("blocks_"):
        return config.count - int(path[0].split("_")[1])
    return 0


def products(config: HSTAConfig) -> dict[str, int]:
    """Multiply-adds of one clip's forward pass by part."""
    found = {}
    is_code = config.usta == "published"
    for branch, name in ((SPECIAL, "special"), (VIDEO, "video")):
        patches, width = config.tokens[branch], config.shape.widths[branch]
        tokens, depth = patches + 1, config.depths[branch]
        found[f"{name}_embedding"] = patches * config.patch_values(branch) * width
        per_token = (4 + 2 * MLP_RATIO if is_code else 3) * width**2
        layer = tokens * per_token + 2 * tokens**2 * width
        found[f"{name}_usta"] = config.count * depth * layer
        if config.csta == "on":
            other = config.shape.widths[1 - branch]
            seen = config.tokens[1 - branch] + 1
            one = (2 if is_code else 1) * other**2 + 2 * seen * other**2 + 2 * seen * other
            found[f"{name}_csta"] = config.count * (2 * width * other + one)
    found["head"] = sum(config.shape.widths) * config.num_classes
    return found


# Numbers kept for the backward pass per token and unit of width, and per entry of an attention map,
# in one USTA layer: 562 MB a clip at the published size.
_PER_VALUE, _PER_WEIGHT = 16, 2


def activations(config: HSTAConfig) -> int:
    """Numbers kept for the backward pass of one clip."""
    total, largest = 0, 0
    for branch in (SPECIAL, VIDEO):
        tokens, width = config.tokens[branch] + 1, config.shape.widths[branch]
        heads = config.shape.heads if config.usta == "published" else 1
        layer = _PER_VALUE * tokens * width + _PER_WEIGHT * heads * tokens**2
        largest = max(largest, layer if config.depths[branch] else 0)
        kept = tokens * width if config.remat else layer
        total += config.count * config.depths[branch] * kept
    return total + (largest if config.remat else 0)


_TRAINING: dict[str, Any] = {
    "epochs": 150,
    "batch_size": 32,
    "optimizer": "adamw",
    "weight_decay": 0.05,
    "schedule": "cosine",
    "warmup_epochs": 5,
    "sampling": "balanced",
    "drop_last": True,
}

NETWORK = Network(
    name="hsta",
    config=HSTAConfig,
    module="ahmsa_jax.networks.modules.hsta:HSTA",
    layout="rgb224",
    inputs=("frames",),
    more_inputs=more_inputs,
    is_frozen=is_frozen,
    layers_above=layers_above,
    products=products,
    activations=activations,
    # By dropout and drop path.
    batch_coupled=True,
    training=_TRAINING,
    recipes={
        # 5e-4 * 32 / 256, as the code scales its rate by the batch.
        "published": {
            "usta": "published",
            "loss": "cross_entropy",
            "learning_rate": 6.25e-5,
            "layer_decay": 0.9,
            "dropout": 0.2,
            "drop_path": 0.2,
        },
        # The equations know neither noise nor a rate of its own for each layer.
        "described": {
            "usta": "described",
            "loss": "mse",
            "learning_rate": 5e-5,
            "dropout": 0.0,
            "drop_path": 0.0,
        },
    },
)
