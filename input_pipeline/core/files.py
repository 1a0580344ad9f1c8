"""Writes a file whole or not at all, beside earlier ones, and reads one that is known to end."""

import contextlib
import errno
import itertools
import os
import pathlib
import re
import shutil
import stat
import tempfile


def write_whole(path: pathlib.Path, content: bytes | str) -> None:
    """Put `content` (text as UTF-8) at `path` through a temporary file beside it.

    What stood there before stays until the new bytes are on the disk. Raises OSError that names
    the path and the bytes needed.
    """
    data = content.encode() if isinstance(content, str) else content
    require_free_space(path.parent, len(data))
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        # mkstemp makes files that only their owner may read.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        reason = f"{error.strerror}, {len(data)} bytes are needed"
        raise OSError(error.errno, reason, os.fspath(path)) from error


def first_free(path: pathlib.Path) -> pathlib.Path:
    """`path`, or where that is there the first of name-2.json, name-3.json, ... that is not."""
    candidates = (path.with_name(f"{path.stem}-{n}{path.suffix}") for n in itertools.count(2))
    return next(found for found in itertools.chain([path], candidates) if not found.exists())


def require_free_space(folder: pathlib.Path, needed: int) -> None:
    """Raise OSError naming the folder, the bytes needed and the bytes free, if too few are."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            errno.ENOSPC, f"{needed} bytes are needed and {free} are free", os.fspath(folder)
        )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def temporary_target(name: str) -> str | None:
    """The name of the file that a temporary one of write_whole was to become, else None.

    A date, as people name copies, is none of its random names.
    """
    found = re.fullmatch(r"\.(.+)\.(?!\d{8}$)[a-z0-9_]{8}", name)
    return found[1] if found else None


class UnfitFileError(ValueError):
    """What lies at a path cannot be such a file; the text says why."""


class IrregularFileError(UnfitFileError):
    """What lies at a path is a folder, a pipe or a device."""


class OversizedFileError(UnfitFileError):
    """What lies at a path is larger than such a file can be."""


def read_whole(path: pathlib.Path, most_bytes: int) -> bytes:
    """The bytes of a regular file; raises UnfitFileError on a pipe, device, folder or larger file.

    A pipe would be waited for without end, and a device read until the memory is full.
    """
    # Without waiting for a pipe's other end.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise IrregularFileError("it is no regular file")
        if found.st_size > most_bytes:
            raise OversizedFileError(
                f"it has {found.st_size:,} bytes, and such a file at most {most_bytes:,}"
            )
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def read_text(path: pathlib.Path, most_bytes: int) -> str:
    """The text of a regular file in UTF-8; raises as read_whole, and UnicodeDecodeError."""
    return read_whole(path, most_bytes).decode()
