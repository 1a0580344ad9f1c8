"""Trains the chunks of a plan on a Ray cluster's workers and keeps their results on this disk.

What a worker gives is written here exactly as training.Trainer writes it, so that resuming, files
and reports do not know of the cluster.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ahmsa_jax.config import ConfigError, TrainConfig
from ahmsa_jax.training.protocols import EpochShape
from experiments.cluster import tasks
from experiments.cluster.ray_cluster import Cluster, LostError, NoMemoryError
from experiments.cluster.tasks import News, Work
from experiments.files import checkpoints
from experiments.files import chunks as chunk_files
from experiments.files.chunks import ChunkResult
from experiments.run.workdir import code_version
from experiments.schedule import estimate
from experiments.schedule.interruption import Interruption
from experiments.schedule.plan import Chunk, Plan, halved, store_plan
from experiments.schedule.programs import Programs
from experiments.schedule.progress import Progress
from experiments.schedule.trainer import Settings
from input_pipeline.core.clips import Clips

_POLL_SECONDS = 0.5
# A cluster without a machine for chunks may get one again; a run waits so long for it.
LONELY_SECONDS = 600.0


class RemotePrograms(Programs):
    """Programs that the workers compile; here only what they need is known.

    The plan is made for one device of the machine with the least free memory.
    """

    def __init__(
        self,
        cluster: Cluster,
        clips: Clips,
        model_config: Any,
        train_config: TrainConfig,
        *,
        test_places: int,
        eval_every: int,
        automatic: bool,
        compile_cache: str | None,
    ) -> None:
        """Send the data set and the settings on their way."""
        poorest: Any = min(cluster.devices, key=lambda device: device.free_bytes)
        super().__init__(
            clips,
            model_config,
            train_config,
            test_places=test_places,
            eval_every=eval_every,
            devices=[poorest],
        )
        self.cluster = cluster
        self.workers = cluster.workers
        self.work = cluster.put(
            Work(
                clips=clips,
                model_config=model_config,
                train_config=train_config,
                test_places=test_places,
                eval_every=eval_every,
                have=self.have,
                automatic=automatic,
                code=code_version(),
                compile_cache=compile_cache,
            )
        )

    def print_time(self, plan: Plan) -> None:
        """Print how long training will take, from some epochs of each program timed on a worker."""
        task = self.cluster.submit(tasks.timed_seconds, self.work, plan.chunks)
        seconds = self.cluster.outcome(task)
        rounds = -(-len(plan.chunks) // self.workers)
        whole = seconds * rounds / len(plan.chunks)
        print(
            f"estimated training time, from epochs timed on a worker: "
            f"{estimate.in_words(whole)}, {rounds} chunk(s) one after another",
            flush=True,
        )

    def _compile(self, shape: EpochShape, size: int) -> int:
        task = self.cluster.submit(tasks.compile_need, self.work, shape, size)
        need, shortage, notes = self.cluster.outcome(task)
        for note in notes:
            self.note(note)
        if shortage:
            self._exhausted[shape, size] = shortage
        return need


class _ManyProgress(Progress):
    """One bar over chunks that are trained side by side."""

    def __init__(self, jobs: int, epochs: int, done_jobs: int) -> None:
        self._running: dict[int, News] = {}
        super().__init__(jobs, epochs, done_jobs)

    def hear(self, news: News) -> None:
        """Take over what a worker tells; a chunk that begins again has lost its epochs."""
        before = self._running.get(news.number)
        if news.epoch == 0 and before is not None:
            self._pass(-before.epoch * len(before.loss_S))
            self.note(
                f"chunk {news.number} was lost with its worker ({before.where}) at epoch "
                f"{before.epoch} and is trained again ({news.where})"
            )
            before = None
        self._running[news.number] = news
        self.restart_clock()
        if news.epoch:
            since = before.epoch if before else 0
            self.advance(news.epoch - since, news.epoch, news.loss_S)

    def end(self, chunk: Chunk, result: ChunkResult) -> None:
        """A chunk is finished: what was not told yet counts now."""
        before = self._running.pop(chunk.number, None)
        left = self._epochs - (before.epoch if before else 0)
        self.advance(left, self._epochs, result.loss_SxE[:, -1])
        self.finish_chunk(len(chunk.jobs), result.final_counts())

    def give_up(self, chunk: Chunk) -> None:
        """A chunk is replaced by smaller ones: its epochs are lost."""
        before = self._running.pop(chunk.number, None)
        if before:
            self._pass(-before.epoch * len(before.loss_S))

    def _words(self, epoch: int) -> str:
        return f"folds {self._done}/{self._jobs}, {len(self._running)} chunks in training"


class ClusterTrainer:
    """As training.Trainer, with the chunks as tasks of a cluster."""

    def __init__(
        self, programs: RemotePrograms, settings: Settings, interruption: Interruption
    ) -> None:
        """`settings.checkpoint_minutes` has no meaning here."""
        self._programs = programs
        self._cluster = programs.cluster
        self._settings = settings
        self._interruption = interruption
        self._tasks: dict[Any, Chunk] = {}
        self._done_jobs = self._all_jobs = 0

    def run(
        self, plan: Plan, stored: Mapping[int, ChunkResult]
    ) -> Iterator[tuple[Chunk, ChunkResult]]:
        """Yield every chunk with its results: `stored` ones first, then each as it comes back.

        Results are on disk before they are yielded. A worker that is lost costs the chunk it was
        training; a chunk that outgrows a worker's memory is halved. Raises StoppedError where a
        signal asked for it, ConfigError where a chunk cannot be trained at all.
        """
        finished = [chunk for chunk in plan.chunks if chunk.number in stored]
        for chunk in finished:
            checkpoints.drop(self._settings.workdir, chunk.number)
            yield chunk, stored[chunk.number]
        done = {chunk.number for chunk in finished}
        self._done_jobs = sum(len(chunk.jobs) for chunk in finished)
        self._all_jobs = sum(len(chunk.jobs) for chunk in plan.chunks)
        if done:
            print(f"resuming: {self._done_jobs} folds are finished already", flush=True)
        self._tell_kept()
        epochs = self._programs.train_config.epochs
        progress = _ManyProgress(self._all_jobs, epochs, self._done_jobs)
        for chunk in finished:
            progress.finish_chunk(0, stored[chunk.number].final_counts())
        progress.stop_clock()
        board = self._cluster.board()
        try:
            self._submit([chunk for chunk in plan.chunks if chunk.number not in done], board)
            while self._tasks:
                for chunk, outcome in self._interruption.run(lambda: self._next(board, progress)):
                    if isinstance(outcome, str):
                        plan = self._halve(plan, chunk, outcome, board, progress)
                        continue
                    progress.end(chunk, outcome)
                    yield chunk, outcome
                if self._interruption.requested and self._tasks:
                    raise self._interruption.stopped()
        finally:
            progress.close()
            for task in self._tasks:
                self._cluster.cancel(task)
            self._cluster.close()

    def _submit(self, chunks: Sequence[Chunk], board: Any) -> None:
        for chunk in chunks:
            task = self._cluster.submit(tasks.train_chunk, self._programs.work, chunk, board)
            self._tasks[task] = chunk

    def _next(self, board: Any, progress: _ManyProgress) -> list[tuple[Chunk, ChunkResult | str]]:
        """The chunks that ended, as soon as one has; none where a signal came."""
        # What runs here is left at once; so the main thread may wait for it.
        self._interruption.can_save = True
        ended: list[Any] = []
        last_seen = time.monotonic()
        while not ended and not self._interruption.requested:
            ended = self._cluster.ended(list(self._tasks), _POLL_SECONDS)
            if self._cluster.has_workers():
                last_seen = time.monotonic()
            elif time.monotonic() - last_seen > LONELY_SECONDS:
                raise ConfigError(
                    f"no machine of the cluster has taken chunks for {LONELY_SECONDS / 60:.0f} "
                    f"minutes; {self._interruption.kept}; the same command goes on from there."
                )
            for news in self._cluster.outcome(board.take.remote()):
                if any(chunk.number == news.number for chunk in self._tasks.values()):
                    progress.hear(news)
        return [self._kept(task) for task in ended]

    def _kept(self, task: Any) -> tuple[Chunk, ChunkResult | str]:
        """A chunk and what came of it, on the disk already."""
        chunk = self._tasks.pop(task)
        outcome = self._outcome(task, chunk)
        if not isinstance(outcome, str):
            workdir = self._settings.workdir
            chunk_files.save(workdir, chunk.number, chunk.jobs, outcome)
            checkpoints.drop(workdir, chunk.number)
            self._done_jobs += len(chunk.jobs)
            self._tell_kept()
        return chunk, outcome

    def _tell_kept(self) -> None:
        self._interruption.kept = f"{self._done_jobs} of {self._all_jobs} folds are finished"

    def _outcome(self, task: Any, chunk: Chunk) -> ChunkResult | str:
        try:
            return self._cluster.outcome(task)
        except NoMemoryError as error:
            return str(error)
        except LostError as error:
            raise ConfigError(
                f"chunk {chunk.number} was lost with its worker more often than it is tried "
                f"again: {error}; the same command goes on with the finished chunks."
            ) from error

    def _halve(
        self, plan: Plan, chunk: Chunk, reason: str, board: Any, progress: _ManyProgress
    ) -> Plan:
        # The others may fit where they are being trained: each is halved for itself.
        others = {other.number for other in plan.chunks} - {chunk.number}
        before = {other.number for other in plan.chunks}
        plan = halved(plan, chunk.number, others, self._programs.lanes, reason)
        store_plan(self._settings.workdir, plan)
        progress.give_up(chunk)
        progress.note(f"out of memory: {plan.halvings[-1]}")
        self._submit([new for new in plan.chunks if new.number not in before], board)
        return plan
