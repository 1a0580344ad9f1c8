"""Trains chunks on a Ray cluster's workers.

What a worker gives comes back here, so that the one loop over chunks, files and reports do not
know of the cluster.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ahmsa_jax.config import ConfigError
from ahmsa_jax.training.protocols import EpochShape
from experiments.cluster import tasks
from experiments.cluster.ray_cluster import Cluster, LostError, NoMemoryError
from experiments.cluster.tasks import News, Work
from experiments.run.chunk import Chunk, ChunkResult, History, OutOfMemory, Plan
from experiments.run.request import Run
from experiments.run.spec import Execution
from experiments.run.workdir import code_version
from experiments.schedule import forecast
from experiments.schedule.executor import Outcome
from experiments.schedule.interruption import Interruption
from experiments.schedule.planning import TrainingPlace, problem_of
from experiments.schedule.programs import Need, Needs, Problem
from experiments.schedule.progress import Report

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

_POLL_SECONDS = 0.5
# A cluster without a machine for chunks may get one again; a run waits so long for it.
LONELY_SECONDS = 600.0


class RemoteNeeds(Needs):
    """What chunks need of a worker's memory; the workers compile.

    The plan is made for one device of the machine with the least free memory.
    """

    def __init__(self, cluster: Cluster, problem: Problem, execution: Execution) -> None:
        """Send the data set and the settings on their way."""
        poorest = min(cluster.devices, key=lambda device: device.free_bytes)
        super().__init__(problem, [poorest], self._compile, workers=cluster.workers)
        self.cluster = cluster
        self.work = cluster.ray.put(Work(problem, self.available, execution, code_version()))

    def print_time(self, plan: Plan) -> None:
        """Print how long training will take, from some epochs of each program timed on a worker."""
        task = self.cluster.submit(tasks.timed_seconds, self.work, plan.chunks)
        seconds = self.cluster.outcome(task)
        rounds = -(-len(plan.chunks) // self.workers)
        whole = seconds * rounds / len(plan.chunks)
        print(
            f"estimated training time, from epochs timed on a worker: "
            f"{forecast.in_words(whole)}, {rounds} chunk(s) one after another",
            flush=True,
        )

    def _compile(self, shape: EpochShape, size: int) -> Need:
        task = self.cluster.submit(tasks.compile_need, self.work, shape, size)
        need, notes = self.cluster.outcome(task)
        for note in notes:
            self.report.note(note)
        return need


def cluster_place(run: Run, execution: Execution, interruption: Interruption) -> TrainingPlace:
    """The workers of the Ray cluster that --cluster names, which is joined."""
    assert execution.cluster
    cluster = Cluster(execution.cluster, interruption)
    needs = RemoteNeeds(cluster, problem_of(run, execution), execution)
    executor = ClusterExecutor(needs, interruption)
    return TrainingPlace(
        needs=needs,
        devices=cluster.devices,
        print_time=needs.print_time,
        cluster=str(cluster),
        executor=executor,
    )


class ClusterExecutor:
    """Trains chunks as tasks of a cluster, as many at a time as it has workers."""

    lanes = 1
    side_by_side = True

    def __init__(self, needs: RemoteNeeds, interruption: Interruption) -> None:
        self.epochs = needs.train_config.epochs
        self._work = needs.work
        self._cluster = needs.cluster
        self._interruption = interruption
        self._board: ActorHandle | None = None
        self._tasks: dict[ObjectRef[Any], Chunk] = {}
        # Of each chunk in training: the latest news, and all that was heard.
        self._news: dict[int, News] = {}
        self._heard: dict[int, History] = {}

    def outcomes(self, chunks: Sequence[Chunk], report: Report) -> Iterator[Outcome]:
        """Train these chunks side by side; yields each as it comes back.

        A worker that is lost costs the chunk it was training. Raises ConfigError where a chunk
        cannot be trained at all.
        """
        if self._board is None:
            self._board = self._cluster.board()
        running = self.running()
        for chunk in chunks:
            if chunk.number not in running:
                task = self._cluster.submit(tasks.train_chunk, self._work, chunk, self._board)
                self._tasks[task] = chunk
        while self._tasks:
            # What runs here is left at once; so the main thread may wait for it.
            yield self._interruption.run(lambda: self._next(report), can_save=True)

    def running(self) -> Collection[int]:
        """Numbers of the chunks that are with the cluster."""
        return [chunk.number for chunk in self._tasks.values()]

    def close(self) -> None:
        """Cancel what is in training and leave the cluster."""
        for task in self._tasks:
            self._cluster.ray.cancel(task, force=True)
        self._cluster.ray.shutdown()

    def _next(self, report: Report) -> Outcome:
        assert self._board is not None
        ended: list[ObjectRef[Any]] = []
        last_seen = time.monotonic()
        while not ended:
            if self._interruption.requested:
                raise self._interruption.stopped()
            ended, _ = self._cluster.ray.wait(list(self._tasks), timeout=_POLL_SECONDS)
            if self._cluster.has_workers():
                last_seen = time.monotonic()
            elif time.monotonic() - last_seen > LONELY_SECONDS:
                raise ConfigError(
                    f"no machine of the cluster has taken chunks for {LONELY_SECONDS / 60:.0f} "
                    f"minutes; {self._interruption.kept}; the same command goes on from there."
                )
            for news in self._cluster.outcome(self._board.take.remote()):
                if news.number in self.running():
                    self._hear(news, report)
        chunk = self._tasks.pop(ended[0])
        outcome = self._outcome(ended[0], chunk)
        if self._news.pop(chunk.number, None) is None:
            report.begin(chunk.number, len(chunk.jobs))
        return chunk, outcome

    def _hear(self, news: News, report: Report) -> None:
        """Report a worker's news; a chunk that begins again has lost its epochs."""
        number, before = news.number, self._news.get(news.number)
        report.restart_clock()
        if news.epoch:
            heard = self._heard.get(number)
            # News of a lost worker may come late.
            if heard is not None and heard.epoch == news.before:
                self._news[number] = news
                heard.extend(news.later)
                report.advance(number, heard)
            return
        self._news[number] = news
        self._heard[number] = news.later
        if before is not None:
            report.give_up(number)
            report.note(
                f"chunk {number} was lost with its worker ({before.where}) at epoch "
                f"{before.epoch} and is trained again ({news.where})"
            )
        report.begin(number, len(news.later.loss_SxE))

    def _outcome(self, task: "ObjectRef[Any]", chunk: Chunk) -> ChunkResult | OutOfMemory:
        try:
            return self._cluster.outcome(task)
        except NoMemoryError as error:
            return OutOfMemory(str(error))
        except LostError as error:
            raise ConfigError(
                f"chunk {chunk.number} was lost with its worker more often than it is tried "
                f"again: {error}; the same command goes on with the finished chunks."
            ) from error
