"""What is measured, in the order of worth: the registry, and how a call works through it."""

import dataclasses
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ahmsa_jax.config import OWN_KERNELS
from experiments.measuring import timed, traced, trained
from experiments.measuring.children import Children, PartError, TimeOverError
from experiments.measuring.sizes import Sizes
from experiments.measuring.store import Store
from experiments.measuring.trained import Run
from experiments.run import autotuning

# Names among the arrays and the folds: synthetic data of CAS(ME)^3's size, and the folds of the run
# that is stopped.
CASME3, FIRST = "casme3", "stopped"
# Seconds that are kept back for writing and leaving.
RESERVE = 10.0


@dataclasses.dataclass(frozen=True)
class Given:
    """What every part gets."""

    sizes: Sizes
    arrays: Mapping[str, pathlib.Path]  # by layout, and CASME3
    subjects: Mapping[str, Sequence[str]]  # folds to train of each; empty: all
    store: Store
    children: Children


@dataclasses.dataclass(frozen=True)
class Part:
    """One thing to measure; `seconds` is what it may take where nothing is known yet."""

    name: str
    measure: Callable[[Given], dict[str, Any]]
    seconds: float


def _in_child(
    name: str, function: Callable[..., dict[str, Any]], seconds: float, *arguments: Any
) -> Part:
    def measure(given: Given) -> dict[str, Any]:
        return given.children.facts_of(function, given.sizes, *arguments)

    return Part(name, measure, seconds)


def _engine(name: str, precision: str, *fused: str, evaluating: bool = False) -> Part:
    return _in_child(name, timed.engine, 240, precision, evaluating, fused)


def _autotuned(given: Given) -> dict[str, Any]:
    file = str(given.store.folder / f"autotune{autotuning.SUFFIX}")
    return given.children.facts_of(timed.autotuned, given.sizes, file)


def _compiling(given: Given) -> dict[str, Any]:
    programs = str(given.children.folder / "programs")
    return given.children.facts_of(timed.compiling, given.sizes, programs)


def _interrupted(given: Given) -> dict[str, Any]:
    run = Run("stopped", "five")
    words = run.words(given.arrays["five"], given.sizes, given.subjects[FIRST])
    return trained.interrupted(given.children, words, given.sizes.checkpoint_epochs)


OF_SEEDS = ("68 folds, tf32", "68 folds, tf32, seed 1", "68 folds, tf32, seed 2")
# A part, or a run that is trained shard by shard.
ENTRIES: tuple[Part | Run, ...] = (
    _in_child("correctness", timed.correctness, 300),
    _in_child("benchmark: PyTorch eager", timed.torch, 120, "eager"),
    _in_child("benchmark: PyTorch expert", timed.torch, 180, "expert"),
    _engine("benchmark: tf32", "tf32"),
    _engine("benchmark: tf32, evaluating", "tf32", evaluating=True),
    _engine("benchmark: bfloat16", "bfloat16"),
    Run("68 folds, tf32", "five"),
    Run("68 folds, bfloat16", "five", precision="bfloat16"),
    _in_child("correctness of own kernels", timed.own_kernels, 300, *OWN_KERNELS),
    _engine("benchmark: tf32, fused update", "tf32", "fused_update"),
    _engine("benchmark: tf32, fused layers", "tf32", "fused_layers"),
    _engine("benchmark: bfloat16, both fused", "bfloat16", *OWN_KERNELS),
    Part("compiling", _compiling, 240),
    Part("benchmark: tf32, autotuned", _autotuned, 450),
    Run("CAS(ME)^3's size, tf32", "five", data=CASME3),
    Run("STSTNet as published", "whole", model="ststnet", recipe="published"),
    Run("HTNet as published", "quad_htnet", model="htnet", recipe="published"),
    Run("STSTNet as described", "whole", model="ststnet", recipe="described"),
    Run("HTNet as described", "quad_htnet", model="htnet", recipe="described"),
    Run("68 folds, tf32, seed 1", "five", seed=1),
    Run("68 folds, tf32, seed 2", "five", seed=2),
    Part("checkpoint and resume", _interrupted, 300),
    _in_child("trace", traced.by_room, 240),
)
RUNS = {entry.name: entry for entry in ENTRIES if isinstance(entry, Run)}
# A shard of a run, where nothing is known yet.
SHARD_SECONDS = 400.0


def names_left(store: Store) -> list[str]:
    """Entries that are neither done nor given up."""
    return [entry.name for entry in ENTRIES if not store.is_settled(entry.name)]


def measure_all(given: Given, say: Callable[[str], None]) -> None:
    """Measure what is left until the deadline, most worth first.

    What does not fit into the time left waits for the next call; the first one is tried anyway.
    """
    tried = False
    for entry in ENTRIES:
        while not given.store.is_settled(entry.name):
            part = _next_shard(entry, given) if isinstance(entry, Run) else entry
            left = given.children.deadline - RESERVE - time.monotonic()
            expected = min(part.seconds, given.sizes.part_seconds)
            needed = max(expected, 1.2 * given.store.overran(part.name))
            if left <= 0 or (tried and needed > left):
                break
            alone, tried = not tried, True
            number = f"{ENTRIES.index(entry) + 1} of {len(ENTRIES)}"
            say(f"[{number}] {part.name}; {left:.0f} s are left of this call")
            if not _measure(part, entry, given, say, alone=alone):
                break


def _measure(
    part: Part, entry: Part | Run, given: Given, say: Callable[[str], None], *, alone: bool
) -> bool:
    """Measure one part; whether the entry can go on in this call.

    A part that had the call to itself and did not end gets no second one.
    """
    store, began = given.store, time.monotonic()
    try:
        facts = part.measure(given)
    except TimeOverError:
        seconds = time.monotonic() - began
        if not alone:
            store.add_overrun(part.name, seconds)
        elif isinstance(entry, Run):
            store.cut_finer(entry.slug, 2 * store.shards(entry.slug, given.sizes.shards))
        else:
            store.give_up(part.name, f"did not end in a whole call of {seconds:.0f} s")
        say(f"  stopped after {seconds:.0f} s, when the time was over")
        return False
    except PartError as error:
        store.add_failure(entry.name, str(error))
        say(f"  failed; {store.path} holds what it said")
        return False
    if facts:
        store.add(entry.name, {**facts, "seconds": time.monotonic() - began})
    say(f"  measured in {time.monotonic() - began:.0f} s")
    return True


def _next_shard(run: Run, given: Given) -> Part:
    """The run's next shard as a part; the last one gives the facts of the whole run."""
    store, children = given.store, given.children
    of = store.shards(run.slug, given.sizes.shards)
    place = store.finished_shards(run.slug)
    data = run.data or run.layout

    def measure(given: Given) -> dict[str, Any]:
        words = run.words(given.arrays[data], given.sizes, given.subjects[data])
        workdir = trained.shard(children, words, place, of)
        if of == 1:
            return trained.merged(children, [workdir])
        store.keep_shard(run.slug, place, workdir)
        if place + 1 < of:
            return {}
        facts = trained.merged(children, store.unpack_shards(run.slug, children.folder / "shards"))
        store.drop_shards(run.slug)
        return facts

    return Part(
        f"{run.name}, shard {place} of {of}" if of > 1 else run.name, measure, SHARD_SECONDS
    )
