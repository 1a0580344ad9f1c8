"""Which folds are trained together: chunks that fit the memory, each of one epoch shape."""

import functools
import json
import math
import pathlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ahmsa_jax.config import ConfigError, NetworkConfig, TrainConfig
from ahmsa_jax.networks import arithmetic
from ahmsa_jax.networks.initial import parameter_shapes
from ahmsa_jax.networks.registry import network_of
from ahmsa_jax.training.protocols import EpochShape, Fold, Job
from ahmsa_jax.training.step import init_fold, make_learner, make_model
from experiments.run.chunk import Chunk, Plan
from experiments.run.workdir import MOST_BYTES, canonical_json, config_hash
from experiments.schedule.memory import Device
from input_pipeline.core.files import read_text, write_whole

PLAN_FILE = "plan.json"
# On a CPU 4 folds a device were the fastest per fold-step for every network and width tried: 8 took
# 5 to 25 % longer, since a dispatch touches new pages of memory and the caches hold less.
CPU_FOLDS = 4
# What reading a damaged plan raises.
_DAMAGED = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
# A program that leaves more than this part of the memory unused is compiled again for more folds.
WORTH_GROWING = 1.25


def count_parameters(config: NetworkConfig, train_config: TrainConfig) -> tuple[int, int]:
    """Numbers of live and dead parameters of the network (see Network.is_frozen)."""
    shapes = parameter_shapes(make_model(config, train_config), config)
    is_frozen = network_of(config).is_frozen
    dead = sum(int(np.prod(shape)) for path, shape in shapes.items() if is_frozen(path, config))
    return sum(int(np.prod(shape)) for shape in shapes.values()) - dead, dead


def guess_fold_bytes(config: NetworkConfig, train_config: TrainConfig, clips: int) -> int:
    """Estimated device memory of one fold in training on at most `clips` clips, bytes.

    What training keeps of it, frozen parameters, the gradient, and the activations of a batch.
    """
    live, dead = count_parameters(config, train_config)
    rows = min(train_config.batch_size, clips)
    activations = 4 * rows * arithmetic.activations(config)
    return state_bytes(config, train_config) + 4 * (live + dead) + activations


@functools.cache
def state_bytes(config: NetworkConfig, train_config: TrainConfig) -> int:
    """What training keeps of a fold from step to step: parameters and the optimizer's state."""
    learner = make_learner(config, train_config)
    # The key is made inside, so that JAX starts no device for it.
    state, _ = jax.eval_shape(lambda: init_fold(jax.random.key(0), learner))
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))


