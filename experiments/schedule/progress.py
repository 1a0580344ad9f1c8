"""Progress of a run: folds done, time left, loss and the score so far; and what compiling takes."""

import contextlib
import functools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TextIO

import numpy as np
from tqdm import tqdm

from ahmsa_jax.metrics import pooled_scores
from experiments.run.chunk import ChunkResult, History, Plan
from experiments.schedule.pace import Pace
from input_pipeline.core.progress_lines import PLAIN_INTERVAL, Lines

_REDRAWN_INTERVAL = 1.0


@contextlib.contextmanager
def waiting(text: str, out: TextIO | None = None) -> Iterator[None]:
    """Say what is being waited for, and the seconds it has taken: redrawn on a terminal."""
    out = out or sys.stderr
    show = functools.partial(print, file=out, flush=True)
    if out.isatty():
        with _ticking(lambda s: show(f"\r{text}: {s} s", end=""), _REDRAWN_INTERVAL):
            yield
        show(f"\r{' ' * (len(text) + 12)}\r", end="")
        return
    show(text)
    with _ticking(lambda s: show(f"{text}: {s} s") if s else None, PLAIN_INTERVAL):
        yield


@contextlib.contextmanager
def _ticking(tell: Callable[[int], object], interval: float) -> Iterator[None]:
    """Call `tell` with the seconds passed, at once and every `interval`, until the block ends."""
    ended = threading.Event()
    began = time.monotonic()

    def tick() -> None:
        tell(0)
        while not ended.wait(interval):
            tell(round(time.monotonic() - began))

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        ended.set()
        ticker.join()


class Report:
    """Takes what compiling and training have to say, chunks by their numbers; drops it."""

    def note(self, text: str) -> None:
        """A line worth showing."""

    def waiting(self, text: str) -> AbstractContextManager[None]:
        """Something is being waited for until the block ends."""
        return contextlib.nullcontext()

    def stop_clock(self) -> None:
        """What follows is compiling and reading; it counts for no time left."""

    def restart_clock(self) -> None:
        """Training begins or goes on."""

    def begin(self, number: int, jobs: int, history: History | None = None) -> None:
        """A chunk of so many jobs begins, or goes on from an earlier start's history."""

    def advance(self, number: int, history: History) -> None:
        """A chunk has trained further; the history may grow after the call."""

    def give_up(self, number: int) -> None:
        """What a chunk had trained is lost."""

    def planned(self, plan: Plan) -> None:
        """The chunks are others from here on; those finished stay."""

    def add(self, number: int, result: ChunkResult) -> None:
        """An earlier start has finished this chunk; said before anything begins."""

    def finish(self, number: int, result: ChunkResult) -> None:
        """A chunk is done."""

    def complete(self) -> None:
        """All chunks are done."""

    def close(self) -> None:
        """Nothing more is said, whether all is done or not."""


class Plain(Report):
    """Lines on stderr, while there is no bar."""

    def note(self, text: str) -> None:
        """Print the line."""
        print(text, file=sys.stderr, flush=True)

    def waiting(self, text: str) -> AbstractContextManager[None]:
        """Count the seconds until the block ends."""
        return waiting(text)


