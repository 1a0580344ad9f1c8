"""Results of finished chunks on disk: one .npz each, trusted only with its SHA-256 beside it."""

import dataclasses
import hashlib
import io
import pathlib
import zipfile
from collections.abc import Sequence

import numpy as np

from ahmsa_jax.training.engine import Job
from experiments.run.workdir import CONFIG_FILE, read_config
from experiments.schedule.plan import Chunk
from input_pipeline.core.files import read_text, read_whole, write_whole

FOLDER = "chunks"
# A chunk of 10,000 folds and 10,000 epochs stays below.
MOST_BYTES = 4 * 2**30


@dataclasses.dataclass
class ChunkResult:
    """What training a chunk gave. Letters: S jobs, E epochs, V evaluated epochs, K classes."""

    probability: list[np.ndarray]  # per job (held-out clips, K), after the last epoch
    loss_SxE: np.ndarray  # mean training loss of each epoch, nats
    evaluated_V: np.ndarray  # epochs, counted from 1, at which held-out clips were predicted
    confusion_SxVxKxK: np.ndarray  # of the held-out clips, rows the truth
    seconds: float  # wall time, compiling included

    def final_counts(self) -> np.ndarray:
        """Counts of all held-out clips after the last epoch, rows the truth."""
        return self.confusion_SxVxKxK[:, -1].sum(axis=0)

    def finished(self, row: int) -> bool:
        """Whether the job ended with finite losses and probabilities."""
        return bool(
            np.isfinite(self.loss_SxE[row]).all() and np.isfinite(self.probability[row]).all()
        )


def save(workdir: pathlib.Path, number: int, jobs: Sequence[Job], result: ChunkResult) -> None:
    """Write a chunk's results; they count once the hash beside them is there."""
    buffer = io.BytesIO()
    np.savez(
        buffer,
        seed=np.array([job.seed for job in jobs], np.int64),
        subject=np.array([job.fold.key for job in jobs]),
        probability=np.concatenate(result.probability).astype(np.float32),
        loss=result.loss_SxE.astype(np.float32),
        evaluated=result.evaluated_V.astype(np.int64),
        confusion=result.confusion_SxVxKxK.astype(np.int64),
        seconds=np.float64(result.seconds),
        run=_run_of(workdir),
    )
    data = buffer.getvalue()
    folder = workdir / FOLDER
    folder.mkdir(exist_ok=True)
    write_whole(folder / _name(number), data)
    write_whole(folder / f"{_name(number)}.sha256", hashlib.sha256(data).hexdigest() + "\n")


def load_all(workdir: pathlib.Path, chunks: Sequence[Chunk]) -> dict[int, ChunkResult]:
    """Results of all chunks that are finished, by number."""
    found = {chunk.number: load(workdir, chunk.number, chunk.jobs) for chunk in chunks}
    return {number: result for number, result in found.items() if result is not None}


def load(workdir: pathlib.Path, number: int, jobs: Sequence[Job]) -> ChunkResult | None:
    """The results of a finished chunk, or None where there are none to trust.

    None too where the file is cut, flipped, of other jobs, copied from another run or no regular
    file: the chunk is then trained again.
    """
    path = workdir / FOLDER / _name(number)
    try:
        data = read_whole(path, MOST_BYTES)
        digest = read_text(path.with_name(f"{path.name}.sha256"), 200).strip()
        if hashlib.sha256(data).hexdigest() != digest:
            return None
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            arrays = dict(stored)
        return _result(arrays, jobs, _run_of(workdir))
    # Whatever an archive that somebody made may stumble over: it is none of ours.
    except (FileNotFoundError, ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def _result(arrays: dict[str, np.ndarray], jobs: Sequence[Job], run: str) -> ChunkResult | None:
    """The arrays as results, or None where they are of other jobs, of another run, or unfit."""
    wanted = [(job.seed, job.fold.key) for job in jobs]
    stored = list(zip(arrays["seed"].tolist(), arrays["subject"].tolist(), strict=True))
    if stored != wanted or str(arrays.get("run", "")) != run:
        return None
    counts = [len(job.fold.test_index) for job in jobs]
    probability, evaluated = arrays["probability"], arrays["evaluated"]
    classes = probability.shape[1]
    loss, confusion = arrays["loss"], arrays["confusion"]
    fit = (
        probability.shape == (sum(counts), classes)
        and loss.ndim == 2
        and len(loss) == len(jobs)
        and evaluated.ndim == 1
        and confusion.shape == (len(jobs), len(evaluated), classes, classes)
        and probability.dtype == loss.dtype == np.float32
        and evaluated.dtype == confusion.dtype == np.int64
    )
    if not fit:
        return None
    return ChunkResult(
        probability=np.split(probability, np.cumsum(counts)[:-1]),
        loss_SxE=loss,
        evaluated_V=evaluated,
        confusion_SxVxKxK=confusion,
        seconds=float(arrays["seconds"]),
    )


def _run_of(workdir: pathlib.Path) -> str:
    """The hash of the run's settings; empty where none are stored."""
    return read_config(workdir)["config_hash"] if (workdir / CONFIG_FILE).exists() else ""


def _name(number: int) -> str:
    return f"chunk-{number:04d}.npz"
