"""Printed before a run starts: plan, memory, expected time and disk space."""

import dataclasses
import pathlib
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ahmsa_jax.config import NetworkConfig, TrainConfig
from ahmsa_jax.networks.arithmetic import forward_products
from ahmsa_jax.training.protocols import Job
from experiments.files.checkpoints import KEPT
from experiments.files.run_files import LOGGED_EPOCHS
from experiments.run.chunk import Chunk, Plan
from experiments.schedule.plan import state_bytes
from experiments.schedule.programs import Needs, Programs

# Share of the matrix-product rate that a training step is taken to reach; the rest goes into
# element-wise work. Rough: shares of 0.15 to 0.8 were seen, by width and by the machine's load.
CPU_EFFICIENCY = 0.25
# Beyond this, a run on a CPU starts with a warning.
LONG_RUN_SECONDS = 600.0
# Operations a second that any CPU reaches: what is short at this rate needs no measuring.
LEAST_RATE = 1e9
# The dry run times so long, or an epoch, and so many epochs at most.
TIMED_SECONDS = 2.0
MOST_TIMED = 20
# On a CPU it runs no program that needs more memory than this, bytes: others may need it.
TIMED_BYTES = 2**30
# A smaller look at a long run.
LOOK_WIDTH, LOOK_EPOCHS, LOOK_RATE = 24, 60, 1e-4
# Bytes as found in files of runs: a row of predictions.csv, a line of metrics.jsonl without its
# confusion matrix, a count of one, the pictures and tables of a report.
_ROW, _LINE, _COUNT, _REPORT = 110, 90, 13, 500_000


def print_plan(programs: Needs, plan: Plan) -> None:
    """Print the chunks, what each program needs of the memory, and earlier halvings."""
    for (shape, folds), count in Counter((c.shape, len(c.jobs)) for c in plan.chunks).items():
        print(f"plan: {count} chunk(s) of {folds} folds at once, {shape.steps} step(s) per epoch")
    for shape, size in {(chunk.shape, chunk.size): None for chunk in plan.chunks}:
        if programs.is_compiled(shape, size):
            need = programs.need(shape, size)
            available = _in_bytes(programs.available)
            print(
                f"memory: {size} folds of {shape.steps} step(s) need {_in_bytes(need)} of the "
                f"{available} per device that can be used"
            )
    for event in plan.halvings:
        print(f"halved earlier: {event}")
    sys.stdout.flush()


