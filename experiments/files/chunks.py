"""Results of finished chunks on disk: one .npz each, trusted only with its SHA-256 beside it.

Checkpoints hold a chunk's history in the same arrays.
"""

import pathlib
from collections.abc import Sequence

import numpy as np

from ahmsa_jax.training.protocols import Job
from experiments.files import sealed
from experiments.run.chunk import Chunk, ChunkResult, History
from experiments.run.workdir import CONFIG_FILE, read_config

FOLDER = "chunks"


def save(workdir: pathlib.Path, number: int, jobs: Sequence[Job], result: ChunkResult) -> None:
    """Write a chunk's results; they count once the hash beside them is there."""
    arrays = history_arrays(result, jobs) | {
        "probability": np.concatenate(result.probability).astype(np.float32),
        "run": _run_of(workdir),
    }
    path = _path(workdir, number)
    path.parent.mkdir(exist_ok=True)
    sealed.write(path, arrays)


def load_all(workdir: pathlib.Path, chunks: Sequence[Chunk]) -> dict[int, ChunkResult]:
    """Results of all chunks that are finished, by number."""
    found = {chunk.number: load(workdir, chunk.number, chunk.jobs) for chunk in chunks}
    return {number: result for number, result in found.items() if result is not None}


def load(workdir: pathlib.Path, number: int, jobs: Sequence[Job]) -> ChunkResult | None:
    """The results of a finished chunk, or None where there are none to trust.

    None too where the file is cut, flipped, of other jobs, copied from another run or no regular
    file: the chunk is then trained again.
    """
    path = _path(workdir, number)
    try:
        arrays = sealed.read(path)
        history = history_of(arrays, jobs, path.name)
    except sealed.SealError:
        return None
    counts = [len(job.fold.test_index) for job in jobs]
    probability = arrays.get("probability", np.zeros(0))
    fit = (
        str(arrays.get("run", "")) == _run_of(workdir)
        and probability.shape == (sum(counts), history.confusion_SxVxKxK.shape[-1])
        and probability.dtype == np.float32
    )
    if not fit:
        return None
    return ChunkResult(**vars(history), probability=np.split(probability, np.cumsum(counts)[:-1]))


def history_arrays(history: History, jobs: Sequence[Job]) -> dict[str, object]:
    """A chunk's history and the jobs it is of, as a file holds them."""
    curve = history.curve_VxTxK
    return {
        **({} if curve is None else {"curve": curve.astype(np.float32)}),
        "seed": np.array([job.seed for job in jobs], np.int64),
        "subject": np.array([job.fold.key for job in jobs]),
        "loss": history.loss_SxE.astype(np.float32),
        "evaluated": history.evaluated_V.astype(np.int64),
        "confusion": history.confusion_SxVxKxK.astype(np.int64),
        "seconds": np.float64(history.seconds),
    }


def history_of(arrays: sealed.Arrays, jobs: Sequence[Job], name: str) -> History:
    """The history that a file holds; raises SealError where it is of other jobs or shapes."""
    try:
        stored = list(zip(arrays["seed"].tolist(), arrays["subject"].tolist(), strict=True))
        loss, evaluated, confusion = (arrays[part] for part in ("loss", "evaluated", "confusion"))
        seconds = float(arrays["seconds"])
    except (KeyError, TypeError, ValueError) as error:
        raise sealed.SealError(f"{name} cannot be read: {error}") from None
    if stored != [(job.seed, job.fold.key) for job in jobs]:
        raise sealed.SealError("it is of other folds")
    fit = (
        loss.shape[:-1] == (len(jobs),)
        and evaluated.ndim == 1
        and confusion.shape == (len(jobs), len(evaluated), *2 * confusion.shape[-1:])
        and loss.dtype == np.float32
        and evaluated.dtype == confusion.dtype == np.int64
    )
    curve = arrays.get("curve")
    held_out = sum(len(job.fold.test_index) for job in jobs)
    if curve is not None:
        fit = fit and curve.shape == (len(evaluated), held_out, confusion.shape[-1])
    if not fit:
        raise sealed.SealError(f"{name} holds arrays of other shapes")
    return History(loss, evaluated, confusion, seconds, curve)


def _run_of(workdir: pathlib.Path) -> str:
    """The hash of the run's settings; empty where none are stored."""
    return read_config(workdir)["config_hash"] if (workdir / CONFIG_FILE).exists() else ""


def _path(workdir: pathlib.Path, number: int) -> pathlib.Path:
    return workdir / FOLDER / f"chunk-{number:04d}.npz"
