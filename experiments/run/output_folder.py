"""The folder of --output: files of somebody else's that lie there are not replaced."""

import json
import pathlib
from collections.abc import Callable, Sequence

from ahmsa_jax.config import ConfigError


def refuse_foreign(
    output: pathlib.Path, names: Sequence[str], is_own: Callable[[pathlib.Path], bool]
) -> None:
    """Raise ConfigError where `output` holds one of these files and is no earlier output.

    `is_own` tells whether a folder was written by the same command before.
    """
    if output.exists() and not output.is_dir():
        raise ConfigError(f"--output='{output}' is no folder; name a new or empty one.")
    taken = [name for name in names if (output / name).exists()]
    if taken and not is_own(output):
        raise ConfigError(
            f"--output='{output}' holds '{taken[0]}', which this command did not write and would "
            "replace; name a new or empty folder."
        )


def holds_report(folder: pathlib.Path) -> bool:
    """Whether experiments.report, or a run, wrote its summary there."""
    try:
        return "config_hash" in json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def holds_comparison(folder: pathlib.Path) -> bool:
    """Whether experiments.compare wrote its table there."""
    try:
        text = (folder / "comparison.csv").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    return text.startswith("kind,dataset,method,")
