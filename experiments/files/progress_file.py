"""progress.jsonl: how far an unfinished run is, one JSON object a line, appended as it trains.

It is begun anew on every start and deleted at the end, and no result depends on it. Letters in
array names: K classes.
"""

import dataclasses
import itertools
import json
import math
import pathlib
import stat
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ahmsa_jax.config import ConfigError
from input_pipeline.core.files import read_text, write_whole

FILE = "progress.jsonl"
# Far above what a run writes (schedule.watching thins the lines of a long one out).
MOST_BYTES = 2**30

Line = Mapping[str, Any]


class Writer:
    """Appends lines to a file that it begins anew."""

    def __init__(self, workdir: pathlib.Path, first: Line) -> None:
        """Put the first line in the place of an earlier start's file; raises OSError."""
        path = workdir / FILE
        write_whole(path, _text([first]))
        self._file = path.open("ab", buffering=0)

    def append(self, lines: Sequence[Line]) -> None:
        """Write further lines, at once; raises OSError."""
        data = _text(lines).encode()
        # A disk that fills up takes a part first, and raises at the rest.
        while data:
            data = data[self._file.write(data) :]

    def close(self) -> None:
        """Leave the file as it is."""
        self._file.close()


def drop(workdir: pathlib.Path) -> None:
    """Delete the file of a finished run; what is no regular file of that name stays."""
    path = workdir / FILE
    try:
        if stat.S_ISREG(path.lstat().st_mode):
            path.unlink()
    except FileNotFoundError:
        return


def _text(lines: Sequence[Line]) -> str:
    return "".join(f"{json.dumps(line, ensure_ascii=False, allow_nan=False)}\n" for line in lines)


@dataclasses.dataclass(frozen=True)
class Standing:
    """Where a chunk stands."""

    jobs: int
    epoch: int = 0
    loss: float | None = None  # mean over its folds, nats; None: not known, or no number
    counts_KxK: np.ndarray | None = None  # of its held-out clips when last predicted, rows truth
    begun: bool = False
    finished: bool = False


@dataclasses.dataclass(frozen=True)
class Unfinished:
    """What progress.jsonl says; times are seconds since 1970."""

    epochs: int  # of each fold
    chunks: Mapping[int, Standing]  # by number
    started: float
    last: float
    longest_gap: float  # between two lines, seconds
    left: float | None  # seconds, as the run itself reckoned
    waiting: str = ""  # what the run waited for in its last line
    stopped: bool = False  # whether it ended by itself, unfinished

    @property
    def jobs(self) -> int:
        """Folds of all seeds."""
        return sum(chunk.jobs for chunk in self.chunks.values())

    @property
    def finished_jobs(self) -> int:
        """Folds of all seeds that are finished."""
        return sum(chunk.jobs for chunk in self.chunks.values() if chunk.finished)

    @property
    def trained(self) -> int:
        """Epochs of folds trained, of `jobs` times `epochs`."""
        return sum(chunk.jobs * chunk.epoch for chunk in self.chunks.values())


def read(workdir: pathlib.Path) -> Unfinished | None:
    """What the file says, None where there is none; raises ConfigError where it is damaged.

    A last line without its end was being written, and is left out.
    """
    path = workdir / FILE
    try:
        text = read_text(path, MOST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from None
    try:
        # Behind the last end of line stands nothing, or a line that was cut.
        return _of_lines([_line(line) for line in text.split("\n")[:-1]])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path, error) from None


def _line(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict) or not math.isfinite(float(found.get("time", math.nan))):
        raise ValueError("a line holds no time")
    return found


def _of_lines(told: Sequence[dict[str, Any]]) -> Unfinished:
    if not told or told[0].get("event") != "start":
        raise ValueError("it does not say what is trained")
    epochs = int(told[0]["epochs"])
    chunks: dict[int, Standing] = {}
    left: float | None = None
    for line in told:
        event = line.get("event")
        if event in ("start", "plan"):
            sizes = {int(number): len(jobs) for number, jobs in line["chunks"].items()}
            chunks = {n: chunks.get(n, Standing(size)) for n, size in sizes.items()}
        elif event in ("begun", "epoch", "finished"):
            number = int(line["chunk"])
            chunks[number] = _standing(line, chunks[number], epochs)
            left = line.get("left", left)
        elif event == "given_up":
            number = int(line["chunk"])
            chunks[number] = Standing(chunks[number].jobs)
    times = [float(line["time"]) for line in told]
    return Unfinished(
        epochs=epochs,
        chunks=chunks,
        started=times[0],
        last=times[-1],
        longest_gap=max((b - a for a, b in itertools.pairwise(times)), default=0.0),
        left=None if left is None else float(left),
        waiting=str(told[-1].get("text", "")),
        stopped=told[-1].get("event") == "stopped",
    )


def _standing(line: Line, before: Standing, epochs: int) -> Standing:
    epoch, loss, counts_KxK = int(line["epoch"]), line.get("loss"), before.counts_KxK
    if not 0 <= epoch <= epochs:
        raise ValueError(f"epoch {epoch} is none of 0 to {epochs}")
    if "confusion" in line:
        counts_KxK = np.array(line["confusion"], np.int64)
        if counts_KxK.ndim != 2 or len(set(counts_KxK.shape)) != 1 or (counts_KxK < 0).any():
            raise ValueError("the confusion matrix is none")
    return Standing(
        jobs=before.jobs,
        epoch=epoch,
        loss=None if loss is None else float(loss),
        counts_KxK=counts_KxK,
        begun=True,
        finished=line["event"] == "finished",
    )


def _damaged(path: pathlib.Path, error: Exception) -> ConfigError:
    why = f"there is no {error}" if isinstance(error, LookupError) else error
    return ConfigError(
        f"'{path}' is damaged ({why}); it tells how far an unfinished run is, and the run's "
        "command, started again, writes it anew."
    )
