"""The compiled programs of a run, by epoch shape and number of folds, and the memory they need."""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np

from ahmsa_jax.config import ConfigError, NetworkConfig, TrainConfig
from ahmsa_jax.training.batch_parallel import BatchEngine
from ahmsa_jax.training.clip_order import rank_of_clips
from ahmsa_jax.training.engine import Engine
from ahmsa_jax.training.protocols import EpochShape
from ahmsa_jax.training.step import Data
from experiments.run import compile_cache, prepared
from experiments.schedule.memory import Device, available_bytes
from experiments.schedule.plan import state_bytes
from experiments.schedule.progress import Plain, Report
from input_pipeline.core.clips import Clips


def is_exhausted(error: BaseException) -> bool:
    """Whether JAX says with this error that a device, or the machine, has no memory left."""
    text = str(error)
    return isinstance(error, jax.errors.JaxRuntimeError) and (
        "RESOURCE_EXHAUSTED" in text or "out of memory" in text.lower()
    )


def one_line(error: BaseException) -> str:
    """The start of an error's text."""
    return " ".join(str(error).split())[:200]


@dataclasses.dataclass(frozen=True)
class Problem:
    """What programs are compiled for: clips, network, training."""

    clips: Clips
    model_config: NetworkConfig
    train_config: TrainConfig
    test_places: int  # held-out clips of the largest fold
    eval_every: int = 0  # epochs; 0: after the last one only
    parallel: str = "folds"  # what devices share out: folds, or the batch of one fold at a time


@dataclasses.dataclass(frozen=True)
class Need:
    """Bytes that a program needs on one device, or why compiling it ran out of memory itself."""

    size: int
    exhausted: str | None = None


class Needs:
    """What the chunks of a run need of a device's memory, wherever they are compiled."""

    def __init__(
        self,
        problem: Problem,
        devices: Sequence[Device],
        compile_program: Callable[[EpochShape, int], Need],
        *,
        lanes: int = 1,
        workers: int = 1,
    ) -> None:
        """Ask for the free memory, before anything of the run lies there.

        `lanes` is by how many places a chunk grows, `workers` how many chunks are trained at a
        time, each on all devices.
        """
        self.problem = problem
        self.clips = problem.clips
        self.model_config, self.train_config = problem.model_config, problem.train_config
        self.eval_every, self.num_classes = problem.eval_every, problem.model_config.num_classes
        self.devices = list(devices)
        self.available = available_bytes(self.devices)
        self.lanes, self.workers = lanes, workers
        self.report: Report = Plain()
        # Parameters that the folds of a seed start from, by path; None: from scratch.
        self.start: Mapping[int, Mapping[str, np.ndarray]] | None = None
        self._compile_program = compile_program
        self._needs: dict[tuple[EpochShape, int], Need] = {}

    def need(self, shape: EpochShape, size: int) -> int:
        """Bytes that training `size` folds of a shape needs on one device; compiles for it.

        Where compiling itself finds too little memory, twice what there is.
        """
        key = (shape, size)
        if key not in self._needs:
            self._needs[key] = self._compile_program(shape, size)
        return self._needs[key].size

    def is_compiled(self, shape: EpochShape, size: int) -> bool:
        """Whether nothing is left to compile for such chunks."""
        return (shape, size) in self._needs

    def exhausted(self, shape: EpochShape, size: int) -> str | None:
        """The compiler's message where it ran out of memory itself."""
        return self._needs[shape, size].exhausted

    def forget(self, shape: EpochShape, size: int) -> None:
        """Give up a program that turned out too large, and its need."""
        self._needs.pop((shape, size), None)

    def refuse_hopeless(self) -> None:
        """Raise ConfigError where what training keeps of one fold outgrows the memory."""
        least = state_bytes(self.model_config, self.train_config)
        if least > self.available:
            raise ConfigError(
                f"one fold needs more than {least / 2**30:.1f} GiB and "
                f"{self.available / 2**30:.1f} GiB can be used; lower --base_dim or --blocks."
            )


class Programs(Needs):
    """Compiles on demand and keeps what it compiled; holds the data set on the devices."""

    def __init__(self, problem: Problem, devices: Sequence[jax.Device] | None = None) -> None:
        self._devices = list(devices or jax.local_devices())
        batch = problem.parallel == "batch"
        lanes = 1 if batch else len(self._devices)
        super().__init__(problem, self._devices, self._compile, lanes=lanes)
        self._engine_class = BatchEngine if batch else Engine
        self._engines: dict[tuple[EpochShape, int], Engine] = {}
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
                test_places=self.problem.test_places,
                eval_every=self.eval_every,
                devices=self._devices,
            )
        return self._engines[key]

    @functools.cached_property
    def inputs(self) -> dict[str, np.ndarray]:
        """The network's inputs by name, prepared as the settings say."""
        return prepared.inputs(self.clips, self.train_config)

    def data(self, engine: Engine) -> Data:
        """The data set on the devices, put there once."""
        if self._data is None:
            clips = self.clips
            rank_N = rank_of_clips(
                self.train_config.order, clips.label_N, clips.subject_N, clips.clip_N
            )
            self._data = engine.place_data(self.inputs, clips.label_N, rank_N)
        return self._data

    def forget(self, shape: EpochShape, size: int) -> None:
        """Give up a program that turned out too large, and its need."""
        super().forget(shape, size)
        self._engines.pop((shape, size), None)

    def _compile(self, shape: EpochShape, size: int) -> Need:
        engine = self.engine(shape, size)
        began, hits = time.monotonic(), compile_cache.hits()
        what = f"{size} folds of {shape.steps} step(s) per epoch"
        try:
            with self.report.waiting(f"compiling for {what}"):
                need = engine.compile(*engine.shapes(len(self.clips)))
        except jax.errors.JaxRuntimeError as error:
            if not is_exhausted(error):
                raise
            return Need(2 * self.available, one_line(error))
        how = "read the compiled program" if compile_cache.hits() > hits else "compiled"
        self.report.note(
            f"{how} for {what} in {time.monotonic() - began:.0f} s; needs {need / 2**20:,.0f} MiB "
            f"per device, {self.available / 2**20:,.0f} MiB can be used"
        )
        return Need(need)
