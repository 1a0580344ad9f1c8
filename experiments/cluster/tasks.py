"""What a worker of a Ray cluster does: tell what it has, compile for a chunk, train a chunk.

Nothing here imports Ray or writes a file of the run: a worker needs this code, at the driver's
version, and no folder shared with anybody.
"""

import dataclasses
import functools
import os
import platform
import time
from typing import TYPE_CHECKING

import jax

from ahmsa_jax.training.protocols import EpochShape
from experiments.run import compile_cache, jax_settings
from experiments.run.chunk import Chunk, ChunkResult, History, OutOfMemory, empty_history
from experiments.run.spec import Execution
from experiments.run.workdir import code_version, differences
from experiments.schedule import forecast
from experiments.schedule.interruption import Interruption
from experiments.schedule.memory import machine_bytes
from experiments.schedule.programs import Need, Problem, Programs
from experiments.schedule.progress import Report
from experiments.schedule.trainer import Trainer, TrainerSettings

if TYPE_CHECKING:
    from ray.actor import ActorHandle

# A worker reports its progress at most this often.
_TELL_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class WorkerDevice:
    """The one device of a task, as the driver knows it; it answers what a JAX device answers."""

    host: str
    platform: str
    device_kind: str
    free_bytes: int  # for one task, where several share a machine
    code: dict[str, str]

    def memory_stats(self) -> dict[str, int]:
        """The memory that is free, in the words of a JAX device."""
        return {"bytes_limit": self.free_bytes}


@dataclasses.dataclass(frozen=True)
class Work:
    """What all tasks of a run share; it travels to each machine once."""

    problem: Problem
    available: int  # bytes that a chunk may use on a device, on the poorest machine
    execution: Execution
    code: dict[str, str]


@dataclasses.dataclass(frozen=True)
class News:
    """What a chunk in training has trained since the news before; epoch 0 says that it begins."""

    number: int
    before: int  # epochs told of earlier
    later: History
    where: str

    @property
    def epoch(self) -> int:
        """Epochs trained."""
        return self.before + self.later.epoch


class Board:
    """Collects the workers' news until the driver asks; lives in an actor beside the driver."""

    def __init__(self) -> None:
        self._news: list[News] = []

    def tell(self, news: News) -> None:
        """A worker's news."""
        self._news.append(news)

    def take(self) -> list[News]:
        """All news since the last call."""
        taken, self._news = self._news, []
        return taken


class OtherCodeError(Exception):
    """A worker has another version of the code or of a library than the driver."""


class _Notes(Report):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


class _Reporter(Report):
    def __init__(self, board: "ActorHandle", num_classes: int) -> None:
        self._board = board
        self._num_classes = num_classes
        self._told = 0.0
        self._epoch = 0

    def begin(self, number: int, jobs: int, history: History | None = None) -> None:
        self._epoch = 0
        self._tell(number, history or empty_history(jobs, self._num_classes))

    def advance(self, number: int, history: History) -> None:
        if time.monotonic() - self._told >= _TELL_SECONDS:
            self._tell(number, history)

    def _tell(self, number: int, history: History) -> None:
        self._told = time.monotonic()
        where = f"{platform.node()}, process {os.getpid()}"
        self._board.tell.remote(News(number, self._epoch, history.since(self._epoch), where))
        self._epoch = history.epoch


def describe_worker(tasks_beside: int) -> WorkerDevice:
    """The device of this task; a machine's memory is shared out among `tasks_beside` tasks."""
    device = _device()
    stats = device.memory_stats() or {}
    if "bytes_limit" in stats:
        free = stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    else:
        free = machine_bytes() // tasks_beside
    return WorkerDevice(platform.node(), device.platform, device.device_kind, free, _code())


def compile_need(work: Work, shape: EpochShape, size: int) -> tuple[Need, list[str]]:
    """What `size` folds need of one device, and the notes of compiling."""
    programs, notes = _programs(work), _Notes()
    programs.report = notes
    need = Need(programs.need(shape, size), programs.exhausted(shape, size))
    return need, notes.lines


def timed_seconds(work: Work, chunks: tuple[Chunk, ...]) -> float:
    """Training seconds of these chunks on this worker alone, from some epochs of each program."""
    return forecast.timed_seconds(_programs(work), chunks)


def train_chunk(work: Work, chunk: Chunk, board: "ActorHandle") -> ChunkResult | OutOfMemory:
    """The results of a chunk, or why it does not fit the memory."""
    # No run's files lie here, and none are written: the driver does that.
    settings = TrainerSettings(workdir=None, automatic=not work.execution.folds_at_once)
    trainer = Trainer(_programs(work), settings, Interruption("worker"))
    return trainer.train(chunk, _Reporter(board, work.problem.model_config.num_classes))


@functools.cache
def _code() -> dict[str, str]:
    return code_version()


def _device() -> jax.Device:
    # One for a task, also where a machine shows more: as many as the plan counts on.
    return jax_settings.load().local_devices()[0]


# Programs of the run that this process works for, kept for its next chunk.
_kept: list[Programs] = []


def _programs(work: Work) -> Programs:
    if differing := differences({"code": work.code}, {"code": _code()}):
        raise OtherCodeError(f"{platform.node()}: {'; '.join(differing)}")
    if not _kept:
        # On a GPU Ray gives every chunk a process of its own: spare it compiling once more.
        compile_cache.use(work.execution.compile_cache)
        programs = Programs(work.problem, [_device()])
        programs.available = work.available
        _kept.append(programs)
    return _kept[0]
