"""Folders that one test of the session makes and all others copy, whichever worker they run on."""

import hashlib
import os
import pathlib
import tempfile
from collections.abc import Callable

import filelock

# Set by conftest.py, beside the session's cache of programs.
VARIABLE = "AHMSA_TESTS_SHARED"


def folder(what: str, make: Callable[[pathlib.Path], None]) -> pathlib.Path:
    """The folder filled by `make`, which is called by the first who asks for `what`.

    Not to be changed: give a test that changes something a copy.
    """
    shared = pathlib.Path(os.environ[VARIABLE])
    made = shared / hashlib.sha256(what.encode()).hexdigest()[:16]
    with filelock.FileLock(f"{made}.lock"):
        if not made.exists():
            with tempfile.TemporaryDirectory(dir=shared) as unfinished:
                begun = pathlib.Path(unfinished) / "made"
                begun.mkdir()
                make(begun)
                begun.rename(made)
    return made
