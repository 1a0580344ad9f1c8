"""Checkpoints inside a chunk: Orbax for the arrays, own SHA-256 of every file, written last.

`checkpoints/chunk-0003/epoch-000120` holds `state` (Orbax's), `record.npz` and `SHA256SUMS`.
Orbax notices missing pieces but not flipped bits, so that a checkpoint counts only where all of
its files, and no others, have the hashes in that list.
"""

import concurrent.futures
import contextlib
import dataclasses
import errno
import hashlib
import io
import os
import pathlib
import shutil
import stat
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from absl import logging

from ahmsa_jax.config import ConfigError
from ahmsa_jax.training.engine import Job
from input_pipeline.core.files import read_text, read_whole, require_free_space, write_whole

FOLDER = "checkpoints"
SUMS = "SHA256SUMS"
# So many stay on the disk; while the next one is written there is one more.
KEPT = 2
_STATE = "state"
_RECORD = "record.npz"
_PREFIX = "epoch-"
_HASH_THREADS = 8
# A list of 10,000 files, and a record of 10,000 folds and epochs, stay below.
_MOST_LIST_BYTES, _MOST_RECORD_BYTES = 2**20, 4 * 2**30
_STRAGGLER_SECONDS = 0.5


@dataclasses.dataclass
class Record:
    """What a chunk has given so far. Letters: S jobs, E epochs, V evaluated ones, K classes."""

    loss_SxE: np.ndarray  # mean training loss of each epoch, nats
    evaluated_V: np.ndarray  # epochs, counted from 1, at which held-out clips were predicted
    confusion_SxVxKxK: np.ndarray  # of the held-out clips, rows the truth
    seconds: float  # wall time spent, compiling included

    @property
    def epoch(self) -> int:
        """Epochs trained."""
        return int(self.loss_SxE.shape[1])

    def latest_counts(self) -> np.ndarray | None:
        """Counts of the jobs' held-out clips when last predicted, rows the truth; None before."""
        return self.confusion_SxVxKxK[:, -1].sum(axis=0) if len(self.evaluated_V) else None


def save(
    workdir: pathlib.Path,
    number: int,
    jobs: Sequence[Job],
    record: Record,
    state: dict[str, np.ndarray],
) -> None:
    """Write a checkpoint of chunk `number`; it is whole on the disk when this returns.

    Keeps the newest two. Raises OSError that names the path and the bytes needed, and ConfigError
    where Orbax fails for a reason of its own.
    """
    folder = _folder(workdir, number) / f"{_PREFIX}{record.epoch:06d}"
    _remove(folder)
    folder.mkdir(parents=True)
    needed = sum(array.nbytes for array in state.values())
    require_free_space(folder, needed)
    _write_state(folder / _STATE, state, needed)
    size = next(iter(state.values())).shape[0]
    write_whole(folder / _RECORD, _record_bytes(record, jobs, size))
    names = _file_names(folder)
    for name in names:
        _to_disk(folder / name)
    sums = zip(_hashes(folder, names), names, strict=True)
    write_whole(folder / SUMS, "".join(f"{digest}  {name}\n" for digest, name in sums))
    for old in _newest_first(workdir, number)[KEPT:]:
        _remove(old)


def load_newest(
    workdir: pathlib.Path,
    number: int,
    jobs: Sequence[Job],
    expected: dict[str, np.ndarray],
    note: Callable[[str], None],
) -> tuple[Record, dict[str, np.ndarray]] | None:
    """Record and state of the newest good checkpoint of a chunk, or None.

    `expected` has the names, shapes and types of the state, each with leading axis (size,). What is
    damaged is told in one line by `note`, and removed.
    """
    faults = []
    found = None
    for folder in _newest_first(workdir, number):
        try:
            found = _load(folder, jobs, expected)
            break
        except _UnusableError as error:
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


class _UnusableError(Exception):
    """Why a checkpoint cannot be used."""


def _folder(workdir: pathlib.Path, number: int) -> pathlib.Path:
    return workdir / FOLDER / f"chunk-{number:04d}"


def _epoch(folder: pathlib.Path) -> int:
    digits = folder.name.removeprefix(_PREFIX)
    return int(digits) if digits.isdecimal() else -1


def _newest_first(workdir: pathlib.Path, number: int) -> list[pathlib.Path]:
    return sorted(_folder(workdir, number).glob(f"{_PREFIX}*"), key=_epoch, reverse=True)


