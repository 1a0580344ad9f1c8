"""The folder of --output: files of somebody else's that lie there are not replaced."""

import contextlib
import json
import pathlib
from collections.abc import Iterator, Sequence

from ahmsa_jax.config import ConfigError
from experiments.run.workdir import CONFIG_FILE


@contextlib.contextmanager
def called_output() -> Iterator[None]:
    """Where a command's folder is that of --output, mistakes about a run's folder say so."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(str(error).replace("--workdir", "--output")) from None


def named_folders(parts: Sequence[str] | None) -> list[pathlib.Path]:
    """The folders of a flag with commas."""
    return [pathlib.Path(part).expanduser() for part in parts or [] if part]


def chosen(
    named: str | None,
    default: pathlib.Path,
    names: Sequence[str],
    *,
    workdirs: Sequence[pathlib.Path] = (),
) -> pathlib.Path:
    """The folder of --output, or `default` without it; the one workdir of a report may be it.

    Raises ConfigError where it is another run's, or holds one of the files `names` that neither
    experiments.report, a run, nor experiments.compare wrote.
    """
    if named == "":
        raise ConfigError("--output is empty; name a folder, or leave it out.")
    output = pathlib.Path(named).expanduser() if named else default
    if [output.resolve()] == [workdir.resolve() for workdir in workdirs]:
        return output
    if (output / CONFIG_FILE).exists():
        raise ConfigError(f"--output='{output}' is a run's workdir; name a folder of its own.")
    if output.exists() and not output.is_dir():
        raise ConfigError(f"--output='{output}' is no folder; name a new or empty one.")
    taken = [name for name in names if (output / name).exists()]
    if taken and not (_holds_report(output) if workdirs else _holds_comparison(output)):
        raise ConfigError(
            f"--output='{output}' holds '{taken[0]}', which this command did not write and would "
            "replace; name a new or empty folder."
        )
    return output


def _holds_report(folder: pathlib.Path) -> bool:
    """Whether experiments.report, or a run, wrote its summary there."""
    try:
        return "config_hash" in json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def _holds_comparison(folder: pathlib.Path) -> bool:
    """Whether experiments.compare wrote its table there."""
    try:
        text = (folder / "comparison.csv").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    return text.startswith("kind,dataset,method,")
