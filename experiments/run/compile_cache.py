"""Compiled programs kept on disk between starts, so that only the first start compiles.

JAX's own persistent cache, bounded in size, in one folder per processor type and jaxlib: a program
compiled for one processor must not run on another. Results are the same bytes with and without it.
"""

import contextlib
import errno
import hashlib
import importlib.metadata
import os
import pathlib
import platform
import re
import sys
import tempfile
import warnings
from typing import Any

import filelock
import jax

from ahmsa_jax.config import ConfigError
from experiments.run import cache_folder

MOST_BYTES = 2 * 2**30
# JAX's variable for the same; a user's own setting wins over our default.
_VARIABLE = "JAX_COMPILATION_CACHE_DIR"
_HIT = "/jax/compilation_cache/cache_hits"
# Why a file cannot be written, or read: JAX's warning holds the system's words.
_REASONS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)
_hits = 0


def use(wanted: str | None) -> None:
    """Tell JAX where to keep programs, as --compile_cache says; one note where that cannot be.

    Raises ConfigError where the flag is empty.
    """
    if wanted == "":
        raise ConfigError("--compile_cache is empty; name a folder, or off for none.")
    jax.monitoring.register_event_listener(_count)
    if wanted is None and (named := os.environ.get(_VARIABLE)):
        _tell_once_of_faults(pathlib.Path(named), is_ours=False)
        return
    if wanted == "off":
        jax.config.update("jax_enable_compilation_cache", False)
        return
    base = pathlib.Path(wanted).expanduser() if wanted else cache_folder.users_folder()
    folder = base / f"{_processor()}-jaxlib-{importlib.metadata.version('jaxlib')}"
    if reason := _unusable(folder) or _odd_entry(folder):
        _note(folder, reason)
        jax.config.update("jax_enable_compilation_cache", False)
        return
    _drop_half_written(folder)
    _tell_once_of_faults(folder, is_ours=True)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", MOST_BYTES)
    # Small programs too: together they take as long as a large one.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def hits() -> int:
    """Programs read instead of compiled, in this process so far."""
    return _hits


def _count(event: str, **_: str | int) -> None:
    global _hits
    _hits += event == _HIT


def _processor() -> str:
    """A short name of the processor's model and instruction sets."""
    processor = platform.processor()
    with contextlib.suppress(OSError):
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = ("model name", "flags", "CPU part", "Features")
        processor = "\n".join(dict.fromkeys(line for line in lines if line.startswith(names)))
    return f"{platform.machine()}-{hashlib.sha256(processor.encode()).hexdigest()[:8]}"


def _unusable(folder: pathlib.Path) -> str | None:
    """Why no file can be written into the folder; it is made where it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
    except OSError as error:
        return error.strerror or str(error)
    return None


def _odd_entry(folder: pathlib.Path) -> str | None:
    """Why a stored program cannot be read without end: a pipe, or a device."""
    entries = (*folder.glob("*-cache"), *folder.glob("*-atime"))
    odd = [entry.name for entry in entries if not entry.is_file()]
    return f"{odd[0]} is no regular file" if odd else None


def _drop_half_written(folder: pathlib.Path) -> None:
    """Remove programs of a process that was killed while it wrote them: they have no time yet."""
    # As JAX holds it while it writes.
    lock = filelock.FileLock(folder / ".lockfile", timeout=0)
    with contextlib.suppress(filelock.Timeout, OSError), lock:
        for program in folder.glob("*-cache"):
            if not program.with_name(f"{program.name.removesuffix('-cache')}-atime").exists():
                program.unlink()


def _tell_once_of_faults(folder: pathlib.Path, *, is_ours: bool) -> None:
    """One note instead of JAX's warning for every program that cannot be read or written.

    A damaged program in a folder of ours is dropped, so that the next start finds a whole one.
    """
    shown = warnings.showwarning
    noted: list[str] = []

    def show(message: Warning | str, *args: Any, **more: Any) -> None:
        text = str(message)
        if "persistent compilation cache" not in text and "maximum cache size" not in text:
            shown(message, *args, **more)
            return
        damaged = re.search(r"Error reading persistent compilation cache entry for '([^']+)'", text)
        if damaged and is_ours:
            for entry in folder.glob(f"{damaged[1]}-*"):
                entry.unlink(missing_ok=True)
            text = f"note: the stored program {damaged[1]} is damaged; it is compiled anew"
            print(text, file=sys.stderr, flush=True)
        elif not noted:
            noted.append(text)
            reasons = map(os.strerror, _REASONS)
            _note(folder, next((reason for reason in reasons if reason in text), text[-200:]))

    warnings.showwarning = show


def _note(folder: pathlib.Path, reason: str) -> None:
    text = " ".join(reason.split())
    print(
        f"note: compiled programs cannot be kept in '{folder}' ({text}); they are compiled at each "
        "start. Choose another --compile_cache, or off.",
        file=sys.stderr,
        flush=True,
    )