def fitted_size(
    count: int, guess: int, available: int, devices: Sequence[Device], need: Callable[[int], int]
) -> int:
    """Folds at once over all devices, for a group of `count`: as many as the memory holds.

    `guess` is the first guess of a fold's bytes, `available` the usable bytes of one device;
    `need(size)` compiles for `size` folds and returns the bytes that one device then needs. The
    size returned was the last one compiled.
    """
    most = CPU_FOLDS if devices[0].platform == "cpu" else count
    per_device = min(max(1, available // guess), most)
    grown = False
    while True:
        size = even_size(count, per_device * len(devices), len(devices))
        per_device = size // len(devices)
        needed = need(size)
        scaled = int(per_device * available / needed)
        if needed > available and per_device > 1:
            per_device = min(max(1, scaled), -(-per_device // 2))
            # Growing again would only come back here.
            grown = True
            continue
        larger = even_size(count, min(scaled, most) * len(devices), len(devices))
        if not grown and scaled >= WORTH_GROWING * per_device and larger > size:
            per_device, grown = larger // len(devices), True
            continue
        return size


def even_size(count: int, size: int, num_devices: int) -> int:
    """Places of each chunk when `count` jobs are spread evenly over chunks of at most `size`."""
    size = max(size, 1)
    places = -(-count // -(-count // size))
    return -(-places // num_devices) * num_devices


def make_plan(
    jobs: Sequence[Job],
    shapes: Mapping[str, EpochShape],
    size_of: Mapping[EpochShape, int],
    num_devices: int,
    first_number: int = 0,
) -> tuple[Chunk, ...]:
    """Split the jobs into chunks of at most their shape's size, of one epoch shape and even sizes.

    The chunks of a shape share their number of places, so that they share one program; the places
    that jobs leave free are filled by the engine.
    """
    chunks: list[Chunk] = []
    for shape, group in grouped(jobs, shapes).items():
        places = even_size(len(group), size_of[shape], num_devices)
        for start in range(0, len(group), places):
            members = tuple(group[start : start + places])
            chunks.append(Chunk(first_number + len(chunks), shape, places, members))
    return tuple(chunks)


def grouped(jobs: Sequence[Job], shapes: Mapping[str, EpochShape]) -> dict[EpochShape, list[Job]]:
    """The jobs by epoch shape, fewest steps first."""
    steps_first = sorted({shapes[job.fold.key] for job in jobs}, key=lambda shape: shape.steps)
    return {shape: [job for job in jobs if shapes[job.fold.key] == shape] for shape in steps_first}


def halved(
    plan: Plan, number: int, finished: Collection[int], num_devices: int, reason: str
) -> Plan:
    """The plan with chunks of half the size from chunk `number` on; finished chunks stay.

    New chunks get new numbers, so that no file of an earlier one is taken for theirs.
    Raises ConfigError where that chunk has one fold on each device already.
    """
    size = next(chunk.size for chunk in plan.chunks if chunk.number == number)
    if size <= num_devices:
        raise ConfigError(
            f"even one fold per device does not fit the memory ({reason}); lower --base_dim or "
            "--batch_size, in another --workdir."
        )
    smaller = -(-(size // num_devices) // 2) * num_devices
    replaced = [
        chunk for chunk in plan.chunks if chunk.number not in finished and chunk.size > smaller
    ]
    kept = [chunk for chunk in plan.chunks if chunk not in replaced]
    shapes = {job.fold.key: chunk.shape for chunk in replaced for job in chunk.jobs}
    jobs = [job for chunk in replaced for job in chunk.jobs]
    next_number = 1 + max(chunk.number for chunk in plan.chunks)
    size_of = {chunk.shape: smaller for chunk in replaced}
    new = make_plan(jobs, shapes, size_of, num_devices, next_number)
    event = f"chunk {number} of {size} folds, {smaller} at once from there on: {reason}"
    return Plan((*kept, *new), (*plan.halvings, event))


def store_plan(workdir: pathlib.Path, plan: Plan) -> None:
    """Write the plan, so that a later start goes on with the same chunks."""
    chunks = []
    for chunk in plan.chunks:
        jobs = [[job.seed, job.fold.key] for job in chunk.jobs]
        chunks.append({"number": chunk.number, "size": chunk.size, "jobs": jobs})
    content: dict[str, Any] = {"chunks": chunks, "halvings": list(plan.halvings)}
    content["plan_hash"] = config_hash(content)
    write_whole(workdir / PLAN_FILE, canonical_json(content))


def stored_sizes(workdir: pathlib.Path) -> set[int]:
    """Places of the chunks of the first start; none where it stored no plan, or a damaged one."""
    try:
        return {int(entry["size"]) for entry in _stored(workdir / PLAN_FILE)["chunks"]}
    except (OSError, *_DAMAGED):
        return set()


def _stored(path: pathlib.Path) -> dict[str, Any]:
    """The content of a plan's file; raises one of _DAMAGED where its hash is another's."""
    content: dict[str, Any] = json.loads(read_text(path, MOST_BYTES))
    if content.pop("plan_hash") != config_hash(content):
        raise ValueError("its hash does not fit its content")
    return content


def stored_plan(
    workdir: pathlib.Path,
    folds: Sequence[Fold],
    shapes: Mapping[str, EpochShape],
    wanted: Sequence[Job],
) -> Plan | None:
    """The plan of the first start, or None; raises ConfigError where the file is damaged.

    `wanted` are the jobs of the run: the plan must hold each once.
    """
    path = workdir / PLAN_FILE
    if not path.exists():
        return None
    fold_of = {fold.key: fold for fold in folds}
    try:
        content = _stored(path)
        stored = content["chunks"]
        planned = sorted((int(seed), str(key)) for entry in stored for seed, key in entry["jobs"])
        if planned != sorted((job.seed, job.fold.key) for job in wanted):
            raise ValueError("it does not hold each fold once")
        if any(not 1 <= len(entry["jobs"]) <= int(entry["size"]) for entry in stored):
            raise ValueError("a chunk holds more folds than places, or none")
        chunks = []
        for entry in stored:
            number, shape = int(entry["number"]), shapes[entry["jobs"][0][1]]
            jobs = tuple(Job(int(seed), fold_of[key]) for seed, key in entry["jobs"])
            chunks.append(Chunk(number, shape, int(entry["size"]), jobs))
        return Plan(tuple(chunks), tuple(content["halvings"]))
    except _DAMAGED as error:
        raise ConfigError(
            f"'{path}' is damaged ({error}); start again in another --workdir."
        ) from None
