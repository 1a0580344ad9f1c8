"""Arrays and files that are trusted only with the SHA-256 written with them."""

import concurrent.futures
import errno
import hashlib
import io
import os
import pathlib
import stat
import zipfile
from collections.abc import Mapping, Sequence

import numpy as np

from input_pipeline.core.files import read_text, read_whole, write_whole

SUMS = "SHA256SUMS"
# An archive of 10,000 folds and 10,000 epochs, and a list of 10,000 files, stay below.
MOST_BYTES, _MOST_LIST_BYTES = 4 * 2**30, 2**20
_HASH_THREADS = 8

Arrays = dict[str, np.ndarray]


class SealError(ValueError):
    """Why what lies on the disk cannot be trusted."""


def npz(arrays: Mapping[str, object]) -> bytes:
    """The bytes of an uncompressed .npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, **{name: np.asarray(array) for name, array in arrays.items()})
    return buffer.getvalue()


def from_npz(data: bytes, name: str) -> Arrays:
    """The arrays of an .npz file's bytes; raises SealError on anything else."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            return dict(stored)
    # Whatever a damaged archive makes NumPy stumble over.
    except (OSError, ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise SealError(f"{name} cannot be read: {error}") from None


def write(path: pathlib.Path, arrays: Mapping[str, object]) -> None:
    """Write an .npz file and then its SHA-256 beside it: it counts once both are there."""
    data = npz(arrays)
    write_whole(path, data)
    write_whole(_beside(path), hashlib.sha256(data).hexdigest() + "\n")


def read(path: pathlib.Path) -> Arrays:
    """The arrays of a file of `write`; raises SealError where it is absent, cut or changed."""
    try:
        data, digest = read_whole(path, MOST_BYTES), read_text(_beside(path), 200).strip()
    except (FileNotFoundError, ValueError) as error:
        raise SealError(f"{path.name} cannot be read: {error}") from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise SealError(f"{path.name} has another SHA-256 than when it was written")
    return from_npz(data, path.name)


def _beside(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(f"{path.name}.sha256")


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, types, shapes and values, for forms that hold it in a header."""
    found = hashlib.sha256()
    for name, value in sorted(arrays.items()):
        found.update(f"{name} {value.dtype} {value.shape}\n".encode())
        found.update(np.ascontiguousarray(value).tobytes())
    return found.hexdigest()


def seal_folder(folder: pathlib.Path) -> None:
    """Bring all files below a folder to the disk and write their SHA-256 into its list."""
    names = _file_names(folder)
    for name in names:
        with (folder / name).open("rb") as file:
            os.fsync(file.fileno())
    sums = zip(_hashes(folder, names), names, strict=True)
    write_whole(folder / SUMS, "".join(f"{digest}  {name}\n" for digest, name in sums))


def check_folder(folder: pathlib.Path) -> None:
    """Raise SealError unless the files are those of the folder's list, with the hashes of it."""
    if folder.is_symlink() or not folder.is_dir():
        raise SealError("it is no folder of its own")
    try:
        lines = read_text(folder / SUMS, _MOST_LIST_BYTES).splitlines()
        listed = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    except FileNotFoundError:
        raise SealError(f"unfinished: it has no {SUMS}") from None
    except (OSError, ValueError):
        raise SealError(f"{SUMS} is damaged") from None
    present = _file_names(folder)
    if odd := sorted({*listed} ^ {*present}):
        lacks = "is missing" if odd[0] in listed else "is not in its list"
        raise SealError(f"{odd[0]} {lacks}")
    try:
        found = _hashes(folder, present)
    except OSError as error:
        raise SealError(f"{error.filename} cannot be read: {error.strerror}") from None
    for name, digest in zip(present, found, strict=True):
        if listed[name] != digest:
            raise SealError(f"{name} has another SHA-256 than when it was written")


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
