"""Keeps curves for TensorBoard while a run trains. What cannot be written is said once.

Letters in array names: S jobs, E epochs, V evaluated epochs, K classes.
"""

import contextlib
import pathlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ahmsa_jax.metrics import pooled_scores
from experiments.files import event_files
from experiments.run.chunk import ChunkResult, History, Plan, mean_loss
from experiments.schedule.progress import Plain, Report

# Event files are brought to the disk at most this often, seconds.
FLUSH_SECONDS = 5.0


class EventCurves(Report):
    """Keeps curves of a run in training for TensorBoard.

    `train_loss/seed-S` is the mean over the finite losses of all the seed's folds, `uf1/seed-S`
    and `uar/seed-S` are of all their held-out clips; each epoch once all have reached it. Where
    folds are trained in several chunks, `train_loss/chunk-N` shows a chunk as it is trained, and
    `uf1/chunk-N` and `uar/chunk-N` the held-out clips of all folds evaluated at that epoch so far.
    """

    def __init__(self, workdir: pathlib.Path, plan: Plan, say: Callable[[str], None]) -> None:
        """Begin a file; `say` is given the one line that tells of a failure."""
        self._workdir, self._say = workdir, say
        self._history: dict[int, History] = {}
        # Of each tag the last step written.
        self._last: dict[str, int] = {}
        self._flushed = time.monotonic()
        self._writer: event_files.Writer | None = None
        self.planned(plan)
        with self._failing():
            self._writer = event_files.Writer(workdir)
            self._writer.restart()

    def begin(self, number: int, jobs: int, history: History | None = None) -> None:
        """A chunk begins or goes on."""
        if history:
            self._show(number, history)

    def advance(self, number: int, history: History) -> None:
        """A chunk has trained further."""
        self._show(number, history)

    def give_up(self, number: int) -> None:
        """What a chunk had trained is lost; its curve goes on where it is trained again."""
        self._history.pop(number, None)

    def planned(self, plan: Plan) -> None:
        """The chunks are others from here on."""
        # By seed and chunk, the places of the seed's jobs.
        self._rows: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for chunk in plan.chunks:
            for row, job in enumerate(chunk.jobs):
                self._rows[job.seed][chunk.number].append(row)
        self._by_chunk = len(plan.chunks) > 1

    def add(self, number: int, result: ChunkResult) -> None:
        """An earlier start has finished this chunk."""
        self._show(number, result)

    def finish(self, number: int, result: ChunkResult) -> None:
        """A chunk is done."""
        self._show(number, result)

    def close(self) -> None:
        """Bring the rest to the disk."""
        if self._writer is not None:
            with self._failing():
                self._writer.close()
            self._writer = None

    def _show(self, number: int, history: History) -> None:
        self._history[number] = history
        if self._writer is None:
            return
        with self._failing():
            if self._by_chunk:
                self._losses(f"chunk-{number:04d}", [history.loss_SxE])
                everyone = {n: list(range(len(h.loss_SxE))) for n, h in self._history.items()}
                self._scores(f"chunk-{number:04d}", everyone, set(map(int, history.evaluated_V)))
            for seed, rows in self._rows.items():
                if number in rows and rows.keys() <= self._history.keys():
                    own = [self._history[n].loss_SxE[places] for n, places in rows.items()]
                    self._losses(f"seed-{seed}", own)
                    seen = [set(map(int, self._history[n].evaluated_V)) for n in rows]
                    self._scores(f"seed-{seed}", rows, set.intersection(*seen))
            if time.monotonic() - self._flushed >= FLUSH_SECONDS:
                self._writer.flush()
                self._flushed = time.monotonic()

    def _losses(self, whose: str, parts: list[np.ndarray]) -> None:
        """The mean loss at the epochs that all parts (S, E) have reached."""
        reached = min(part.shape[1] for part in parts)
        first = self._last.get(f"train_loss/{whose}", 0)
        for epoch in range(first + 1, reached + 1):
            loss_S = np.concatenate([part[:, epoch - 1] for part in parts])
            self._scalar(f"train_loss/{whose}", epoch, mean_loss(loss_S))

    def _scores(self, whose: str, rows: Mapping[int, list[int]], epochs: set[int]) -> None:
        """UF1 and UAR at these epochs, of the jobs that were evaluated then."""
        for epoch in sorted(e for e in epochs if e > self._last.get(f"uf1/{whose}", 0)):
            counts_KxK: Any = 0
            for number, places in rows.items():
                history = self._history[number]
                found = np.flatnonzero(history.evaluated_V == epoch)
                if len(found):
                    of_jobs_SxKxK = history.confusion_SxVxKxK[places, found[0]]
                    counts_KxK = counts_KxK + of_jobs_SxKxK.sum(axis=0)
            scores = pooled_scores(counts_KxK)
            self._scalar(f"uf1/{whose}", epoch, scores.uf1)
            self._scalar(f"uar/{whose}", epoch, scores.uar)

    def _scalar(self, tag: str, epoch: int, value: float) -> None:
        assert self._writer is not None
        self._writer.scalar(tag, epoch, value)
        self._last[tag] = epoch

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if self._writer is not None:
                self._writer.abandon()
            self._writer = None
            self._say(
                f"'{self._workdir / event_files.FOLDER}' cannot be written "
                f"({error.strerror or error}); training goes on without it"
            )


def keep_curves(workdir: pathlib.Path, plan: Plan, stored: Mapping[int, ChunkResult]) -> None:
    """Write the curves of a finished run."""
    curves = EventCurves(workdir, plan, Plain().note)
    for chunk in plan.chunks:
        curves.add(chunk.number, stored[chunk.number])
    curves.close()
