"""The kernels that a compiled GPU program starts, each with its work and memory traffic.

A kernel's bytes are those of its operands and results, each array once: what has to cross the
card's memory if nothing of it stays in a cache between two kernels.
"""

import dataclasses
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from ahmsa_jax.networks.parts import attention_kernel, norm_kernel
from ahmsa_jax.training import product_adam
from ahmsa_jax.training.step import OPTIMIZER
from experiments.weighing.program_text import Array, Instruction, Program

# What starts no kernel: names for memory, and control flow that the host runs.
_FREE = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all"),
    *("call", "conditional", "opt-barrier", "while"),
}
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
# Of a custom call's attributes only this one is read.
_DOT = re.compile(r'"dot_dimension_numbers":(\{[^}]*\})')
# Kernels of our own, whose inside the text does not show, by the name in their path: operations
# from the dimensions of their operands.
OPAQUE: dict[str, Callable[[Sequence[tuple[int, ...]]], int]] = {
    product_adam.NAME: product_adam.flop,
    attention_kernel.FORWARD: attention_kernel.forward_flop,
    attention_kernel.BACKWARD: attention_kernel.backward_flop,
    norm_kernel.FORWARD: norm_kernel.no_flop,
    norm_kernel.BACKWARD: norm_kernel.no_flop,
}
_OPAQUE_CALL = 'custom_call_target="__gpu$xla.gpu.triton"'


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One kernel, and how often a pass through its loop starts it."""

    name: str
    op_name: str
    times: int
    flop: int
    bytes: int
    arrays: tuple[Array, ...]

    @property
    def is_product(self) -> bool:
        """Whether it is a matrix product, with or without more fused to it."""
        return self.flop > 0

    @property
    def aligned(self) -> bool:
        """Whether every array's rows begin at multiples of 16 bytes."""
        return all(array.aligned for array in self.arrays)


def kernels_of_loop(program: Program) -> list[Kernel]:
    """Kernels of one pass through the outermost loop: an epoch of the training program.

    What stands before and after the loop runs once a dispatch and is left out. Raises ValueError
    where the entry computation holds another number of loops than one.
    """
    loops = [
        line for line in program.computations[program.entry].values() if line.opcode == "while"
    ]
    if len(loops) != 1:
        raise ValueError(f"the program has {len(loops)} outermost loops; one is expected.")
    (body,) = loops[0].attribute("body")
    return list(_kernels(program, body, 1))


def _kernels(program: Program, computation: str, times: int) -> Iterator[Kernel]:
    for line in program.computations[computation].values():
        if line.opcode == "while":
            trips = _TRIPS.search(line.attributes)
            if trips is None:
                raise ValueError(f"it is not known how often the loop %{line.name} runs.")
            (body,) = line.attribute("body")
            yield from _kernels(program, body, times * int(trips[1]))
        elif line.opcode == "conditional":
            # The branch that does most, which is the one that evaluates.
            branches = [list(_kernels(program, one, times)) for one in _branches(line)]
            yield from max(branches, key=lambda branch: sum(one.bytes for one in branch))
        elif line.opcode in ("call", "async-start"):
            (called,) = line.attribute("to_apply") or line.attribute("calls")
            yield from _kernels(program, called, times)
        elif line.opcode not in _FREE and not line.opcode.endswith("-done"):
            yield _kernel(program, computation, line, times)


def _branches(line: Instruction) -> tuple[str, ...]:
    return line.attribute("branch_computations") or (
        *line.attribute("true_computation"),
        *line.attribute("false_computation"),
    )


def _kernel(program: Program, computation: str, line: Instruction, times: int) -> Kernel:
    operands = tuple(program.operands(computation, line))
    results = line.results
    op_name = line.op_name
    flop = 0
    if line.opcode == "custom-call" and _OPAQUE_CALL in line.attributes:
        flop = _opaque(line, operands)
    elif line.opcode == "custom-call":
        flop, results = _library_product(line, operands)
    elif line.opcode == "dot":
        flop = _product(line, operands)
    elif line.opcode == "fusion":
        (called,) = line.attribute("calls")
        flop = _fused_products(program, called)
        op_name = _fused_name(program, called, op_name)
    arrays = (*operands, *results)
    size = sum(array.bytes for array in arrays)
    return Kernel(line.name, op_name, times, flop, size, arrays)


def _opaque(line: Instruction, operands: tuple[Array, ...]) -> int:
    """Operations of a kernel of our own; raises ValueError where OPAQUE does not know it."""
    found = [name for name in line.op_name.split("/") if name in OPAQUE]
    if not found:
        raise ValueError(f"what the kernel %{line.name} does is not known: {line.op_name}.")
    return OPAQUE[found[0]]([array.dimensions for array in operands])


def _library_product(
    line: Instruction, operands: tuple[Array, ...]
) -> tuple[int, tuple[Array, ...]]:
    """Operations of a library call, and its results without the workspace."""
    found = _DOT.search(line.attributes)
    if found is None:
        return 0, line.results
    numbers = json.loads(found[1])
    summed = _sum_length(operands[0], numbers.get("lhs_contracting_dimensions", ()))
    return 2 * math.prod(line.results[0].dimensions) * summed, line.results[:1]


def _product(line: Instruction, operands: tuple[Array, ...]) -> int:
    found = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", line.attributes)
    places = found[1].split(",") if found and found[1] else []
    return 2 * math.prod(line.results[0].dimensions) * _sum_length(operands[0], places)


def _sum_length(left: Array, places: list[str] | tuple[str, ...]) -> int:
    return math.prod(left.dimensions[int(place)] for place in places)


def _fused_products(program: Program, computation: str) -> int:
    """Operations of the products inside a fusion."""
    total = 0
    for line in program.computations[computation].values():
        if line.opcode == "dot":
            total += _product(line, tuple(program.operands(computation, line)))
        elif line.opcode == "fusion":
            total += _fused_products(program, line.attribute("calls")[0])
    return total


def _fused_name(program: Program, computation: str, own: str) -> str:
    """The place that a fusion works for: the optimizer's where any of it is, else its result's.

    A result whose path was lost stands for where most of the fusion's instructions come from.
    """
    lines = program.computations[computation].values()
    names = Counter(
        line.op_name for line in lines if "/" in line.op_name and line.opcode not in _FREE
    )
    updating = [name for name in names if f"/{OPTIMIZER}/" in name]
    if updating:
        return updating[0]
    return own if "/" in own or not names else names.most_common(1)[0][0]
