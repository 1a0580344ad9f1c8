"""Writes a file whole or not at all."""

import contextlib
import os
import pathlib
import tempfile

from input_pipeline import dataset_folder


def write_whole(path: pathlib.Path, content: bytes | str) -> None:
    """Put `content` (text as UTF-8) at `path` through a temporary file beside it.

    What stood there before stays until the new bytes are on the disk. Raises OSError that names
    the path and the bytes needed.
    """
    data = content.encode() if isinstance(content, str) else content
    dataset_folder.require_free_space(path.parent, len(data))
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


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
