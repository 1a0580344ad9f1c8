"""Keeps progress.jsonl while a run trains. What cannot be written is said once and ends nothing.

Letters in array names: S jobs, K classes.
"""

import contextlib
import math
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from experiments.files import progress_file
from experiments.run.chunk import ChunkResult, History, Plan, mean_loss
from experiments.schedule.pace import Pace
from experiments.schedule.progress import Report

# The file is written at most this often, seconds, and in a long run less often: each this share
# of the time so far.
WRITE_SECONDS = 1.0
_SHARE = 1 / 2000


class ProgressLines(Report):
    """Keeps progress.jsonl of a run in training."""

    def __init__(
        self, workdir: pathlib.Path, plan: Plan, epochs: int, say: Callable[[str], None]
    ) -> None:
        """Begin the file anew; `say` is given the one line that tells of a failure."""
        self._workdir, self._epochs, self._say = workdir, epochs, say
        self._jobs = _sizes(plan)
        self._epoch: dict[int, int] = {}
        self._pace = Pace()
        self._started = self._written = time.monotonic()
        # Lines that are not written yet.
        self._lines: list[dict[str, Any]] = []
        self._writer: progress_file.Writer | None = None
        with self._failing():
            first = _line("start", epochs=epochs, chunks=_chunks(plan))
            self._writer = progress_file.Writer(workdir, first)

    @contextlib.contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Say what is being waited for: no line may follow for minutes."""
        self._tell(_line("waiting", text=text), at_once=True)
        yield

    def stop_clock(self) -> None:
        """What follows counts for no time left."""
        self._pace.stop()

    def restart_clock(self) -> None:
        """Training begins or goes on."""
        self._pace.restart()

    def begin(self, number: int, jobs: int, history: History | None = None) -> None:
        """A chunk begins or goes on."""
        self._jobs[number] = jobs
        self._epoch[number] = history.epoch if history else 0
        facts = _standing(history) if history else {"epoch": 0}
        self._tell(_line("begun", chunk=number, **facts))

    def advance(self, number: int, history: History) -> None:
        """A chunk has trained further."""
        self._count(number, history.epoch)
        last = self._lines[-1] if self._lines else {}
        if last.get("event") == "epoch" and last["chunk"] == number:
            # Not written yet, and no longer the latest.
            self._lines.pop()
        self._tell(_line("epoch", chunk=number, **_standing(history), left=self._left()))

    def give_up(self, number: int) -> None:
        """What a chunk had trained is lost."""
        self._epoch[number] = 0
        self._tell(_line("given_up", chunk=number))

    def planned(self, plan: Plan) -> None:
        """The chunks are others from here on."""
        self._jobs = _sizes(plan)
        self._epoch = {number: self._epoch.get(number, 0) for number in self._jobs}
        self._tell(_line("plan", chunks=_chunks(plan)))

    def add(self, number: int, result: ChunkResult) -> None:
        """An earlier start has finished this chunk."""
        self._epoch[number] = self._epochs
        self._tell(_line("finished", chunk=number, **_standing(result)))

    def finish(self, number: int, result: ChunkResult) -> None:
        """A chunk is done."""
        self._count(number, result.epoch)
        line = _line("finished", chunk=number, **_standing(result), left=self._left())
        self._tell(line)

    def complete(self) -> None:
        """All chunks are done: the run's files say the rest."""
        self._end()
        with self._failing():
            progress_file.drop(self._workdir)

    def close(self) -> None:
        """Say that the run has stopped before its end."""
        if self._writer is not None:
            self._tell(_line("stopped"), at_once=True)
        self._end()

    def _count(self, number: int, epoch: int) -> None:
        before = self._epoch.get(number, 0)
        self._pace.add(self._jobs.get(number, 0) * (epoch - before))
        self._epoch[number] = epoch

    def _left(self) -> float | None:
        done = sum(self._jobs.get(number, 0) * epoch for number, epoch in self._epoch.items())
        seconds = self._pace.left(sum(self._jobs.values()) * self._epochs - done)
        return None if seconds is None else round(seconds, 1)

    def _tell(self, line: dict[str, Any], *, at_once: bool = False) -> None:
        if self._writer is None:
            return
        self._lines.append(line)
        now = time.monotonic()
        interval = max(WRITE_SECONDS, (now - self._started) * _SHARE)
        if at_once or now - self._written >= interval:
            lines, self._lines, self._written = self._lines, [], now
            with self._failing():
                self._writer.append(lines)

    def _end(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with self._failing():
                writer.close()

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            writer, self._writer = self._writer, None
            if writer is not None:
                with contextlib.suppress(OSError):
                    writer.close()
            self._say(
                f"'{self._workdir / progress_file.FILE}' cannot be written "
                f"({error.strerror or error}); training goes on without it"
            )


def _line(event: str, **facts: Any) -> dict[str, Any]:
    return {"event": event, "time": round(time.time(), 3), **facts}


def _sizes(plan: Plan) -> dict[int, int]:
    return {chunk.number: len(chunk.jobs) for chunk in plan.chunks}


def _chunks(plan: Plan) -> dict[str, list[list[Any]]]:
    """Seed and fold of each job, by the chunk's number."""
    return {str(c.number): [[job.seed, job.fold.key] for job in c.jobs] for c in plan.chunks}


def _standing(history: History) -> dict[str, Any]:
    """Epoch, losses and held-out counts of a chunk; JSON knows no NaN."""
    if not history.epoch:
        return {"epoch": 0}
    loss_S = history.loss_SxE[:, -1]
    facts: dict[str, Any] = {
        "epoch": history.epoch,
        "loss": _number(mean_loss(loss_S)),
        "losses": [_number(loss) for loss in loss_S],
    }
    if (counts_KxK := history.latest_counts()) is not None:
        facts |= {"evaluated": int(history.evaluated_V[-1]), "confusion": counts_KxK.tolist()}
    return facts


def _number(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None
