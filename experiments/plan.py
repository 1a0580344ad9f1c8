"""Which folds are trained together: chunks that fit the memory, each of one epoch shape."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence

import jax
import numpy as np

from ahmsa_jax.config import ConfigError, ModelConfig, TrainConfig
from ahmsa_jax.engine import Job
from ahmsa_jax.folds import EpochShape, Fold
from ahmsa_jax.initial import parameter_shapes
from ahmsa_jax.model import is_dead
from ahmsa_jax.train import make_model
from experiments.workdir import canonical_json
from input_pipeline.whole_file import write_whole

PLAN_FILE = "plan.json"
# On a CPU a chunk of 8 folds was the fastest per fold-step: more spill the caches.
CPU_FOLDS = 8
# Share of the memory that is free at the start which a chunk may take.
MEMORY_SHARE = 0.8
# Activations kept for the backward pass, in numbers per patch, block and unit of width, as
# compiled programs needed them on a CPU; only the first guess, compiling gives the true need.
ACTIVATIONS_PER_WIDTH = 32


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Jobs trained together; `size` is the number of places, shared by chunks of a shape."""

    number: int
    shape: EpochShape
    size: int
    jobs: tuple[Job, ...]


def available_bytes(devices: Sequence[jax.Device]) -> int:
    """Memory that a chunk may use on one device, bytes.

    A GPU tells its allocator's limit; a CPU does not, so the machine's free memory is shared out.
    """
    stats = devices[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return int((stats["bytes_limit"] - stats.get("bytes_in_use", 0)) * MEMORY_SHARE)
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    meminfo = pathlib.Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) * 1024
    return int(free * MEMORY_SHARE / len(devices))


def count_parameters(config: ModelConfig, train_config: TrainConfig) -> tuple[int, int]:
    """Numbers of live and dead parameters of the network (see model.is_dead)."""
    shapes = parameter_shapes(make_model(config, train_config), config)
    dead = sum(int(np.prod(shape)) for path, shape in shapes.items() if is_dead(path, config))
    return sum(int(np.prod(shape)) for shape in shapes.values()) - dead, dead


def guess_fold_bytes(config: ModelConfig, train_config: TrainConfig, clips: int) -> int:
    """Estimated device memory of one fold in training on at most `clips` clips, bytes.

    Parameters, Adam's two moments and the gradient in float32, and the activations of a batch.
    """
    live, dead = count_parameters(config, train_config)
    levels = zip(config.blocks, config.grids, config.widths, strict=True)
    units = sum(blocks * grid**2 * width for blocks, grid, width in levels)
    rows = min(train_config.batch_size, clips)
    activations = 4 * ACTIVATIONS_PER_WIDTH * rows * units
    return 16 * live + 4 * dead + activations


def chunk_size(
    config: ModelConfig,
    train_config: TrainConfig,
    devices: Sequence[jax.Device],
    wanted: int,
    clips: int,
) -> int:
    """Folds at once over all devices: as wanted, or as many as memory should hold.

    Raises ConfigError where not even one fold fits.
    """
    if wanted:
        return wanted
    need, have = guess_fold_bytes(config, train_config, clips), available_bytes(devices)
    per_device = have // need
    if per_device < 1:
        raise ConfigError(
            f"one fold needs about {need / 2**30:.1f} GiB and {have / 2**30:.1f} GiB can be used; "
            "lower --base_dim or --batch_size."
        )
    if devices[0].platform == "cpu":
        per_device = min(per_device, CPU_FOLDS)
    return int(per_device) * len(devices)


def make_plan(
    jobs: Sequence[Job], shapes: dict[str, EpochShape], size: int, num_devices: int
) -> list[Chunk]:
    """Split the jobs into chunks of at most `size`, each of one epoch shape and of even sizes.

    The chunks of a shape share their number of places, so that they share one program; the places
    that jobs leave free are filled by the engine.
    """
    chunks: list[Chunk] = []
    for shape in sorted(set(shapes.values()), key=lambda shape: shape.steps):
        group = [job for job in jobs if shapes[job.fold.subject_key] == shape]
        if not group:
            continue
        number = -(-len(group) // size)
        places = -(-len(group) // number)
        places = -(-places // num_devices) * num_devices
        for start in range(0, len(group), places):
            members = tuple(group[start : start + places])
            chunks.append(Chunk(len(chunks), shape, places, members))
    return chunks


def store_plan(workdir: pathlib.Path, chunks: Sequence[Chunk]) -> None:
    """Write the plan, so that a later start goes on with the same chunks."""
    plan = [
        {"size": chunk.size, "jobs": [[job.seed, job.fold.subject_key] for job in chunk.jobs]}
        for chunk in chunks
    ]
    write_whole(workdir / PLAN_FILE, canonical_json({"chunks": plan}))


def stored_plan(
    workdir: pathlib.Path,
    folds: Sequence[Fold],
    shapes: dict[str, EpochShape],
    wanted: Sequence[tuple[int, str]],
) -> list[Chunk] | None:
    """The plan of the first start, or None; raises ConfigError where the file is damaged.

    `wanted` are seed and subject key of every job: the plan must hold each once.
    """
    path = workdir / PLAN_FILE
    if not path.exists():
        return None
    fold_of = {fold.subject_key: fold for fold in folds}
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))["chunks"]
        planned = sorted((int(seed), str(key)) for entry in stored for seed, key in entry["jobs"])
        if planned != sorted(wanted):
            raise ValueError("it does not hold each fold once")
        if any(not 1 <= len(entry["jobs"]) <= int(entry["size"]) for entry in stored):
            raise ValueError("a chunk holds more folds than places, or none")
        return [
            Chunk(
                number,
                shapes[entry["jobs"][0][1]],
                int(entry["size"]),
                tuple(Job(int(seed), fold_of[key]) for seed, key in entry["jobs"]),
            )
            for number, entry in enumerate(stored)
        ]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ConfigError(
            f"'{path}' is damaged ({error}); start again in another --workdir."
        ) from None
