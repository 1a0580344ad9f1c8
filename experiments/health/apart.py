"""Runs a check in a process of its own: a library may crash, hang or write whatever it likes there.

Where the system can fork, the process begins as a copy of this one; JAX is loaded there alone.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

_FORK = "fork"
# What a library says last is what it died of; notes can be long.
_MOST_LETTERS = 300


class Outcome(NamedTuple):
    """What the check gave, in order, and why it did not come to its end (None where it did)."""

    given: list[Any]
    fault: str | None


def run(check: Callable[..., Iterator[Any]], *arguments: Any, seconds: float) -> Outcome:
    """What `check(*arguments)`, of a module's top level, yields within `seconds`.

    An exception there, a crash and a check that takes longer become the outcome's fault.
    """
    fork = _FORK in multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context(_FORK if fork else "spawn")
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as notes:
        receiving, sending = context.Pipe(duplex=False)
        words = (notes.fileno() if fork else None, sending, check, arguments)
        process = context.Process(target=_run_here, args=words)
        process.start()
        sending.close()
        try:
            given, fault = _received(receiving, time.monotonic() + seconds)
            if fault is None:
                process.join()
                fault = _death(process.exitcode, notes)
            elif fault == "":
                fault = f"it did not end within {seconds:.0f} s"
        finally:
            receiving.close()
            if process.is_alive():
                process.kill()
            process.join()
    return Outcome(given, fault)


def _received(receiving: Connection, deadline: float) -> tuple[list[Any], str | None]:
    """What was sent, and the exception that ended it; None after the last, "" past the deadline."""
    given: list[Any] = []
    while receiving.poll(max(0.0, deadline - time.monotonic())):
        try:
            kind, value = receiving.recv()
        except EOFError:
            return given, None
        if kind == "raised":
            return given, value
        given.append(value)
    return given, ""


def _run_here(
    notes: int | None,
    sending: Connection,
    check: Callable[..., Iterator[Any]],
    arguments: tuple[Any, ...],
) -> None:
    """The process: sends each value, then the exception if there is one."""
    if notes is not None:
        os.dup2(notes, 1)
        os.dup2(notes, 2)
    try:
        for value in check(*arguments):
            sending.send(("given", value))
    # A check of a broken library may raise anything.
    except Exception as error:
        sending.send(("raised", said(error)))
    sending.close()


def said(error: BaseException) -> str:
    """An exception in one row: its type, and as much of its text as a reader can use."""
    words = " ".join(str(error).split())
    if len(words) > _MOST_LETTERS:
        words = f"{words[:_MOST_LETTERS]}..."
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _death(status: int | None, notes: Any) -> str | None:
    """Why a process ended by itself, with the last row that it wrote; None where all was well."""
    if status == 0:
        return None
    how = f"its process ended with status {status}"
    if status is not None and status < 0:
        with contextlib.suppress(ValueError):
            how = f"its process was ended by {signal.Signals(-status).name}"
    notes.seek(0)
    rows = notes.read().decode(errors="replace").strip().splitlines()
    return f"{how}; it last wrote: {rows[-1].strip()[:_MOST_LETTERS]}" if rows else how
