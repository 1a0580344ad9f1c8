"""The one loop over the chunks of a run, wherever they are trained."""

import contextlib
import functools
import pathlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Protocol

from experiments.files import checkpoints, chunks, progress_file, run_files
from experiments.run.chunk import Chunk, ChunkResult, OutOfMemory, Plan
from experiments.schedule.event_curves import keep_curves
from experiments.schedule.interruption import Interruption
from experiments.schedule.plan import halved, store_plan
from experiments.schedule.progress import Progress, Report
from experiments.schedule.watching import watched
from input_pipeline.core.clips import Clips

Outcome = tuple[Chunk, ChunkResult | OutOfMemory]


class Executor(Protocol):
    """Trains chunks: in this process, on a cluster, or in PyTorch."""

    epochs: int  # of each fold
    lanes: int  # by how many places a chunk grows and shrinks
    side_by_side: bool = False  # whether several chunks may be in training at a time

    def outcomes(self, chunks: Sequence[Chunk], report: Report) -> Iterator[Outcome]:
        """Train these chunks; yields what came of each as it ends.

        The caller may leave after any of them and ask anew, with other chunks: those in training
        go on. Raises StoppedError where a signal asked for it.
        """

    def running(self) -> Collection[int]:
        """Numbers of the chunks in training after an outcome."""
        return ()

    def close(self) -> None:
        """End what is in training."""
        return


class LocalExecutor(Executor):
    """Trains chunks in this process, one after another."""

    def __init__(
        self,
        train: Callable[[Chunk, Report], ChunkResult | OutOfMemory],
        interruption: Interruption,
        *,
        epochs: int,
        lanes: int = 1,
    ) -> None:
        """`train` gives the results of a chunk, or why it does not fit the memory."""
        self._train = train
        self._interruption = interruption
        self.epochs, self.lanes = epochs, lanes

    def outcomes(self, chunks: Sequence[Chunk], report: Report) -> Iterator[Outcome]:
        """Train these chunks in their order."""
        for chunk in chunks:
            train = functools.partial(self._train, chunk, report)
            yield chunk, self._interruption.run(train)


def train_all(
    executor: Executor,
    plan: Plan,
    stored: Mapping[int, ChunkResult],
    workdir: pathlib.Path,
    clips: Clips,
    interruption: Interruption,
    *,
    tensorboard: bool = False,
) -> None:
    """Train what is not stored yet, and write the run's files after each chunk."""
    finished = []
    for outcome in results(executor, plan, stored, workdir, interruption, tensorboard=tensorboard):
        finished.append(outcome)
        # Stored chunks come first, and together: the files never hold less than before.
        if len(finished) >= len(stored):
            run_files.write_run_files(workdir, clips, finished)


def results(
    executor: Executor,
    plan: Plan,
    stored: Mapping[int, ChunkResult],
    workdir: pathlib.Path,
    interruption: Interruption,
    *,
    tensorboard: bool = False,
) -> Iterator[tuple[Chunk, ChunkResult]]:
    """Yield every chunk with its results: `stored` ones first, then each as it is trained.

    Results are on disk before they are yielded. A chunk that outgrows the memory is halved, which
    the stored plan then says. With `tensorboard` event files are written, of stored chunks too.
    Raises StoppedError where a signal asked for it.
    """
    finished = [chunk for chunk in plan.chunks if chunk.number in stored]
    for chunk in finished:
        # Killed between writing the results and this.
        checkpoints.drop(workdir, chunk.number)
        yield chunk, stored[chunk.number]
    done = {chunk.number for chunk in finished}
    if len(done) == len(plan.chunks):
        # Killed before that was said.
        progress_file.drop(workdir)
        if tensorboard:
            keep_curves(workdir, plan, stored)
        return
    done_jobs, all_jobs = _jobs(finished), _jobs(plan.chunks)
    if done:
        print(f"resuming: {done_jobs} folds are finished already", flush=True)
    interruption.finished = f"{done_jobs} of {all_jobs} folds are finished"

    def keep(chunk: Chunk, result: ChunkResult) -> None:
        nonlocal done_jobs
        chunks.save(workdir, chunk.number, chunk.jobs, result)
        checkpoints.drop(workdir, chunk.number)
        done.add(chunk.number)
        done_jobs += len(chunk.jobs)
        interruption.finished = f"{done_jobs} of {all_jobs} folds are finished"
        interruption.saved = ""

    with contextlib.ExitStack() as stack:
        stack.callback(executor.close)
        shown = Progress(all_jobs, executor.epochs, done_jobs, side_by_side=executor.side_by_side)
        progress = watched(shown, workdir, plan, executor.epochs, tensorboard=tensorboard)
        stack.callback(progress.close)
        for chunk in finished:
            progress.add(chunk.number, stored[chunk.number])
        while waiting := [chunk for chunk in plan.chunks if chunk.number not in done]:
            for chunk, outcome in executor.outcomes(waiting, progress):
                if isinstance(outcome, OutOfMemory):
                    unchanged = done.union(executor.running())
                    plan = halved(plan, chunk.number, unchanged, executor.lanes, outcome.reason)
                    store_plan(workdir, plan)
                    checkpoints.drop(workdir, chunk.number)
                    interruption.saved = ""
                    progress.note(f"out of memory: {plan.halvings[-1]}")
                    progress.give_up(chunk.number)
                    progress.planned(plan)
                    break
                interruption.run(functools.partial(keep, chunk, outcome), can_save=True)
                progress.finish(chunk.number, outcome)
                yield chunk, outcome
                if interruption.requested and len(done) < len(plan.chunks):
                    raise interruption.stopped()
        progress.complete()


def _jobs(chunks: Sequence[Chunk]) -> int:
    return sum(len(chunk.jobs) for chunk in chunks)
