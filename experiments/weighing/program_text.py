"""Reads the text of a compiled GPU program (XLA's HLO) into instructions.

Only what an account of kernels needs: shapes with their layout, operands, called computations and
the names that say where in the network an instruction comes from.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Iterator

# Bytes of one value; what is not listed (tokens, opaque handles) takes no memory traffic.
_BYTES = {
    **dict.fromkeys(("pred", "s8", "u8", "f8e4m3fn", "f8e5m2"), 1),
    **dict.fromkeys(("s16", "u16", "f16", "bf16"), 2),
    **dict.fromkeys(("s32", "u32", "f32"), 4),
    **dict.fromkeys(("s64", "u64", "f64", "c64"), 8),
}
_ARRAY = re.compile(r"([a-z]\w*)\[([\d,]*)\](?:\{([\d,]*)[^}]*\})?")
_INSTRUCTION = re.compile(r"\s+(?:ROOT )?%(\S+) = (.*)")
_COMPUTATION = re.compile(r"(ENTRY )?%(\S+) \(.*\{$")
_OPCODE = re.compile(r" ([a-z][\w-]*)\(")
_NAME = re.compile(r"%([\w.-]+)")
_OP_NAME = re.compile(r'op_name="([^"]*)"')


@dataclasses.dataclass(frozen=True)
class Array:
    """Type, dimensions and layout of one array."""

    dtype: str
    dimensions: tuple[int, ...]
    minor_to_major: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Its size."""
        return _BYTES.get(self.dtype, 0) * math.prod(self.dimensions)

    @property
    def aligned(self) -> bool:
        """Whether its rows in memory begin at multiples of 16 bytes."""
        if not self.minor_to_major:
            return True
        row = self.dimensions[self.minor_to_major[0]]
        return row * _BYTES.get(self.dtype, 0) % 16 == 0


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line of a computation."""

    name: str
    opcode: str
    results: tuple[Array, ...]
    operands: tuple[str, ...]
    attributes: str

    @property
    def op_name(self) -> str:
        """The path of modules and functions that it was traced from; empty where unknown."""
        found = _OP_NAME.search(self.attributes)
        return found[1] if found else ""

    def attribute(self, name: str) -> tuple[str, ...]:
        """Names of the computations after `name=`, one or several in braces."""
        found = re.search(rf"\b{name}=(\{{[^}}]*\}}|%[\w.-]+)", self.attributes)
        return tuple(_NAME.findall(found[1])) if found else ()


class Program:
    """Computations of a compiled program by name, and the one that runs first."""

    def __init__(self, text: str) -> None:
        """Read the text; raises ValueError where it holds no entry computation."""
        self.computations: dict[str, dict[str, Instruction]] = {}
        self.entry = ""
        current: dict[str, Instruction] = {}
        for line in text.splitlines():
            if header := _COMPUTATION.match(line):
                current = self.computations.setdefault(header[2], {})
                self.entry = header[2] if header[1] else self.entry
            elif found := _INSTRUCTION.match(line):
                current[found[1]] = _instruction(found[1], found[2])
        if not self.entry:
            raise ValueError("the text holds no entry computation; is it a compiled program?")

    def operands(self, computation: str, instruction: Instruction) -> Iterator[Array]:
        """Arrays that an instruction reads, each once."""
        for name in dict.fromkeys(instruction.operands):
            yield from self.computations[computation][name].results


def _instruction(name: str, rest: str) -> Instruction:
    end_of_shape = _end_of_shape(rest)
    opcode = _OPCODE.search(rest, end_of_shape)
    if opcode is None:
        raise ValueError(f"no operation is named in the line of %{name}.")
    end = _closing(rest, opcode.end())
    return Instruction(
        name,
        opcode[1],
        tuple(_array(*found) for found in _ARRAY.findall(rest[:end_of_shape])),
        tuple(_NAME.findall(rest[opcode.end() : end])),
        rest[end:],
    )


def _end_of_shape(rest: str) -> int:
    """A shape is one array, or several in parentheses."""
    return _closing(rest, 1) + 1 if rest.startswith("(") else rest.index(" ")


def _closing(text: str, begin: int) -> int:
    """Place of the parenthesis that closes the one before `begin`."""
    depth = 1
    for found in re.finditer(r"[()]", text[begin:]):
        depth += 1 if found[0] == "(" else -1
        if not depth:
            return begin + found.start()
    raise ValueError("a parenthesis is never closed; is the text cut?")


@functools.cache
def _array(dtype: str, dimensions: str, layout: str) -> Array:
    def numbers(text: str) -> tuple[int, ...]:
        return tuple(int(number) for number in text.split(",") if number)

    return Array(dtype, numbers(dimensions), numbers(layout))