def _write_state(path: pathlib.Path, state: dict[str, np.ndarray], needed: int) -> None:
    # Orbax takes a third of a second to load, and short runs never need it.
    import orbax.checkpoint as ocp

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


def _load(
    folder: pathlib.Path, jobs: Sequence[Job], expected: dict[str, np.ndarray]
) -> tuple[Record, dict[str, np.ndarray]]:
    _verify(folder)
    size = next(iter(expected.values())).shape[0]
    record = _read_record(folder / _RECORD, jobs, size)
    import orbax.checkpoint as ocp

    try:
        with ocp.StandardCheckpointer() as checkpointer:
            state = checkpointer.restore((folder / _STATE).absolute(), expected)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise _UnusableError(f"this version of Orbax cannot read it: {reason}") from error
    return record, state


def _verify(folder: pathlib.Path) -> None:
    """Raise _UnusableError unless the files are those of the list, with the hashes of the list."""
    if folder.is_symlink() or not folder.is_dir():
        raise _UnusableError("it is no folder of its own")
    try:
        lines = read_text(folder / SUMS, _MOST_LIST_BYTES).splitlines()
        listed = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    except FileNotFoundError:
        raise _UnusableError(f"unfinished: it has no {SUMS}") from None
    except (OSError, ValueError):
        raise _UnusableError(f"{SUMS} is damaged") from None
    present = _file_names(folder)
    if odd := sorted({*listed} ^ {*present}):
        lacks = "is missing" if odd[0] in listed else "is not in its list"
        raise _UnusableError(f"{odd[0]} {lacks}")
    try:
        found = _hashes(folder, present)
    except OSError as error:
        raise _UnusableError(f"{error.filename} cannot be read: {error.strerror}") from None
    for name, digest in zip(present, found, strict=True):
        if listed[name] != digest:
            raise _UnusableError(f"{name} has another SHA-256 than when it was written")


def _file_names(folder: pathlib.Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    names = (path.relative_to(folder).as_posix() for path in files)
    return sorted(name for name in names if name != SUMS)


def _hashes(folder: pathlib.Path, names: Sequence[str]) -> list[str]:
    with concurrent.futures.ThreadPoolExecutor(_HASH_THREADS) as pool:
        return list(pool.map(lambda name: _hash(folder / name), names))


def _hash(path: pathlib.Path) -> str:
    # A pipe would be waited for, a device read without end.
    if not stat.S_ISREG(path.lstat().st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", path.name)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _to_disk(path: pathlib.Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _record_bytes(record: Record, jobs: Sequence[Job], size: int) -> bytes:
    buffer = io.BytesIO()
    np.savez(
        buffer,
        size=np.int64(size),
        seed=np.array([job.seed for job in jobs], np.int64),
        subject=np.array([job.fold.subject_key for job in jobs]),
        loss=record.loss_SxE.astype(np.float32),
        evaluated=record.evaluated_V.astype(np.int64),
        confusion=record.confusion_SxVxKxK.astype(np.int64),
        seconds=np.float64(record.seconds),
    )
    return buffer.getvalue()


def _read_record(path: pathlib.Path, jobs: Sequence[Job], size: int) -> Record:
    try:
        with np.load(io.BytesIO(read_whole(path, _MOST_RECORD_BYTES)), allow_pickle=False) as file:
            arrays = dict(file)
        stored = list(zip(arrays["seed"].tolist(), arrays["subject"].tolist(), strict=True))
        if stored != [(job.seed, job.fold.subject_key) for job in jobs]:
            raise _UnusableError("it is of other folds")
        if int(arrays["size"]) != size:
            raise _UnusableError(f"it has {int(arrays['size'])} places, the chunk here {size}")
        loss, evaluated, confusion = (arrays[name] for name in ("loss", "evaluated", "confusion"))
        if (
            loss.ndim != 2
            or len(loss) != len(jobs)
            or evaluated.ndim != 1
            or confusion.ndim != 4
            or confusion.shape[:2] != (len(jobs), len(evaluated))
        ):
            raise _UnusableError(f"{path.name} holds arrays of other shapes")
        return Record(loss, evaluated, confusion, seconds=float(arrays["seconds"]))
    # Whatever an archive that somebody made may stumble over.
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise _UnusableError(f"{path.name} cannot be read: {error}") from None
