"""Trains a chunk with this engine: dispatches, evaluations, checkpoints, weights."""

import dataclasses
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ahmsa_jax.config import ConfigError
from ahmsa_jax.training import facts
from ahmsa_jax.training.engine import ChunkState, Engine
from ahmsa_jax.training.epochs import MAX_DISPATCH_EPOCHS
from ahmsa_jax.training.protocols import Job
from experiments.files import checkpoints, fold_weights
from experiments.files.run_files import counts_of
from experiments.run.chunk import Chunk, ChunkResult, History, OutOfMemory, empty_history
from experiments.run.prepared import Preparation
from experiments.schedule.interruption import Interruption
from experiments.schedule.programs import Programs, is_exhausted, one_line
from experiments.schedule.progress import Report

# Work of one dispatch: short enough to stop and report in between, long enough to cost nothing.
DISPATCH_SECONDS = 2.0


@dataclasses.dataclass(frozen=True)
class TrainerSettings:
    """Settings that do not affect compilation."""

    workdir: pathlib.Path | None  # None: nothing is written while a chunk is in training
    checkpoint_minutes: float = 0.0  # 0: no checkpoints inside a chunk
    automatic: bool = True  # whether the number of folds at once follows the memory
    weights_of: Mapping[str, Any] | None = None  # settings named in weight files; None: no files
    keeps_curve: bool = False  # whether every evaluated epoch's probabilities are kept