class Progress(Report):
    """One bar over all epochs of all folds; compiling is not counted in its time left."""

    def __init__(
        self,
        jobs: int,
        epochs: int,
        done_jobs: int = 0,
        out: TextIO | None = None,
        *,
        side_by_side: bool = False,
    ) -> None:
        """Start the bar; `done_jobs` are finished already, from an earlier start."""
        out = out or sys.stderr
        self._terminal = out.isatty()
        self._out = out
        self._jobs, self._epochs, self._done = jobs, epochs, done_jobs
        self._side_by_side = side_by_side
        # Jobs and epoch of each chunk in training.
        self._running: dict[int, tuple[int, int]] = {}
        self._epoch = 0
        # Of the held-out clips of finished folds, rows the truth.
        self._counts_KxK: np.ndarray | int = 0
        self._loss = self._score = ""
        self._pace = Pace()
        self._bar = tqdm(
            total=jobs * epochs,
            initial=done_jobs * epochs,
            file=out if self._terminal else Lines(out),
            mininterval=0.2 if self._terminal else PLAIN_INTERVAL,
            # Every update is looked at: the interval alone decides.
            miniters=1,
            dynamic_ncols=self._terminal,
            # One bar at a time: another one that ended badly must not move it down.
            position=0,
            desc=self._words(),
            bar_format="{desc} |{bar}| {percentage:.0f}%{postfix}"
            if self._terminal
            else "{desc}: {percentage:.0f}%{postfix}",
        )

    def note(self, text: str) -> None:
        """Print a line of its own above the bar."""
        tqdm.write(text, file=self._out)

    @contextlib.contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Say in the bar's place, or in lines of a log, what is being waited for."""
        if not self._terminal:
            with waiting(text, self._out):
                yield
            return
        with _ticking(lambda s: self._bar.set_description_str(f"{text}: {s} s"), _REDRAWN_INTERVAL):
            yield
        self._bar.set_description_str(self._words())

    def stop_clock(self) -> None:
        """What follows is compiling and reading; it counts for no time left."""
        self._pace.stop()

    def restart_clock(self) -> None:
        """Training begins or goes on."""
        self._pace.restart()

    def begin(self, number: int, jobs: int, history: History | None = None) -> None:
        """A chunk of so many jobs begins, or goes on from an earlier start's history."""
        epoch = history.epoch if history else 0
        self._running[number] = jobs, epoch
        self._epoch = epoch
        if epoch:
            self._bar.update(jobs * epoch)
            self._describe()
            self._bar.refresh()

    def advance(self, number: int, history: History) -> None:
        """A chunk has trained further; see Report."""
        jobs, before = self._running[number]
        self._running[number] = jobs, history.epoch
        self._epoch = history.epoch
        done = jobs * (history.epoch - before)
        self._pace.add(done)
        self._loss = f", loss {float(np.mean(history.loss_SxE[:, -1])):.3f}"
        if (counts_KxK := history.latest_counts()) is not None:
            self._tell_score(self._counts_KxK + counts_KxK)
        self._describe(done)
        self._bar.update(done)

    def give_up(self, number: int) -> None:
        """What a chunk had trained is lost."""
        jobs, epoch = self._running.pop(number, (0, 0))
        self._bar.update(-jobs * epoch)

    def finish(self, number: int, result: ChunkResult) -> None:
        """A chunk is done."""
        if self._running[number][1] < self._epochs:
            self.advance(number, result)
        self._done += self._running.pop(number)[0]
        self.add(number, result)

    def add(self, number: int, result: ChunkResult) -> None:
        """Count the held-out clips of a finished chunk in the score so far."""
        if (counts_KxK := result.latest_counts()) is not None:
            self._counts_KxK = self._counts_KxK + counts_KxK
            self._tell_score(self._counts_KxK)
        self._epoch = self._epochs
        self._describe()

    def close(self) -> None:
        """End the line."""
        self._bar.refresh()
        self._bar.close()

    def _tell_score(self, counts_KxK: np.ndarray | int) -> None:
        self._score = f", UF1 {pooled_scores(np.asarray(counts_KxK)).uf1:.3f} so far"

    def _describe(self, pending: int = 0) -> None:
        """Set the texts; `pending` epochs of folds are done that the bar does not count yet."""
        self._bar.set_description_str(self._words(), refresh=False)
        text = f"{self._left(pending)} left{self._loss}{self._score}"
        self._bar.set_postfix_str(text, refresh=False)

    def _words(self) -> str:
        folds = f"folds {self._done}/{self._jobs}"
        if self._side_by_side:
            return f"{folds}, {len(self._running)} chunks in training"
        # A terminal of 80 columns has no room for more beside its bar.
        return folds if self._terminal else f"{folds}, epoch {self._epoch}/{self._epochs}"

    def _left(self, pending: int) -> str:
        seconds = self._pace.left(self._bar.total - self._bar.n - pending)
        return "?" if seconds is None else tqdm.format_interval(seconds)
