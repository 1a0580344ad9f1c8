"""The folder of a run: claimed by one process, bound to one configuration, written atomically."""

import contextlib
import hashlib
import importlib.metadata
import json
import pathlib
import re
import stat
from collections.abc import Iterator
from typing import Any

import ahmsa_jax
from ahmsa_jax.config import ConfigError
from experiments.run.spec import config_hash, differences
from input_pipeline.core import lock_file
from input_pipeline.core.files import read_text, temporary_target, write_whole

CONFIG_FILE = "config.json"
# Of a settings or plan file: one of 100,000 folds stays below.
MOST_BYTES = 64 * 2**20
# Packages whose sources decide a run's numbers; the data set has a hash of its own.
_CODE_PACKAGES = ("ahmsa_jax", "experiments")
_LIBRARIES = ("jax", "jaxlib", "flax", "optax")
_LOCK_FILE = ".lock"
FACTS_HASH = "facts_hash"
# What is written into a run's folders: a leftover of these, and of nothing else, is removed.
_RUN_FILE = re.compile(
    r"(config|environment|plan|summary)\.json|(metrics|progress)\.jsonl|flags\.txt|summary\.md"
    r"|(predictions|folds|scores|subjects|candidates|ablation)\.csv|scores\.tex|ablation\.md"
    r"|(confusion_matrix|curves|subjects|choices|ablation)\.(png|pdf)"
    r"|model\.json|clips\.csv|model_card\.md|reliability\.(png|pdf)"
    r"|chunk-\d{4,}\.npz(\.sha256)?|[^/]+\.(safetensors|pth)"
)


def canonical_json(value: object) -> str:
    """JSON with sorted keys and an end of line, the form in which settings are stored."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def code_version() -> dict[str, str]:
    """Versions of this code and of the libraries that compute, and a hash of the sources.

    The hash is over names and bytes of all source files of ahmsa_jax and experiments.
    """
    root = pathlib.Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for package in _CODE_PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            data = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()} {len(data)}\n".encode() + data)
    libraries = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"ahmsa_jax": ahmsa_jax.__version__, "sources": digest.hexdigest()[:16]} | libraries


@contextlib.contextmanager
def claimed(workdir: pathlib.Path, config: dict[str, Any], facts: dict[str, Any]) -> Iterator[None]:
    """Hold the workdir for this process and bind it to the configuration.

    The first start stores the configuration; a later one with another is refused. `facts` are
    stored beside it without counting: what the reports need to know of the data. So is the code's
    version: it counts only where something is left to train (refuse_other_code). What a killed
    run left half written is removed.

    Raises ConfigError, leaving the folder as it was, where another process holds it, where it is no
    run's, or where the settings differ, which are then named.
    """
    if "," in str(workdir):
        raise ConfigError(
            f"--workdir='{workdir}' has a comma, which separates the workdirs of a report; choose "
            "a name without."
        )
    # Before anything is written: a refused folder stays as it is.
    refuse_unfit(workdir, config)
    workdir.mkdir(parents=True, exist_ok=True)
    try:
        with lock_file.held(workdir / _LOCK_FILE):
            # Another process may have made it its own meanwhile.
            refuse_unfit(workdir, config)
            if (workdir / CONFIG_FILE).exists():
                _sweep(workdir)
            else:
                kept = {"code": code_version(), **facts}
                hashes = {"config_hash": config_hash(config), FACTS_HASH: config_hash(kept)}
                stored = {"config": config, **hashes, **kept}
                write_whole(workdir / CONFIG_FILE, canonical_json(stored))
            yield
    except lock_file.HeldError as owner:
        raise ConfigError(
            f"the workdir '{workdir}' is in use by {owner}; wait until it ends or choose "
            "another --workdir."
        ) from None
    except lock_file.ForeignError as what:
        raise ConfigError(
            f"'{workdir / _LOCK_FILE}' is {what}, not the lock of a run; move it away or choose "
            "another --workdir."
        ) from None


def refuse_unfit(workdir: pathlib.Path, config: dict[str, Any]) -> None:
    """Raise ConfigError where the folder holds a run with other settings, or no run."""
    if (workdir / CONFIG_FILE).exists():
        stored = read_config(workdir)["config"]
        if differing := differences(stored, config):
            raise ConfigError(
                f"the workdir '{workdir}' holds a run with other settings: "
                f"{'; '.join(differing[:8])}. Give those settings or choose another --workdir."
            )
        return
    if not workdir.exists():
        return
    foreign = sorted(item.name for item in workdir.iterdir() if not item.name.startswith("."))
    if foreign:
        raise ConfigError(
            f"the workdir '{workdir}' is not empty and holds no run ('{foreign[0]}' and "
            f"{len(foreign) - 1} more); choose an empty or new folder."
        )


def _sweep(workdir: pathlib.Path) -> None:
    """Remove what a killed run left half written; the caller holds the lock."""
    for pattern in (".*", "chunks/.*", "weights/seed-*/.*"):
        for leftover in workdir.glob(pattern):
            target = temporary_target(leftover.name)
            # A link named so is somebody's, and so is a folder.
            if target and is_run_file(target) and stat.S_ISREG(leftover.lstat().st_mode):
                leftover.unlink()


def is_run_file(name: str) -> bool:
    """Whether this project writes a file of that name into a run's folders."""
    return _RUN_FILE.fullmatch(name) is not None


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
    """The stored configuration, its hash and the facts; raises ConfigError on a damaged file.

    Runs of earlier versions have no hash over their facts, which are then taken as they stand.
    """
    path = workdir / CONFIG_FILE
    try:
        stored = json.loads(read_text(path, MOST_BYTES))
        if not isinstance(stored, dict):
            raise ValueError("it holds no object")
        kept = {
            name: value
            for name, value in stored.items()
            if name not in ("config", "config_hash", FACTS_HASH)
        }
        if stored["config_hash"] != config_hash(stored["config"]):
            raise ValueError("its hash does not fit its content")
        if FACTS_HASH in stored and stored[FACTS_HASH] != config_hash(kept):
            raise ValueError(f"its {FACTS_HASH} does not fit its {', '.join(sorted(kept))}")
        if not isinstance(stored["folds"], list) or not isinstance(stored["notes"], list):
            raise ValueError("folds or notes are no lists")
        int(stored["subjects_in_data_set"])
    except FileNotFoundError:
        raise ConfigError(f"'{workdir}' is no run's workdir: it holds no {CONFIG_FILE}.") from None
    except NotADirectoryError:
        raise ConfigError(f"'{workdir}' is a file; name the folder of a run.") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"'{path}' is damaged ({error}); restore it or start again in another --workdir."
        ) from None
    return stored
