"""The compiled programs of a run, by epoch shape and number of folds, and the memory they need."""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import jax

from ahmsa_jax.config import ConfigError, TrainConfig
from ahmsa_jax.training.batch_parallel import BatchEngine
from ahmsa_jax.training.clip_order import rank_of_clips
from ahmsa_jax.training.engine import Engine
from ahmsa_jax.training.protocols import EpochShape
from ahmsa_jax.training.step import Data
from experiments.run import compile_cache
from experiments.schedule import progress
from experiments.schedule.memory import available_bytes
from experiments.schedule.plan import count_parameters
from input_pipeline.core.clips import Clips

# Parameters and Adam's two moments in float32: what a fold needs at the very least.
_STATE_BYTES = 12


def is_exhausted(error: BaseException) -> bool:
    """Whether JAX says with this error that a device, or the machine, has no memory left."""
    text = str(error)
    return isinstance(error, jax.errors.JaxRuntimeError) and (
        "RESOURCE_EXHAUSTED" in text or "out of memory" in text.lower()
    )


def one_line(error: BaseException) -> str:
    """The start of an error's text."""
    return " ".join(str(error).split())[:200]


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Programs:
    """Compiles on demand and keeps what it compiled; holds the data set on the devices."""

    # Chunks that are trained at a time, each on all devices; of which cluster, or None.
    workers = 1
    cluster: Any = None

    def __init__(
        self,
        clips: Clips,
        model_config: Any,
        train_config: TrainConfig,
        *,
        test_places: int,
        eval_every: int = 0,
        parallel: str = "folds",
        devices: Sequence[Any] | None = None,
    ) -> None:
        """Keep the settings and ask for the free memory, before anything of the run lies there.

        `parallel` tells what the devices share out: `folds`, or the `batch` of one fold at a time.
        """
        self.clips = clips
        self.model_config = model_config
        self.train_config = train_config
        self.devices = list(devices or jax.local_devices())
        self.have = available_bytes(self.devices)
        self.note: Callable[[str], None] = _to_stderr
        self.waiting: Callable[[str], AbstractContextManager[None]] = progress.waiting
        self._test_places = test_places
        self.eval_every = eval_every
        self._engine_class = BatchEngine if parallel == "batch" else Engine
        # By how many places a chunk grows: a fold for each device, or one for all of them.
        self.lanes = 1 if parallel == "batch" else len(self.devices)
        self._engines: dict[tuple[EpochShape, int], Engine] = {}
        self._needs: dict[tuple[EpochShape, int], int] = {}
        self._exhausted: dict[tuple[EpochShape, int], str] = {}
        self._data: Data | None = None

    def engine(self, shape: EpochShape, size: int) -> Engine:
        """The engine for chunks of `size` folds of an epoch shape; compiled by `need`."""
        key = (shape, size)
        if key not in self._engines:
            self._engines[key] = self._engine_class(
                self.model_config,
                self.train_config,
                shape,
                size=size,
                test_places=self._test_places,
                eval_every=self.eval_every,
                devices=self.devices,
            )
        return self._engines[key]

    def data(self, engine: Engine) -> Data:
        """The data set on the devices, put there once."""
        if self._data is None:
            clips = self.clips
            rank_N = rank_of_clips(
                self.train_config.order, clips.label_N, clips.subject_N, clips.clip_N
            )
            self._data = engine.place_data({"flow": clips.flow_NxHxWxC}, clips.label_N, rank_N)
        return self._data

    def need(self, shape: EpochShape, size: int) -> int:
        """Bytes that training `size` folds of a shape needs on one device; compiles for it.

        Where compiling itself finds too little memory, twice what there is.
        """
        key = (shape, size)
        if key not in self._needs:
            self._needs[key] = self._compile(shape, size)
        return self._needs[key]

    def is_compiled(self, shape: EpochShape, size: int) -> bool:
        """Whether nothing is left to compile for such chunks."""
        return (shape, size) in self._needs

    def exhausted(self, shape: EpochShape, size: int) -> str | None:
        """What the compiler said where it found too little memory itself."""
        return self._exhausted.get((shape, size))

    def forget(self, shape: EpochShape, size: int) -> None:
        """Give up a program that turned out too large, and its need."""
        self._engines.pop((shape, size), None)
        self._needs.pop((shape, size), None)

    def refuse_hopeless(self) -> None:
        """Raise ConfigError where one fold's parameters alone outgrow the memory."""
        live, _ = count_parameters(self.model_config, self.train_config)
        if live * _STATE_BYTES > self.have:
            raise ConfigError(
                f"one fold needs more than {live * _STATE_BYTES / 2**30:.1f} GiB and "
                f"{self.have / 2**30:.1f} GiB can be used; lower --base_dim or --blocks."
            )

    def _compile(self, shape: EpochShape, size: int) -> int:
        engine = self.engine(shape, size)
        began, hits = time.monotonic(), compile_cache.hits()
        what = f"{size} folds of {shape.steps} step(s) per epoch"
        try:
            with self.waiting(f"compiling for {what}"):
                need = engine.compile(*engine.shapes(len(self.clips)))
        except jax.errors.JaxRuntimeError as error:
            if not is_exhausted(error):
                raise
            self._exhausted[shape, size] = one_line(error)
            return 2 * self.have
        how = "read the compiled program" if compile_cache.hits() > hits else "compiled"
        self.note(
            f"{how} for {what} in {time.monotonic() - began:.0f} s; needs {need / 2**20:,.0f} MiB "
            f"per device, {self.have / 2**20:,.0f} MiB can be used"
        )
        return need
