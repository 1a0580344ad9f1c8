"""Parts that time and check programs; each runs in a process of its own and returns facts."""

import dataclasses
import os
import pathlib
import statistics
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from ahmsa_jax.config import Precision, TrainConfig
from experiments.measuring.sizes import Sizes
from experiments.run import autotuning, environment, jax_settings
from experiments.timing.contenders import EngineContender, TimedProblem, TorchContender

# Of the losses that are compared: ten optimizer steps.
CHECKED_EPOCHS = 5


def correctness(sizes: Sizes) -> dict[str, Any]:
    """Losses of ten steps against PyTorch in float32, and of the other precisions against float32.

    In nats, from the same weights and batches.
    """
    here = _device_shared_with_torch(sizes)
    problem = dataclasses.replace(problem_of(sizes), folds=1, steps=2 * CHECKED_EPOCHS)
    engine = EngineContender(problem, 1, "float32")
    expected = engine.first_losses(CHECKED_EPOCHS)
    twin = TorchContender(problem, "eager", "float32", engine.initial())
    gaps = {"torch": _gap(twin.first_losses(CHECKED_EPOCHS), expected)}
    others: tuple[Precision, ...] = ("tf32", "bfloat16")
    for precision in others:
        found = EngineContender(problem, 1, precision).first_losses(CHECKED_EPOCHS)
        gaps[precision] = _gap(found, expected)
    return {"gaps_nats": gaps, "losses": expected.tolist(), **here}


def own_kernels(sizes: Sizes, *settings: str) -> dict[str, Any]:
    """Losses of ten steps in float32 with kernels of our own; each setting switches some on."""
    here = device(sizes.programs)
    problem = dataclasses.replace(problem_of(sizes), folds=1, steps=2 * CHECKED_EPOCHS)
    expected = EngineContender(problem, 1, "float32").first_losses(CHECKED_EPOCHS)
    gaps = {}
    for setting in settings:
        contender = EngineContender(_fused(problem, [setting]), 1, "float32")
        gaps[setting] = _gap(contender.first_losses(CHECKED_EPOCHS), expected)
    return {"gaps_nats": gaps, **here}


def torch(sizes: Sizes, form: str) -> dict[str, Any]:
    """Seconds per fold-step of PyTorch, one fold after another, in tf32."""
    here = _device_shared_with_torch(sizes)
    problem = dataclasses.replace(problem_of(sizes), folds=1)
    initial = EngineContender(problem, 1, "float32").initial()
    contender = TorchContender(problem, "eager" if form == "eager" else "expert", "tf32", initial)
    return {**_rounds(contender, sizes), **here}


def engine(
    sizes: Sizes, precision: Precision, evaluating: bool = False, switched_on: Sequence[str] = ()
) -> dict[str, Any]:
    """Seconds per fold-step of the engine, with its memory as asked for and as taken.

    `switched_on` are the settings of kernels of our own.
    """
    here = device(sizes.programs)
    problem = _fused(problem_of(sizes), switched_on)
    contender = EngineContender(problem, sizes.folds, precision, eval_every=int(evaluating))
    facts = _rounds(contender, sizes)
    used = jax.local_devices()[0].memory_stats() or {}
    return {
        **facts,
        "folds": contender.folds_at_once,
        "bytes_forecast": contender.bytes_needed,
        # A CPU keeps no such count.
        "bytes_taken": used.get("peak_bytes_in_use"),
        **here,
    }


def autotuned(sizes: Sizes, file: str) -> dict[str, Any]:
    """The same in tf32 with the programs that XLA's autotuning picks; they are kept in `file`."""
    # In place of the flags that leave trying out.
    os.environ["XLA_FLAGS"] = "--xla_gpu_enable_triton_gemm=false"
    autotuning.use(file)
    return {**engine(sizes, "tf32"), "file": pathlib.Path(file).name}


def compiling(sizes: Sizes, programs: str) -> dict[str, Any]:
    """Seconds of tracing and compiling, cold and with the compiled program in a cache."""
    here = device(programs)
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        EngineContender(problem_of(sizes), sizes.folds, "tf32", eval_every=1)
        seconds.append(time.perf_counter() - began)
        jax.clear_caches()
    return {"cold_seconds": seconds[0], "cached_seconds": seconds[1], **here}


def device(programs: str | None) -> dict[str, Any]:
    """What the part runs on; JAX is loaded with the settings of every run."""
    devices = jax_settings.local_devices(programs)
    found = environment.describe(devices[:1])
    return {"environment": {name: found[name] for name in environment.OF_A_MEASUREMENT}}


def _device_shared_with_torch(sizes: Sizes) -> dict[str, Any]:
    # Else JAX takes three quarters of a GPU's memory when it starts.
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    return device(sizes.programs)


def problem_of(sizes: Sizes) -> TimedProblem:
    """The benchmark's problem at these sizes."""
    training = TrainConfig(batch_size=sizes.batch_size, precision="float32")
    return TimedProblem(sizes.network, training, sizes.folds, sizes.steps)


def _fused(problem: TimedProblem, switched_on: Sequence[str]) -> TimedProblem:
    settings: dict[str, Any] = dict.fromkeys(switched_on, True)
    training = dataclasses.replace(problem.train_config, **settings)
    return dataclasses.replace(problem, train_config=training)


def _gap(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(np.asarray(found) - expected).max())


def _rounds(contender: EngineContender | TorchContender, sizes: Sizes) -> dict[str, Any]:
    # The first one warms up.
    contender.round()
    seconds = [contender.round() for _ in range(sizes.rounds)]
    return {
        "seconds_per_fold_step": statistics.median(seconds),
        "seconds_by_round": seconds,
        "compile_seconds": contender.compile_seconds,
    }
