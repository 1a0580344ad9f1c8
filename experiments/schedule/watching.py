"""Passes on what a run in training has to say, to all who show or keep it."""

import contextlib
import pathlib
from collections.abc import Iterator

from experiments.run.chunk import ChunkResult, History, Plan
from experiments.schedule.event_curves import EventCurves
from experiments.schedule.progress import Progress, Report
from experiments.schedule.progress_lines import ProgressLines


def watched(
    shown: Progress, workdir: pathlib.Path, plan: Plan, epochs: int, *, tensorboard: bool
) -> "Reports":
    """What is shown is kept in progress.jsonl too, and where asked for in event files."""
    kept: list[Report] = [ProgressLines(workdir, plan, epochs, shown.note)]
    if tensorboard:
        kept.append(EventCurves(workdir, plan, shown.note))
    return Reports(shown, *kept)


class Reports(Report):
    """Passes on what is said to several."""

    def __init__(self, *reports: Report) -> None:
        self._reports = reports

    def note(self, text: str) -> None:
        """A line worth showing."""
        for report in self._reports:
            report.note(text)

    @contextlib.contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Something is being waited for until the block ends."""
        with contextlib.ExitStack() as stack:
            for report in self._reports:
                stack.enter_context(report.waiting(text))
            yield

    def stop_clock(self) -> None:
        """What follows counts for no time left."""
        for report in self._reports:
            report.stop_clock()

    def restart_clock(self) -> None:
        """Training begins or goes on."""
        for report in self._reports:
            report.restart_clock()

    def begin(self, number: int, jobs: int, history: History | None = None) -> None:
        """A chunk begins or goes on."""
        for report in self._reports:
            report.begin(number, jobs, history)

    def advance(self, number: int, history: History) -> None:
        """A chunk has trained further."""
        for report in self._reports:
            report.advance(number, history)

    def give_up(self, number: int) -> None:
        """What a chunk had trained is lost."""
        for report in self._reports:
            report.give_up(number)

    def planned(self, plan: Plan) -> None:
        """The chunks are others from here on."""
        for report in self._reports:
            report.planned(plan)

    def add(self, number: int, result: ChunkResult) -> None:
        """An earlier start has finished this chunk."""
        for report in self._reports:
            report.add(number, result)

    def finish(self, number: int, result: ChunkResult) -> None:
        """A chunk is done."""
        for report in self._reports:
            report.finish(number, result)

    def complete(self) -> None:
        """All chunks are done."""
        for report in self._reports:
            report.complete()

    def close(self) -> None:
        """Nothing more is said."""
        for report in self._reports:
            report.close()
