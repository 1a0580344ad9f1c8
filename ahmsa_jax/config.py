"""Settings as dataclasses: every field with meaning, range and source, and the training's own.

"Table 3" is that of the AHMSA-Net paper (Zhang et al., arXiv 2501.02539). What the paper leaves
open is marked so here and listed in the documentation. The command-line flags take default, help
text, range and choices from these fields.
"""

import dataclasses
import math
from collections.abc import Collection
from typing import Any, Literal, TypeVar, get_args

from ahmsa_jax.choices import AUGMENTATIONS, LOSSES, OPTIMIZERS

Value = TypeVar("Value")
Precision = Literal["float32", "tf32", "bfloat16"]
Order = Literal["data", "class", "class_021", "class_210"]


class ConfigError(ValueError):
    """A setting outside its range: one full sentence that names value and range."""


@dataclasses.dataclass(frozen=True)
class Span:
    """Numbers from low to high, both allowed unless `open_low` or `open_high`."""

    low: float
    high: float
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        # NaN compares false and is outside.
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high)

    def __str__(self) -> str:
        if not (self.open_low or self.open_high):
            return f"allowed are {_number(self.low)} to {_number(self.high)}"
        return (
            f"allowed is a number {'above' if self.open_low else 'from'} {self.low:g} "
            f"{'to below' if self.open_high else 'and up to'} {self.high:g}"
        )


def setting(
    default: Value,
    meaning: str,
    *,
    span: Span | None = None,
    choices: Collection[str] | None = None,
    hint: str = "",
    later: bool = False,
) -> Value:
    """A field of a settings dataclass.

    `span` or `choices` say what is allowed, `hint` ends the message about a number outside.
    `later`: earlier versions did not have it, so it is stored only where it is not the default.
    """
    facts = {"help": meaning, "span": span, "choices": choices, "hint": hint, "later": later}
    # As dataclasses.field, whose declared type is its default's.
    return dataclasses.field(default=default, metadata=facts)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Base of the settings dataclasses: checks each field against its span or choices."""

    def validate(self) -> None:
        """Raise ConfigError on the first setting that is out of range."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            span, choices = field.metadata.get("span"), field.metadata.get("choices")
            if span is not None and value not in span:
                hint = field.metadata["hint"] or (
                    "" if span.low == 1 else f", such as {field.default}"
                )
                raise ConfigError(f"--{field.name}={_number(value)} is out of range; {span}{hint}.")
            if choices is not None and value not in choices:
                *most, last = choices
                allowed = f"{', '.join(most)} and {last}" if most else last
                raise ConfigError(f"--{field.name}={value}: allowed are {allowed}.")


def _number(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) and math.isfinite(value) else str(value)


@dataclasses.dataclass(frozen=True)
class NetworkConfig(Settings):
    """Base of every network's settings: what the data set gives."""

    image_size: int = setting(28, "Height and width of the maps in pixels.")
    num_classes: int = setting(3, "Expression classes.", span=Span(2, 1000))


@dataclasses.dataclass(frozen=True)
class TrainConfig(Settings):
    """How one fold is trained; the defaults are the paper's Table 3 where it speaks."""

    epochs: int = setting(
        800, "Passes over the training clips of a fold (Table 3).", span=Span(1, 1_000_000)
    )
    batch_size: int = setting(
        256,
        "Clips per optimizer step; the last step of an epoch takes what is left (Table 3).",
        span=Span(1, 65_536),
    )
    learning_rate: float = setting(
        5e-6,
        "The optimizer's step size (Table 3); b1 0.9, b2 0.999, eps 1e-8, as PyTorch's defaults.",
        span=Span(0, 10, open_low=True),
    )
    shuffle: bool = setting(
        True,
        "A new order of the training clips in each epoch. Open in the paper; HTNet keeps one.",
    )
    order: Order = setting(
        "data",
        "Order of the clips in an epoch without shuffling: the data set's, or one class after the "
        "other by subject and clip name, as the public scripts of STSTNet (class_021: negative, "
        "surprise, positive) and HTNet (class_210) list their folders.",
        choices=get_args(Order),
        later=True,
    )
    precision: Precision = setting(
        "tf32",
        "float32; tf32 (on a GPU, else float32); bfloat16 (compute; master weights float32).",
        choices=get_args(Precision),
    )
    loss: str = setting(
        "cross_entropy",
        "Loss of a clip: cross_entropy (paper eq. 5), or focal: less weight to clips that are "
        "classified well already (Lin et al. 2017, doi:10.1109/ICCV.2017.324; gamma 2).",
        choices=LOSSES,
        later=True,
    )
    optimizer: str = setting(
        "adam",
        "adam (Table 3); adamw or adan with --weight_decay.",
        choices=OPTIMIZERS,
        later=True,
    )
    weight_decay: float = setting(
        0.0,
        "Decoupled weight decay of adamw and adan, per step times the learning rate.",
        span=Span(0, 10),
        later=True,
    )
    augment: str = setting(
        "none", "Change of each training clip in each step.", choices=AUGMENTATIONS, later=True
    )

    fused_update: bool = setting(
        False,
        "Adam's update of large linear layers in the GPU kernel that makes their gradient: less "
        "memory traffic, not timed on a GPU yet. A CPU computes the same in the plain way.",
        later=True,
    )

    def validate(self) -> None:
        """Raise ConfigError on the first setting that is out of range."""
        super().validate()
        if self.fused_update and self.optimizer != "adam":
            raise ConfigError(
                f"--fused_update is for --optimizer=adam; {self.optimizer} has no such kernel."
            )
        if self.shuffle and self.order != "data":
            raise ConfigError(
                f"--order={self.order} is for epochs that are not shuffled; give --noshuffle too."
            )
        if self.weight_decay and self.optimizer == "adam":
            raise ConfigError(
                f"--weight_decay={self.weight_decay:g} is for --optimizer=adamw or adan; adam has "
                "none, as in the paper."
            )


def plain(config: Settings) -> dict[str, Any]:
    """A settings dataclass as JSON holds it: tuples as lists.

    Settings that earlier versions did not have are left out where they stand at their default:
    what was trained before keeps its hash.
    """
    kept = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if not field.metadata.get("later") or value != field.default:
            kept[field.name] = list(value) if isinstance(value, tuple) else value
    return kept
