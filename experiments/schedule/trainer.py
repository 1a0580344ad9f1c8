"""Trains the chunks of a plan one after another and keeps each one's results on disk."""

import dataclasses
import pathlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ahmsa_jax.config import ConfigError
from ahmsa_jax.metrics import confusion_matrix
from ahmsa_jax.training.engine import MAX_DISPATCH_EPOCHS, ChunkState, Engine, Job
from experiments.files import checkpoints, chunks, fold_weights
from experiments.files.checkpoints import Record
from experiments.files.chunks import ChunkResult
from experiments.schedule.interruption import Interruption
from experiments.schedule.plan import Chunk, Plan, halved, store_plan
from experiments.schedule.programs import Programs, is_exhausted, one_line
from experiments.schedule.progress import Progress

# Work of one dispatch: short enough to stop and report in between, long enough to cost nothing.
DISPATCH_SECONDS = 2.0


@dataclasses.dataclass(frozen=True)
class Settings:
    """What of a run does not change its programs."""

    workdir: pathlib.Path
    checkpoint_minutes: float  # 0: no checkpoints inside a chunk
    automatic: bool  # whether the number of folds at once follows the memory
    weights_of: Mapping[str, Any] | None = None  # settings told in weight files; None: no files


class Trainer:
    """Runs chunks of one data set and one configuration; shares programs between chunks."""

    def __init__(self, programs: Programs, settings: Settings, interruption: Interruption) -> None:
        """Programs that are not compiled yet are compiled at the first chunk of each shape."""
        self._programs = programs
        self._settings = settings
        self._interruption = interruption
        self._epochs = programs.train_config.epochs

    def run(
        self, plan: Plan, stored: Mapping[int, ChunkResult]
    ) -> Iterator[tuple[Chunk, ChunkResult]]:
        """Yield every chunk with its results: `stored` ones first, then each as it is trained.

        Results are on disk before they are yielded. A chunk that outgrows the memory is halved,
        which the stored plan then says. Raises StoppedError where a signal asked for it.
        """
        workdir = self._settings.workdir
        finished = [chunk for chunk in plan.chunks if chunk.number in stored]
        for chunk in finished:
            # Killed between writing the results and this.
            checkpoints.drop(workdir, chunk.number)
            yield chunk, stored[chunk.number]
        done = {chunk.number for chunk in finished}
        if len(done) == len(plan.chunks):
            return
        done_jobs = sum(len(chunk.jobs) for chunk in finished)
        if done:
            print(f"resuming: {done_jobs} folds are finished already", flush=True)
        all_jobs = sum(len(chunk.jobs) for chunk in plan.chunks)
        progress = Progress(all_jobs, self._epochs, done_jobs)
        for chunk in finished:
            progress.finish_chunk(0, stored[chunk.number].final_counts())
        self._programs.note, self._programs.waiting = progress.note, progress.waiting
        try:
            while waiting := [chunk for chunk in plan.chunks if chunk.number not in done]:
                self._interruption.kept = f"{done_jobs} of {all_jobs} folds are finished"
                chunk = waiting[0]
                outcome = self._interruption.run(lambda: self._attempt(chunk, progress))  # noqa: B023
                if isinstance(outcome, str):
                    plan = self._halve(plan, chunk, done, outcome, progress)
                    continue
                done.add(chunk.number)
                done_jobs += len(chunk.jobs)
                progress.finish_chunk(len(chunk.jobs), outcome.final_counts())
                yield chunk, outcome
                if self._interruption.requested and len(done) < len(plan.chunks):
                    self._interruption.kept = f"{done_jobs} of {all_jobs} folds are finished"
                    raise self._interruption.stopped()
        finally:
            progress.close()

    def _halve(
        self, plan: Plan, chunk: Chunk, done: set[int], reason: str, progress: Progress
    ) -> Plan:
        plan = halved(plan, chunk.number, done, self._programs.lanes, reason)
        store_plan(self._settings.workdir, plan)
        checkpoints.drop(self._settings.workdir, chunk.number)
        self._programs.forget(chunk.shape, chunk.size)
        progress.note(f"out of memory: {plan.halvings[-1]}")
        progress.fall_back()
        return plan

    def _attempt(self, chunk: Chunk, progress: Progress) -> ChunkResult | str:
        """The stored results of a chunk, or why it does not fit the memory."""
        result = self.attempt(chunk, progress)
        if not isinstance(result, str):
            workdir = self._settings.workdir
            chunks.save(workdir, chunk.number, chunk.jobs, result)
            checkpoints.drop(workdir, chunk.number)
        return result

    def attempt(self, chunk: Chunk, progress: Progress) -> ChunkResult | str:
        """The results of a chunk, not stored yet, or why it does not fit the memory."""
        progress.stop_clock()
        try:
            if reason := self._does_not_fit(chunk):
                return reason
            return self._train(chunk, progress)
        except jax.errors.JaxRuntimeError as error:
            if not is_exhausted(error):
                raise
            return one_line(error)

    def _does_not_fit(self, chunk: Chunk) -> str | None:
        programs = self._programs
        need = programs.need(chunk.shape, chunk.size)
        if reason := programs.exhausted(chunk.shape, chunk.size):
            return reason
        if need <= programs.have:
            return None
        shortage = (
            f"{chunk.size} folds at once need {need / 2**30:.1f} GiB per device and "
            f"{programs.have / 2**30:.1f} GiB can be used"
        )
        if self._settings.automatic:
            return shortage
        raise ConfigError(
            f"{shortage}; lower --folds_at_once (now {chunk.size}), --batch_size or --base_dim, "
            "in another --workdir."
        )

    def _train(self, chunk: Chunk, progress: Progress) -> ChunkResult:
        started = time.monotonic()
        engine = self._programs.engine(chunk.shape, chunk.size)
        data = self._programs.data(engine)
        state = engine.start(chunk.jobs)
        record = self._resumed(engine, state, chunk, progress)
        started -= record.seconds
        progress.restart_clock()
        self._interruption.can_save = self._settings.checkpoint_minutes > 0
        saved = time.monotonic()
        probability: list[np.ndarray] = []
        dispatch = 1
        while record.epoch < self._epochs:
            count = min(dispatch, self._epochs - record.epoch)
            began = time.monotonic()
            loss_SxE = engine.run_epochs(state, data, record.epoch, count)[: len(chunk.jobs)]
            seconds = max(time.monotonic() - began, 1e-9)
            before = record.epoch
            record.loss_SxE = np.concatenate([record.loss_SxE, loss_SxE], axis=1)
            for epoch in self._evaluated(before, record.epoch):
                predicted = engine.predicted(state, chunk.jobs, epoch - before - 1)
                self._add_evaluation(record, epoch, chunk.jobs, predicted)
            if record.epoch == self._epochs:
                # Compiled at its first call.
                progress.stop_clock()
                probability = engine.predict(state, data, chunk.jobs)
                predicted = [found.argmax(axis=-1) for found in probability]
                self._add_evaluation(record, record.epoch, chunk.jobs, predicted)
            progress.advance(count, record.epoch, loss_SxE[:, -1], record.latest_counts())
            dispatch = int(max(1, min(MAX_DISPATCH_EPOCHS, DISPATCH_SECONDS * count // seconds)))
            record.seconds = time.monotonic() - started
            if record.epoch < self._epochs and self._saves(saved):
                self._save(engine, state, chunk, record)
                saved = time.monotonic()
            if record.epoch < self._epochs and self._interruption.requested:
                raise self._interruption.stopped()
        self._save_weights(engine, state, chunk)
        return ChunkResult(
            probability=probability,
            loss_SxE=record.loss_SxE,
            evaluated_V=record.evaluated_V,
            confusion_SxVxKxK=record.confusion_SxVxKxK,
            seconds=time.monotonic() - started,
        )

    def _resumed(
        self, engine: Engine, state: ChunkState, chunk: Chunk, progress: Progress
    ) -> Record:
        """The record of the chunk's newest good checkpoint, whose state replaces the fresh one."""
        found = checkpoints.load_newest(
            self._settings.workdir,
            chunk.number,
            chunk.jobs,
            engine.host_shapes(state),
            progress.note,
        )
        if not found:
            jobs, classes = len(chunk.jobs), self._programs.model_config.num_classes
            return Record(
                loss_SxE=np.zeros((jobs, 0), np.float32),
                evaluated_V=np.zeros(0, np.int64),
                confusion_SxVxKxK=np.zeros((jobs, 0, classes, classes), np.int64),
                seconds=0.0,
            )
        record, host = found
        engine.put_state(state, host)
        progress.restart_clock()
        progress.resume_chunk(len(chunk.jobs), record.epoch)
        self._tell_kept(chunk, record)
        return record

    def _saves(self, saved: float) -> bool:
        minutes = self._settings.checkpoint_minutes
        due = time.monotonic() - saved >= minutes * 60
        return minutes > 0 and (due or self._interruption.requested)

    def _save(self, engine: Engine, state: ChunkState, chunk: Chunk, record: Record) -> None:
        host = engine.host_state(state)
        checkpoints.save(self._settings.workdir, chunk.number, chunk.jobs, record, host)
        self._tell_kept(chunk, record)

    def _tell_kept(self, chunk: Chunk, record: Record) -> None:
        before = self._interruption.kept.partition("; ")[0]
        self._interruption.kept = (
            f"{before}; epoch {record.epoch} of {self._epochs} of chunk {chunk.number} is saved"
        )

    def _save_weights(self, engine: Engine, state: ChunkState, chunk: Chunk) -> None:
        """Written before the chunk counts as finished, so that a finished one has them."""
        if self._settings.weights_of is None:
            return
        folder = self._settings.workdir / fold_weights.FOLDER
        for job, params in zip(chunk.jobs, engine.parameters(state, chunk.jobs), strict=True):
            weights = fold_weights.FoldWeights(
                params=params,
                seed=job.seed,
                subject_key=job.fold.key,
                **self._settings.weights_of,
            )
            fold_weights.save(folder, weights)

    def _evaluated(self, before: int, after: int) -> range:
        """Epochs, counted from 1, after which the engine predicted in this dispatch.

        The last epoch of all is left out: its classes come with the probabilities.
        """
        every = self._programs.eval_every or self._epochs
        return range((before // every + 1) * every, min(after, self._epochs - 1) + 1, every)

    def _add_evaluation(
        self, record: Record, epoch: int, jobs: Sequence[Job], predicted: list[np.ndarray]
    ) -> None:
        classes = self._programs.model_config.num_classes
        label_N = self._programs.clips.label_N
        confusion_SxKxK = np.stack(
            [
                confusion_matrix(label_N[job.fold.test_index], found, classes)
                for job, found in zip(jobs, predicted, strict=True)
            ]
        )
        record.evaluated_V = np.append(record.evaluated_V, epoch)
        record.confusion_SxVxKxK = np.concatenate(
            [record.confusion_SxVxKxK, confusion_SxKxK[:, None]], axis=1
        )
