"""The folder of a run: claimed by one process, bound to one configuration, written atomically."""

import contextlib
import errno
import fcntl
import hashlib
import importlib.metadata
import json
import os
import pathlib
import socket
from collections.abc import Iterator
from typing import Any

import ahmsa_jax
from ahmsa_jax.config import ConfigError
from input_pipeline.whole_file import write_whole

CONFIG_FILE = "config.json"
# Packages whose sources decide a run's numbers; the data set has a hash of its own.
_CODE_PACKAGES = ("ahmsa_jax", "experiments")
_LIBRARIES = ("jax", "jaxlib", "flax", "optax")
_LOCK_FILE = ".lock"


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and an end of line, the form in which settings are stored."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def config_hash(config: dict[str, Any]) -> str:
    """First 8 hexadecimal digits of the SHA-256 of a configuration."""
    compact = json.dumps(config, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(compact.encode()).hexdigest()[:8]


def code_version() -> dict[str, str]:
    """Versions of this code and of the libraries that compute, and a hash of the sources.

    The hash is over names and bytes of all source files of ahmsa_jax and experiments.
    """
    root = pathlib.Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for package in _CODE_PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            data = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()} {len(data)}\n".encode() + data)
    libraries = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"ahmsa_jax": ahmsa_jax.__version__, "sources": digest.hexdigest()[:16]} | libraries


@contextlib.contextmanager
def claimed(workdir: pathlib.Path) -> Iterator[None]:
    """Hold the workdir for this process; raises ConfigError where another one holds it.

    The lock is the operating system's and ends with the process, however that ends.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    path = workdir / _LOCK_FILE
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            file.seek(0)
            owner = file.read(200).strip() or "another process"
            raise ConfigError(
                f"the workdir '{workdir}' is in use by {owner}; wait until it ends or choose "
                "another --workdir."
            ) from None
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        _sweep(workdir)
        yield


def _sweep(workdir: pathlib.Path) -> None:
    """Remove what a killed run left half written; whoever holds the lock knows its owner dead."""
    for pattern in (".*.*", "chunks/.*.*"):
        for leftover in workdir.glob(pattern):
            leftover.unlink()


def bind(workdir: pathlib.Path, config: dict[str, Any], facts: dict[str, Any]) -> None:
    """Store the configuration on the first start; later, refuse to go on with another one.

    `facts` are stored beside it without counting: what the reports need to know of the data. So is
    the code's version: it counts only where something is left to train (refuse_other_code).

    Raises ConfigError that names the differing settings, or the foreign files of a folder that
    is no run's.
    """
    path = workdir / CONFIG_FILE
    if path.exists():
        stored = read_config(workdir)["config"]
        if differing := differences(stored, config):
            raise ConfigError(
                f"the workdir '{workdir}' holds a run with other settings: "
                f"{'; '.join(differing[:8])}. Give those settings or choose another --workdir."
            )
        return
    foreign = sorted(item.name for item in workdir.iterdir() if not item.name.startswith("."))
    if foreign:
        raise ConfigError(
            f"the workdir '{workdir}' is not empty and holds no run ('{foreign[0]}' and "
            f"{len(foreign) - 1} more); choose an empty or new folder."
        )
    stored = {
        "config": config,
        "config_hash": config_hash(config),
        "code": code_version(),
        **facts,
    }
    write_whole(path, canonical_json(stored))


def refuse_other_code(workdir: pathlib.Path) -> None:
    """Raise ConfigError where the run was started by other code than this, naming what differs.

    To be asked before more of the run is trained: half of a run's folds from one program and half
    from another would be no experiment.
    """
    stored = read_config(workdir).get("code", {})
    if differing := differences({"code": stored}, {"code": code_version()}):
        raise ConfigError(
            f"the workdir '{workdir}' holds an unfinished run of another code version: "
            f"{'; '.join(differing)}. Go on with that version or choose another --workdir."
        )


def read_config(workdir: pathlib.Path) -> dict[str, Any]:
    """The stored configuration and its hash; raises ConfigError where the file is damaged."""
    path = workdir / CONFIG_FILE
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["config_hash"] != config_hash(stored["config"]):
            raise ValueError("its hash does not fit its content")
        if not isinstance(stored["folds"], list) or not isinstance(stored["notes"], list):
            raise ValueError("folds or notes are no lists")
        int(stored["subjects_in_data_set"])
    except FileNotFoundError:
        raise ConfigError(f"'{workdir}' is no run's workdir: it holds no {CONFIG_FILE}.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"'{path}' is damaged ({error}); restore it or start again in another --workdir."
        ) from None
    return stored


def differences(
    stored: dict[str, Any], wanted: dict[str, Any], prefix: str = "", missing: str = "absent"
) -> list[str]:
    """Settings that differ, one `name: stored A, now B` each, nested names joined by a dot."""
    found = []
    for name in sorted({*stored, *wanted}):
        old, new = stored.get(name, missing), wanted.get(name, missing)
        if isinstance(old, dict) and isinstance(new, dict):
            found += differences(old, new, f"{prefix}{name}.")
        elif old != new:
            found.append(f"{prefix}{name}: stored {_short(old)}, now {_short(new)}")
    return found


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
