"""Checkpoints inside a chunk: Orbax for the arrays, own SHA-256 of every file, written last.

`checkpoints/chunk-0003/epoch-000120` holds `state` (Orbax's), `record.npz` and `SHA256SUMS`.
Orbax notices missing pieces but not flipped bits, so that a checkpoint counts only where all of
its files, and no others, have the hashes in that list.
"""

import contextlib
import errno
import io
import os
import pathlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import orbax.checkpoint as ocp
from absl import logging

from ahmsa_jax.config import ConfigError
from ahmsa_jax.training.protocols import Job
from experiments.files import sealed
from experiments.files.chunks import history_arrays, history_of
from experiments.files.sealed import Arrays, SealError
from experiments.run.chunk import History
from input_pipeline.core.files import read_whole, require_free_space, write_whole

FOLDER = "checkpoints"
# So many stay on the disk; while the next one is written there is one more.
KEPT = 2
_STATE = "state"
_HISTORY = "record.npz"
_PREFIX = "epoch-"
_STRAGGLER_SECONDS = 0.5


def save(
    workdir: pathlib.Path, number: int, jobs: Sequence[Job], history: History, state: Arrays
) -> None:
    """Write a checkpoint of chunk `number`; it is whole on the disk when this returns.

    Keeps the newest two. Raises OSError that names the path and the bytes needed, and ConfigError
    where Orbax fails for a reason of its own.
    """
    folder = _folder(workdir, number) / f"{_PREFIX}{history.epoch:06d}"
    _remove(folder)
    folder.mkdir(parents=True)
    needed = sum(array.nbytes for array in state.values())
    require_free_space(folder, needed)
    _write_state(folder / _STATE, state, needed)
    arrays = history_arrays(history, jobs) | {"size": np.int64(_places(state))}
    write_whole(folder / _HISTORY, sealed.npz(arrays))
    sealed.seal_folder(folder)
    for old in _newest_first(workdir, number)[KEPT:]:
        _remove(old)


def load_newest(
    workdir: pathlib.Path,
    number: int,
    jobs: Sequence[Job],
    expected: Arrays,
    note: Callable[[str], None],
) -> tuple[History, Arrays] | None:
    """History and state of the newest good checkpoint of a chunk, or None.

    `expected` has the names, shapes and types of the state, each with leading axis (size,). A
    damaged one is reported in one line by `note`, and removed.
    """
    faults = []
    found = None
    for folder in _newest_first(workdir, number):
        try:
            found = _load(folder, jobs, expected)
            break
        except SealError as error:
            faults.append(f"the checkpoint of epoch {_epoch(folder)} ({error})")
            _remove(folder)
    if faults:
        start = f"goes on from epoch {found[0].epoch}" if found else "starts anew"
        note(f"chunk {number} {start}: {' and '.join(faults)} cannot be trusted")
    return found


def drop(workdir: pathlib.Path, number: int) -> None:
    """Remove the checkpoints of a chunk that needs them no more."""
    shutil.rmtree(_folder(workdir, number), ignore_errors=True)
    parent = workdir / FOLDER
    # A link to another disk stays for the next run.
    if parent.exists() and not parent.is_symlink() and not any(parent.iterdir()):
        parent.rmdir()


def _remove(path: pathlib.Path) -> None:
    """Remove a checkpoint; of a link in its place the link alone, never what it leads to."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _folder(workdir: pathlib.Path, number: int) -> pathlib.Path:
    return workdir / FOLDER / f"chunk-{number:04d}"


def _epoch(folder: pathlib.Path) -> int:
    digits = folder.name.removeprefix(_PREFIX)
    return int(digits) if digits.isdecimal() else -1


def _newest_first(workdir: pathlib.Path, number: int) -> list[pathlib.Path]:
    return sorted(_folder(workdir, number).glob(f"{_PREFIX}*"), key=_epoch, reverse=True)


def _places(state: Arrays) -> int:
    """Places of the chunk: the leading axis of its state."""
    return int(next(iter(state.values())).shape[0])


def _write_state(path: pathlib.Path, state: Arrays, needed: int) -> None:
    with _without_tracebacks():
        try:
            with ocp.StandardCheckpointer() as checkpointer:
                checkpointer.save(path.absolute(), state)
                # It writes in the background; the state is given away to the next dispatch.
                checkpointer.wait_until_finished()
        except Exception as error:
            # Its other writers find that they are no longer waited for, and say so.
            time.sleep(_STRAGGLER_SECONDS)
            text = " ".join(str(error).split())
            # Its storage layer gives the system's reason as text only.
            known = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)
            number = next((n for n in known if os.strerror(n) in text), None)
            if number is None:
                raise ConfigError(
                    f"the checkpoint '{path}' cannot be written: Orbax says {text[:300]}; "
                    "--checkpoint_minutes=0 goes on without checkpoints."
                ) from error
            reason = f"{os.strerror(number)}, the checkpoint's {needed} bytes are needed"
            raise OSError(number, reason, os.fspath(path)) from error


@contextlib.contextmanager
def _without_tracebacks() -> Iterator[None]:
    """Orbax prints a traceback of each of its threads where a write fails; one line is enough."""
    level = logging.get_verbosity()
    logging.set_verbosity(logging.FATAL)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.set_verbosity(level)


def _load(folder: pathlib.Path, jobs: Sequence[Job], expected: Arrays) -> tuple[History, Arrays]:
    """History and state of a checkpoint; raises SealError where it is not to be used."""
    sealed.check_folder(folder)
    try:
        data = read_whole(folder / _HISTORY, sealed.MOST_BYTES)
    except (OSError, ValueError) as error:
        raise SealError(f"{_HISTORY} cannot be read: {error}") from None
    arrays = sealed.from_npz(data, _HISTORY)
    history = history_of(arrays, jobs, _HISTORY)
    if (places := arrays.get("size", np.zeros(0)).tolist()) != _places(expected):
        raise SealError(f"it has {places} places, the chunk here {_places(expected)}")
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            state = checkpointer.restore((folder / _STATE).absolute(), expected)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise SealError(f"this version of Orbax cannot read it: {reason}") from error
    return history, state
