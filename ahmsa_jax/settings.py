"""What a setting is: a field of a dataclass with meaning, range and source; how it is stored."""

import dataclasses
import math
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

Value = TypeVar("Value")


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
            if choices is None:
                continue
            for chosen in value if isinstance(value, tuple) else (value,):
                if chosen not in choices:
                    *most, last = choices
                    allowed = f"{', '.join(most)} and {last}" if most else last
                    raise ConfigError(f"--{field.name}={chosen}: allowed are {allowed}.")


def _number(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) and math.isfinite(value) else str(value)


def plain(config: Settings) -> dict[str, Any]:
    """A settings dataclass as JSON holds it: tuples as lists.

    Settings that earlier versions did not have are left out where they stand at their default:
    what was trained before keeps its hash.
    """
    stored = complete(config)
    for field in dataclasses.fields(config):
        if field.metadata.get("later") and getattr(config, field.name) == field.default:
            del stored[field.name]
    return stored


def complete(config: Settings) -> dict[str, Any]:
    """The same with nothing left out."""
    stored = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, tuple):
            # Earlier versions took one word here and stored it so: its runs keep their hash.
            is_one_word = field.metadata.get("choices") is not None and len(value) == 1
            value = value[0] if is_one_word else list(value)
        stored[field.name] = value
    return stored


Stored = TypeVar("Stored", bound=Settings)


def from_plain(config: type[Stored], stored: Mapping[str, Any]) -> Stored:
    """The settings that `plain` gave, checked; raises ConfigError where they are none of these."""
    fields = {field.name: field for field in dataclasses.fields(config)}
    if unknown := sorted(stored.keys() - fields.keys()):
        raise ConfigError(f"{config.__name__} has no setting {unknown[0]!r}.")
    values = dict(stored)
    for name, value in values.items():
        if isinstance(fields[name].default, tuple):
            values[name] = tuple(value) if isinstance(value, list) else (value,)
    try:
        found = config(**values)
        found.validate()
    except TypeError as error:
        raise ConfigError(f"{config.__name__}: {error}.") from None
    return found
