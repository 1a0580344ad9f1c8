"""Runs a part in a process of its own, so that its memory is free afterwards and it can be stopped.

A server process loads the libraries once and forks; no GPU is touched before the fork.
"""

import dataclasses
import json
import multiprocessing
import os
import pathlib
import runpy
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from typing import Any

from tqdm import tqdm

_SERVER = multiprocessing.get_context("forkserver")
_LIBRARIES = [
    *("jax", "flax", "optax", "orbax.checkpoint", "matplotlib.figure"),
    *("experiments.schedule.trainer", "experiments.scores.reporting"),
]
# For leaving in good order after a signal, before the process is killed.
_GRACE_SECONDS = 10.0


class PartError(Exception):
    """A part failed: the end of what it said."""


class TimeOverError(Exception):
    """A part was stopped, because the call's time was over."""


@dataclasses.dataclass(frozen=True)
class Children:
    """Starts processes that end at a deadline of time.monotonic()."""

    folder: pathlib.Path  # for logs and results, thrown away afterwards
    deadline: float
    variables: Mapping[str, str]  # of the processes' environment, beside those of this one

    def facts_of(self, function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
        """What the function returns in a process of its own.

        Raises PartError where it raised, TimeOverError at the deadline.
        """
        result = self.folder / "result.json"
        result.unlink(missing_ok=True)
        self._finish(self.start(_write_facts, str(result), function, arguments))
        facts: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return facts

    def command(self, module: str, words: Sequence[str]) -> tuple[float, str]:
        """Run `python -m module`; returns its seconds and what it printed.

        Raises PartError where it did not exit with 0, TimeOverError at the deadline.
        """
        began = time.monotonic()
        self._finish(self.start_command(module, words))
        return time.monotonic() - began, self.log()

    def start_command(self, module: str, words: Sequence[str]) -> ForkServerProcess:
        """The process of `python -m module`."""
        return self.start(_run_as_main, module, list(words))

    def start(self, target: Callable[..., None], *arguments: Any) -> ForkServerProcess:
        """A process that writes to the log and leads a group of its own."""
        _SERVER.set_forkserver_preload(_LIBRARIES)
        log = self.folder / "log.txt"
        log.unlink(missing_ok=True)
        process = _SERVER.Process(
            target=_in_place, args=(str(log), dict(self.variables), target, arguments)
        )
        process.start()
        return process

    def wait(self, process: ForkServerProcess) -> int:
        """The exit status; raises TimeOverError, the process killed, at the deadline."""
        try:
            process.join(max(0.0, self.deadline - time.monotonic()))
            if process.exitcode is None:
                raise TimeOverError
            return process.exitcode
        finally:
            if process.exitcode is None:
                process.terminate()
                process.join(_GRACE_SECONDS)
                process.kill()
                process.join()

    def log(self) -> str:
        """What the latest process printed."""
        path = self.folder / "log.txt"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def _finish(self, process: ForkServerProcess) -> None:
        if status := self.wait(process):
            raise PartError(f"left with {status}: {self.log()[-1500:]}")


def _in_place(
    log: str, variables: dict[str, str], target: Callable[..., None], arguments: Sequence[Any]
) -> None:
    os.setsid()
    os.environ.update(variables)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    # The bar's own lock between processes would outlive a killed one.
    tqdm.set_lock(threading.RLock())
    target(*arguments)


def _write_facts(
    result: str, function: Callable[..., dict[str, Any]], arguments: Sequence[Any]
) -> None:
    # What it raises, multiprocessing prints and turns into status 1.
    facts = function(*arguments)
    pathlib.Path(result).write_text(json.dumps(facts), encoding="utf-8")


def _run_as_main(module: str, words: list[str]) -> None:
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
