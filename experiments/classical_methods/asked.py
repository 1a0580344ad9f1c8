"""The flags of the classical methods, and the settings that they ask for."""

import dataclasses
import pathlib
from typing import Any

from absl import flags

from ahmsa_jax.config import ConfigError, Settings
from experiments.classical_methods.folds import Candidates
from experiments.classical_methods.method import Method
from experiments.classical_methods.registry import METHODS
from experiments.run import flags as run_flags
from experiments.run import inner_selection, train_share
from experiments.run.flags import Values
from experiments.run.inner_selection import InnerSelection

# Their probabilities are no calibrated ones, so that a log-loss would measure the wrong thing.
SELECT_BY = "auc"
_MOST_SEED = 2**32 - 1


def define_flags() -> None:
    """Define the flags of experiments.classical; call once, before parsing."""
    run_flags.define_data_flags()
    run_flags.define_workdir_flags()
    run_flags.define_split_flags()
    run_flags.define_shuffle_flag()
    flags.DEFINE_integer(
        "seed",
        0,
        "Seed of --shuffle_labels and --train_share.",
        lower_bound=0,
        upper_bound=_MOST_SEED,
    )
    flags.DEFINE_enum("method", None, list(METHODS), "Method.")
    flags.DEFINE_string(
        "raw_dir", None, "The database as unzipped, for methods that read all its frames."
    )
    inner_selection.define_flags(SELECT_BY)
    train_share.define_flag()
    for method in METHODS.values():
        run_flags.define_settings(method.config)


def setting_names() -> tuple[str, ...]:
    """Every setting that is a flag, of all methods."""
    fields = (field for method in METHODS.values() for field in dataclasses.fields(method.config))
    return tuple(dict.fromkeys(field.name for field in fields))


def settings_of(method: Method, given: Values) -> Settings:
    """The method's settings; raises ConfigError on one out of range or of another method."""
    own = [field.name for field in dataclasses.fields(method.config)]
    for name in setting_names():
        if name not in own and given[name].present:
            raise ConfigError(
                f"--{name} is no setting of --method={method.name}; its own are "
                f"{', '.join(f'--{mine}' for mine in own) or 'none'}."
            )
    chosen: dict[str, Any] = {name: given[name].value for name in own if given[name].present}
    settings = method.config(**chosen)
    settings.validate()
    return settings


def raw_dir(method: Method, given: Values) -> pathlib.Path | None:
    """The folder of the database's frames, None for a method that does not read them.

    Raises ConfigError where it is missing or of no use.
    """
    if not method.reads_frames:
        if given.raw_dir is not None:
            raise ConfigError(
                f"--raw_dir is for methods that read all frames; --method={method.name} does not: "
                "leave it out."
            )
        return None
    if not given.raw_dir:
        raise ConfigError(
            f"--method={method.name} reads all frames of the database; give --raw_dir=DIR, the "
            "folder from which python -m input_pipeline.build built the data set."
        )
    return pathlib.Path(given.raw_dir).expanduser()


def candidates_of(selection: InnerSelection | None, settings: Settings) -> Candidates | None:
    """The settings that each line of --candidates stands for; raises ConfigError on a bad one."""
    if selection is None:
        return None
    each = [inner_selection.replaced(line, settings) for line in selection.candidates]
    return Candidates(selection.candidates, each, selection.select_by, selection.parts)
