"""A trace of a card at work, summed up by room of the network."""

import gzip
import json
import pathlib
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

import jax

from experiments.measuring import timed
from experiments.measuring.sizes import Sizes
from experiments.timing.contenders import EngineContender
from experiments.weighing.program_text import Program
from experiments.weighing.rooms import room_of

# Their time is that of what they call.
_CONTROL = {"while", "call", "conditional"}


def by_room(sizes: Sizes) -> dict[str, Any]:
    """Milliseconds per fold-step by room, from JAX's profiler over one round in tf32.

    Gaps between kernels are no room's.
    """
    here = timed.device(sizes.programs)
    contender = EngineContender(timed.problem_of(sizes), sizes.folds, "tf32", eval_every=1)
    contender.round()
    with tempfile.TemporaryDirectory(prefix="trace-") as name:
        with jax.profiler.trace(name):
            seconds = contender.round()
        traces = sorted(pathlib.Path(name).rglob("*.trace.json.gz"))
        events = [event for path in traces for event in _events(path)]
    microseconds = summed(events, rooms_of_text(contender.text))
    milli = 1e3 * contender.folds_at_once * sizes.steps
    return {
        "ms_per_fold_step_by_room": {room: one / milli for room, one in microseconds.items()},
        "ms_per_fold_step": 1e3 * seconds,
        **here,
    }


def rooms_of_text(text: str) -> dict[str, str]:
    """The room of each instruction of a compiled program that does work itself, by its name."""
    return {
        line.name: room_of(line.op_name)
        for lines in Program(text).computations.values()
        for line in lines.values()
        if line.opcode not in _CONTROL
    }


def summed(events: Iterable[Mapping[str, Any]], rooms: Mapping[str, str]) -> dict[str, float]:
    """Microseconds by room of a trace's events; those of no instruction are left out."""
    found: dict[str, float] = {}
    for event in events:
        # On a GPU a kernel's event names its instruction; on a CPU it is the event's own name.
        instruction = event.get("args", {}).get("hlo_op") or event.get("name", "")
        if event.get("ph") == "X" and instruction in rooms:
            room = rooms[instruction]
            found[room] = found.get(room, 0.0) + float(event.get("dur", 0.0))
    return dict(sorted(found.items()))


def _events(path: pathlib.Path) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    return events
