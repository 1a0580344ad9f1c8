"""GPUs as their descriptions tell of them: what a program can be compiled for without the card."""

import dataclasses
import importlib.resources
import pathlib
import re

from ahmsa_jax.config import ConfigError, Precision

# Shares of a description's peak rates that a good program reaches.
MEMORY_SHARE, PRODUCT_SHARE = 0.9, 0.7
# Bytes per second, and operations per second by precision, that are reached on these two.
_KNOWN: dict[str, tuple[float, dict[Precision, float]]] = {
    "h200": (4.3e12, {"tf32": 350e12, "bfloat16": 700e12}),
    "h100": (3.0e12, {"tf32": 350e12, "bfloat16": 700e12}),
}
# XLA's numbers of the types whose rate its matrix units are described by.
_FLOAT32, _BFLOAT16 = 11, 16


@dataclasses.dataclass(frozen=True)
class Card:
    """A GPU: its description as XLA reads it (GpuTargetConfigProto as text), and its rates."""

    name: str
    description: str
    memory: int  # bytes
    memory_rate: float  # bytes per second
    product_rate: dict[Precision, float]  # floating-point operations per second


def load(target: str) -> Card:
    """The card after --target: h200, h100, or a file that describes another one.

    The rates of a file are 0.9 of its memory_bandwidth and 0.7 of its matrix units' peak. Raises
    ConfigError where the file cannot be read or lacks one of these numbers.
    """
    if target in _KNOWN:
        folder = importlib.resources.files("experiments.weighing") / "cards"
        text = (folder / f"{target}.txtpb").read_text(encoding="utf-8")
        return Card(_name(text, target), text, _memory(text, target), *_KNOWN[target])
    path = pathlib.Path(target).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"--target={target} cannot be read ({error}); give h200, h100 or a text file with a "
            "GPU's description (XLA's GpuTargetConfigProto)."
        ) from error
    rates: dict[Precision, float] = {
        "tf32": PRODUCT_SHARE * _matrix_rate(text, target, _FLOAT32),
        "bfloat16": PRODUCT_SHARE * _matrix_rate(text, target, _BFLOAT16),
    }
    bandwidth = _number(text, target, r"\bmemory_bandwidth:\s*(\d+)")
    memory = _memory(text, target)
    return Card(_name(text, path.stem), text, memory, MEMORY_SHARE * bandwidth, rates)


def _name(text: str, otherwise: str) -> str:
    found = re.search(r'\bdevice_description_str:\s*"([^"]+)"', text)
    return found[1] if found else otherwise


def _memory(text: str, target: str) -> int:
    return int(_number(text, target, r"\bdevice_memory_size:\s*(\d+)"))


def _matrix_rate(text: str, target: str, number: int) -> float:
    """Peak operations per second of all matrix units on a type, two per multiply-add."""
    cores = _number(text, target, r"\bcore_count:\s*(\d+)")
    units = text.partition("matrix_unit_description")[2]
    rate = rf"key:\s*{number}\s+value\s*{{([^}}]*)}}"
    found = re.search(rate, units)
    if found is None:
        raise _lacking(target, f"the rate of type {number} in matrix_unit_description")
    clock, per_core, operations = (
        _number(found[1], target, rf"\b{name}:\s*([\d.]+)")
        for name in ("clock_rate_ghz", "units_per_core", "ops_per_clock")
    )
    return 2e9 * clock * cores * per_core * operations


def _number(text: str, target: str, pattern: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise _lacking(target, pattern.removeprefix(r"\b").partition(":")[0])
    return float(found[1])


def _lacking(target: str, what: str) -> ConfigError:
    return ConfigError(
        f"--target={target} does not hold {what}; give h200, h100 or a GPU's whole description "
        "(XLA's GpuTargetConfigProto as text)."
    )