def print_disk(programs: Needs, plan: Plan, workdir: pathlib.Path, *, checkpoints: bool) -> None:
    """Print the disk space for results and checkpoints, and what is free."""
    epochs, every = programs.train_config.epochs, programs.eval_every
    jobs = [job for chunk in plan.chunks for job in chunk.jobs]
    evaluations = 1 + (epochs // every if every else 0)
    results = _result_bytes(jobs, epochs, evaluations, programs.num_classes)
    text = f"disk: about {_in_bytes(results)} for results"
    if checkpoints:
        size = max(chunk.size for chunk in plan.chunks)
        one = size * state_bytes(programs.model_config, programs.train_config)
        text += (
            f", up to {_in_bytes((KEPT + 1) * one)} for checkpoints ({KEPT} are kept while the "
            f"next is written, {_in_bytes(one)} each)"
        )
    existing = next(path for path in (workdir, *workdir.absolute().parents) if path.exists())
    print(f"{text}; {_in_bytes(shutil.disk_usage(existing).free)} are free", flush=True)


def print_time(programs: Programs, plan: Plan) -> None:
    """Print how long training will take, from some epochs of each program timed now.

    On a CPU large programs are not run for that: their time follows from their arithmetic.
    """
    needs = [programs.need(chunk.shape, chunk.size) for chunk in plan.chunks]
    if programs.devices[0].platform == "cpu" and max(needs) > TIMED_BYTES:
        jobs = [job for chunk in plan.chunks for job in chunk.jobs]
        how = "training time here, roughly, from the arithmetic"
        seconds = cpu_seconds(programs.model_config, programs.train_config, jobs)
    else:
        how = "estimated training time here, from epochs timed now"
        seconds = timed_seconds(programs, plan.chunks)
    print(f"{how}: {in_words(seconds)}", flush=True)


def timed_seconds(programs: Programs, chunks: Sequence[Chunk]) -> float:
    """Training seconds of all chunks, from some epochs of each program timed now."""
    per_epoch: dict[object, float] = {}
    for chunk in chunks:
        key = (chunk.shape, chunk.size)
        if key not in per_epoch:
            programs.need(*key)
            per_epoch[key] = _seconds_per_epoch(programs, chunk)
    epochs = programs.train_config.epochs
    return sum(per_epoch[chunk.shape, chunk.size] * epochs for chunk in chunks)


def _seconds_per_epoch(programs: Programs, chunk: Chunk) -> float:
    engine = programs.engine(chunk.shape, chunk.size)
    data = programs.data(engine)
    state = engine.start(chunk.jobs)

    def timed(epochs: int) -> float:
        began = time.monotonic()
        engine.run_epochs(state, data, 0, epochs)
        return (time.monotonic() - began) / epochs

    # The first one loads the program; then as many as fill about the time of a dispatch.
    first = timed(1)
    return timed(max(1, min(MOST_TIMED, int(TIMED_SECONDS / first))))


def warn_if_long(programs: Needs, jobs: Sequence[Job]) -> None:
    """Warn on stderr where training these jobs on a CPU will take long."""
    if programs.devices[0].platform != "cpu" or not jobs:
        return
    model, training = programs.model_config, programs.train_config
    if cpu_seconds(model, training, jobs, LEAST_RATE) <= LONG_RUN_SECONDS:
        return
    seconds = cpu_seconds(model, training, jobs)
    if seconds > LONG_RUN_SECONDS:
        print(
            f"warning: no GPU is seen, and this run will take about {in_words(seconds)} "
            f"on this CPU; {_smaller(programs, jobs)}",
            file=sys.stderr,
            flush=True,
        )


def _smaller(programs: Needs, jobs: Sequence[Job]) -> str:
    """What to give for a smaller look, in settings that are larger in this run."""
    model, training = programs.model_config, programs.train_config
    flags = []
    if getattr(model, "base_dim", 0) > LOOK_WIDTH:
        flags.append(f"--base_dim={LOOK_WIDTH}")
        width: dict[str, Any] = {"base_dim": LOOK_WIDTH}
        model = dataclasses.replace(model, **width)
        if training.learning_rate < LOOK_RATE:
            flags.append(f"--learning_rate={LOOK_RATE:g}")
    if training.epochs > LOOK_EPOCHS:
        flags.append(f"--epochs={LOOK_EPOCHS}")
        training = dataclasses.replace(training, epochs=LOOK_EPOCHS)
    if not flags:
        keys = list(dict.fromkeys(job.fold.key for job in jobs))[:2]
        return f"for a smaller look give fewer folds, such as --subjects={','.join(keys)}"
    seconds = cpu_seconds(model, training, jobs)
    return f"a smaller look, {' '.join(flags)}, takes about {in_words(seconds)}"


def _result_bytes(jobs: Sequence[Job], epochs: int, evaluations: int, classes: int) -> int:
    rows = sum(len(job.fold.test_index) for job in jobs)
    lines = len(jobs) * min(epochs, LOGGED_EPOCHS + evaluations)
    # A confusion matrix in an array and as text.
    counts = len(jobs) * evaluations * classes**2 * (8 + _COUNT)
    arrays = 4 * len(jobs) * epochs + 4 * classes * rows
    return rows * _ROW + lines * _LINE + counts + arrays + _REPORT


def _in_bytes(count: float) -> str:
    """A number of bytes for people: 3.1 MiB, 52 GiB."""
    for unit in ("KiB", "MiB"):
        count /= 1024
        if count < 1000:
            return f"{count:.3g} {unit}"
    return f"{count / 1024:.3g} GiB"


def cpu_seconds(
    model_config: NetworkConfig,
    train_config: TrainConfig,
    jobs: Sequence[Job],
    rate: float | None = None,
) -> float:
    """Estimated training seconds of these folds on this machine's CPU, without compiling.

    Counts six operations per multiply-add and clip (forward, and twice that backward), at `rate`
    operations a second; None: that of a matrix product timed now.
    """
    rows = sum(job.fold.n_train for job in jobs)
    operations = 6.0 * sum(forward_products(model_config).values()) * rows * train_config.epochs
    rate = rate or numpy_product_rate(1024, repeats=3)
    return operations / (CPU_EFFICIENCY * rate)


def numpy_product_rate(side: int, repeats: int) -> float:
    """Operations per second of NumPy's product of square matrices, the best of some."""
    factor = np.ones((side, side), np.float32)
    return 2 * side**3 / best_seconds(lambda: factor @ factor, repeats)


def best_seconds(work: Callable[[], object], repeats: int) -> float:
    """The least time that `work` takes in some repeats, after a first one that does not count."""
    work()
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)


def in_words(seconds: float) -> str:
    """A duration for people: 40 s, 12 min, 5.0 h, 3.2 days."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.1f} days"
