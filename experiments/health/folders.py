"""The folders that commands write into: whether they can be written, and how much is free."""

import errno
import os
import pathlib
import shutil
import tempfile
from collections.abc import Mapping

from experiments.health.lines import Line, State

# A run of a hundred small networks with their weights takes less.
_LEAST_FREE = 2**30
_PROBE_BYTES = 4096
_FULL = (errno.ENOSPC, errno.EDQUOT)


def check(folders: Mapping[str, pathlib.Path]) -> list[Line]:
    """A line for each folder, by what it is for.

    One that is not there is asked for at its nearest parent; nothing is left behind.
    """
    return [_line(purpose, folder) for purpose, folder in folders.items()]


def _line(purpose: str, folder: pathlib.Path) -> Line:
    shown = f"{purpose}, '{folder}'"
    try:
        nearest = _nearest(folder)
        _try_to_write(nearest)
        free = shutil.disk_usage(nearest).free
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            return Line(State.WARNING, f"{shown}: {reason}", "free some space, or name another")
        return Line(
            State.WARNING,
            f"{shown}: cannot be written ({reason})",
            "name a folder that you may write, or have this one opened to you",
        )
    room = f"{free / 2**30:,.1f} GiB free"
    if free < _LEAST_FREE:
        return Line(State.WARNING, f"{shown}: {room}", "free some space, or name another")
    made = "can be written" if nearest == folder else "can be made"
    return Line(State.OK, f"{shown}: {made}, {room}")


def _nearest(folder: pathlib.Path) -> pathlib.Path:
    """The folder itself, or the one in which it would be made."""
    nearest = folder.absolute()
    # A link to nowhere is in the way all the same.
    while not os.path.lexists(nearest) and nearest != nearest.parent:
        nearest = nearest.parent
    return folder if nearest == folder.absolute() else nearest


def _try_to_write(folder: pathlib.Path) -> None:
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(_PROBE_BYTES))
        file.flush()
        os.fsync(file.fileno())
