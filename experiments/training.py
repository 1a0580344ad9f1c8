"""Trains the chunks of a plan one after another and keeps each one's results on disk."""

import pathlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ahmsa_jax.config import ConfigError, ModelConfig, TrainConfig
from ahmsa_jax.engine import MAX_DISPATCH_EPOCHS, ChunkState, Engine, Job
from ahmsa_jax.metrics import confusion_matrix
from experiments import chunk_files
from experiments.chunk_files import ChunkResult
from experiments.plan import Chunk, available_bytes
from experiments.progress import Progress
from input_pipeline.clips import Clips

# Work of one dispatch: short enough to stop and report in between, long enough to cost nothing.
DISPATCH_SECONDS = 2.0


class Trainer:
    """Runs chunks of one data set and one configuration; shares programs between chunks."""

    def __init__(
        self,
        clips: Clips,
        model_config: ModelConfig,
        train_config: TrainConfig,
        *,
        test_places: int,
        eval_every: int,
        devices: Sequence[Any] | None = None,
    ) -> None:
        """Keep the settings; programs are compiled at the first chunk of each shape."""
        self._clips = clips
        self._model_config = model_config
        self._train_config = train_config
        self._test_places = test_places
        self._eval_every = eval_every
        self._devices = list(devices or jax.local_devices())
        # Asked before anything of the run lies there.
        self._memory = available_bytes(self._devices)
        self._engines: dict[Any, Engine] = {}
        self._data: Any = None

    def run(
        self,
        workdir: pathlib.Path,
        chunks: Sequence[Chunk],
        stored: Mapping[int, ChunkResult],
    ) -> Iterator[tuple[Chunk, ChunkResult]]:
        """Yield every chunk with its results: `stored` ones first, then each as it is trained.

        Results are on disk before they are yielded.
        """
        finished = [chunk for chunk in chunks if chunk.number in stored]
        waiting = [chunk for chunk in chunks if chunk.number not in stored]
        for chunk in finished:
            yield chunk, stored[chunk.number]
        if not waiting:
            return
        done = sum(len(chunk.jobs) for chunk in finished)
        if done:
            print(f"resuming: {done} folds are finished already", flush=True)
        progress = Progress(sum(len(c.jobs) for c in chunks), self._train_config.epochs, done)
        try:
            for chunk in waiting:
                result = self._run_chunk(chunk, progress)
                chunk_files.save(workdir, chunk.number, chunk.jobs, result)
                progress.finish_chunk(len(chunk.jobs))
                yield chunk, result
        finally:
            progress.close()

    def _run_chunk(self, chunk: Chunk, progress: Progress) -> ChunkResult:
        started = time.monotonic()
        engine = self._engine(chunk)
        if self._data is None:
            self._data = engine.place_data(self._clips.flow_NxHxWxC, self._clips.label_N)
        state = engine.start(chunk.jobs)
        self._compile(engine, state, chunk, progress)
        losses: list[np.ndarray] = []
        evaluated: list[int] = []
        confusions: list[np.ndarray] = []
        probability: list[np.ndarray] = []
        epoch, dispatch = 0, 1
        while epoch < self._train_config.epochs:
            count = min(dispatch, self._epochs_to_stop(epoch))
            began = time.monotonic()
            loss_SxE = engine.run_epochs(state, self._data, epoch, count)[: len(chunk.jobs)]
            seconds = max(time.monotonic() - began, 1e-9)
            epoch += count
            losses.append(loss_SxE)
            if self._evaluates(epoch):
                probability = engine.predict(state, self._data, chunk.jobs)
                evaluated.append(epoch)
                confusions.append(self._confusions(chunk.jobs, probability))
            clips = count * sum(job.fold.n_train for job in chunk.jobs)
            progress.advance(count, epoch, loss_SxE[:, -1], clips / seconds)
            dispatch = int(max(1, min(MAX_DISPATCH_EPOCHS, DISPATCH_SECONDS * count // seconds)))
        return ChunkResult(
            probability=probability,
            loss_SxE=np.concatenate(losses, axis=1),
            evaluated_V=np.array(evaluated),
            confusion_SxVxKxK=np.stack(confusions, axis=1),
            seconds=time.monotonic() - started,
        )

    def _engine(self, chunk: Chunk) -> Engine:
        key = (chunk.shape, chunk.size)
        if key not in self._engines:
            # Programs of an earlier shape are not needed again: chunks come grouped by shape.
            self._engines = {
                key: Engine(
                    self._model_config,
                    self._train_config,
                    chunk.shape,
                    size=chunk.size,
                    test_places=self._test_places,
                    devices=self._devices,
                )
            }
        return self._engines[key]

    def _compile(self, engine: Engine, state: ChunkState, chunk: Chunk, progress: Progress) -> None:
        if engine.is_compiled:
            return
        began = time.monotonic()
        need = engine.compile(state, self._data)
        progress.note(
            f"compiled for {chunk.size} folds of {chunk.shape.steps} step(s) per epoch in "
            f"{time.monotonic() - began:.0f} s; needs {need / 2**20:,.0f} MiB per device"
        )
        progress.restart_clock()
        have = self._memory
        if need > have:
            raise ConfigError(
                f"{chunk.size} folds at once need {need / 2**30:.1f} GiB per device and "
                f"{have / 2**30:.1f} GiB can be used; lower --folds_at_once (now {chunk.size}), "
                "--batch_size or --base_dim, in another --workdir."
            )

    def _epochs_to_stop(self, epoch: int) -> int:
        left = self._train_config.epochs - epoch
        every = self._eval_every
        return min(left, every - epoch % every) if every else left

    def _evaluates(self, epoch: int) -> bool:
        last = epoch == self._train_config.epochs
        return last or bool(self._eval_every and epoch % self._eval_every == 0)

    def _confusions(self, jobs: Sequence[Job], probability: list[np.ndarray]) -> np.ndarray:
        classes = self._model_config.num_classes
        return np.stack(
            [
                confusion_matrix(
                    self._clips.label_N[job.fold.test_index], found.argmax(axis=-1), classes
                )
                for job, found in zip(jobs, probability, strict=True)
            ]
        )