class Trainer:
    """Trains chunks of one data set and one configuration; shares programs between chunks."""

    def __init__(
        self, programs: Programs, settings: TrainerSettings, interruption: Interruption
    ) -> None:
        """Programs that are not compiled yet are compiled at the first chunk of each shape."""
        self._programs = programs
        self._settings = settings
        self._interruption = interruption
        self._epochs = programs.train_config.epochs

    def train(self, chunk: Chunk, report: Report) -> ChunkResult | OutOfMemory:
        """The results of a chunk, or why it does not fit the memory."""
        self._programs.report = report
        report.stop_clock()
        report.begin(chunk.number, len(chunk.jobs))
        try:
            reason = self._does_not_fit(chunk)
            if not reason:
                return self._trained(chunk, report)
        except jax.errors.JaxRuntimeError as error:
            if not is_exhausted(error):
                raise
            reason = one_line(error)
        self._programs.forget(chunk.shape, chunk.size)
        return OutOfMemory(reason)

    def _does_not_fit(self, chunk: Chunk) -> str | None:
        programs = self._programs
        need = programs.need(chunk.shape, chunk.size)
        if reason := programs.exhausted(chunk.shape, chunk.size):
            return reason
        if need <= programs.available:
            return None
        shortage = (
            f"{chunk.size} folds at once need {need / 2**30:.1f} GiB per device and "
            f"{programs.available / 2**30:.1f} GiB can be used"
        )
        if self._settings.automatic:
            return shortage
        raise ConfigError(
            f"{shortage}; lower --folds_at_once (now {chunk.size}), --batch_size or --base_dim, "
            "in another --workdir."
        )

    def _trained(self, chunk: Chunk, report: Report) -> ChunkResult:
        started = time.monotonic()
        engine = self._programs.engine(chunk.shape, chunk.size)
        data = self._programs.data(engine)
        state = engine.start(chunk.jobs, self._programs.start)
        history = self._resumed(engine, state, chunk, report)
        started -= history.seconds
        report.restart_clock()
        self._interruption.can_save = self._settings.checkpoint_minutes > 0
        saved = time.monotonic()
        probability: list[np.ndarray] = []
        dispatch = 1
        while history.epoch < self._epochs:
            before = history.epoch
            count = min(dispatch, self._epochs - before)
            began = time.monotonic()
            history.add_losses(engine.run_epochs(state, data, before, count)[: len(chunk.jobs)])
            seconds = max(time.monotonic() - began, 1e-9)
            for epoch in self._epochs_evaluated(before, history.epoch):
                evaluated = engine.evaluated(state, chunk.jobs, epoch - before - 1)
                self._evaluated(history, epoch, chunk.jobs, evaluated)
            if history.epoch == self._epochs:
                # Compiled at its first call.
                report.stop_clock()
                probability = engine.predict(state, data, chunk.jobs)
                self._evaluated(history, history.epoch, chunk.jobs, probability)
            report.advance(chunk.number, history)
            dispatch = int(max(1, min(MAX_DISPATCH_EPOCHS, DISPATCH_SECONDS * count // seconds)))
            history.seconds = time.monotonic() - started
            if history.epoch < self._epochs and self._saves(saved):
                assert self._settings.workdir is not None
                host = engine.host_state(state)
                checkpoints.save(self._settings.workdir, chunk.number, chunk.jobs, history, host)
                self._tell_saved(chunk, history)
                saved = time.monotonic()
            if history.epoch < self._epochs and self._interruption.requested:
                raise self._interruption.stopped()
        self._save_weights(engine, state, chunk)
        history.seconds = time.monotonic() - started
        return ChunkResult(**vars(history), probability=probability)

    def _resumed(self, engine: Engine, state: ChunkState, chunk: Chunk, report: Report) -> History:
        """The history of the chunk's newest good checkpoint, whose state replaces the fresh one."""
        found = self._settings.workdir and checkpoints.load_newest(
            self._settings.workdir, chunk.number, chunk.jobs, engine.host_shapes(state), report.note
        )
        if not found:
            return empty_history(len(chunk.jobs), self._programs.num_classes)
        history, host = found
        engine.put_state(state, host)
        report.restart_clock()
        report.begin(chunk.number, len(chunk.jobs), history)
        self._tell_saved(chunk, history)
        return history

    def _saves(self, saved: float) -> bool:
        minutes = self._settings.checkpoint_minutes
        due = time.monotonic() - saved >= minutes * 60
        return minutes > 0 and (due or self._interruption.requested)

    def _tell_saved(self, chunk: Chunk, history: History) -> None:
        self._interruption.saved = (
            f"epoch {history.epoch} of {self._epochs} of chunk {chunk.number} is saved"
        )

    def _save_weights(self, engine: Engine, state: ChunkState, chunk: Chunk) -> None:
        """Written before the chunk counts as finished, so that a finished one has them."""
        if self._settings.weights_of is None or self._settings.workdir is None:
            return
        folder = self._settings.workdir / fold_weights.FOLDER
        for job, params in zip(chunk.jobs, engine.parameters(state, chunk.jobs), strict=True):
            weights = fold_weights.FoldWeights(
                params=params,
                seed=job.seed,
                subject_key=job.fold.key,
                preparation=self._preparation(job).to_json(),
                **self._settings.weights_of,
            )
            fold_weights.save(folder, weights)

    def _preparation(self, job: Job) -> Preparation:
        """How the maps of the job's fold were prepared."""
        training, std = self._programs.train_config, None
        if training.fold_std:
            flow = self._programs.inputs["flow"]
            std_C = facts.channel_deviations(jnp.asarray(job.fold.train_N), jnp.asarray(flow))
            std = tuple(map(float, std_C))
        return Preparation(training.input_norm, std, training.test_mirror)

    def _epochs_evaluated(self, before: int, after: int) -> range:
        """Epochs, counted from 1, after which the engine predicted in this dispatch.

        The last epoch of all is left out: its classes come with the probabilities.
        """
        every = self._programs.eval_every or self._epochs
        return range((before // every + 1) * every, min(after, self._epochs - 1) + 1, every)

    def _evaluated(
        self, history: History, epoch: int, jobs: Sequence[Job], probability: Sequence[np.ndarray]
    ) -> None:
        """Add what an epoch predicts of the jobs' held-out clips, (T, K) each."""
        counts_SxKxK = [
            counts_of(job, self._programs.clips, found)
            for job, found in zip(jobs, probability, strict=True)
        ]
        history.add_counts(epoch, np.stack(counts_SxKxK))
        if self._settings.keeps_curve:
            history.add_probability(np.concatenate(probability))
