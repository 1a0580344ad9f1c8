"""A lock file held by one process at a time; the lock is the system's and ends with its process."""

import contextlib
import errno
import fcntl
import os
import pathlib
import re
import socket
import stat
from collections.abc import Iterator

# Longer than any owner's line.
_MOST_BYTES = 400
_OWNER = re.compile(rb"(process \d{1,10} on [^\n]{1,255}\n?)?")


class HeldError(Exception):
    """Another process holds the lock; the text names it as well as it is known."""


class ForeignError(Exception):
    """What lies at the lock's path is no lock file of this project; the text says what."""


@contextlib.contextmanager
def held(path: pathlib.Path) -> Iterator[None]:
    """Hold the lock at `path`, made where it is missing.

    Raises HeldError where another process holds it, and ForeignError, leaving what lies there as
    it is, where that is a link, no regular file, or has other content than an owner's line.
    """
    try:
        # A pipe must not be waited for, nor a link followed to a file of somebody's.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ForeignError("a link") from None
        if error.errno in (errno.EISDIR, errno.ENXIO):
            raise ForeignError("no regular file") from None
        raise
    with os.fdopen(descriptor, "rb+", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ForeignError("no regular file")
        found = file.read(_MOST_BYTES)
        if not _OWNER.fullmatch(found):
            raise ForeignError("a file with other content")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise HeldError(found.decode(errors="replace").strip() or "another process") from None
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield
