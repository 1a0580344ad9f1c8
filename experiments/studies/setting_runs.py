"""The settings of a study as runs: each is what experiments.loso would train with its flags."""

import contextlib
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from absl import flags

from ahmsa_jax.config import ConfigError
from experiments.run import request
from experiments.run.flags import Values
from experiments.run.request import Run
from experiments.run.spec import config_hash
from experiments.studies.study import STUDIES, Setting, Study

# Flags of experiments.loso that a study has no use for, with what to do instead.
_REFUSED = {
    "shard": "give some of the settings to each machine (--settings), or run one setting's "
    "flags.txt with experiments.loso",
    "cluster": "run one setting's flags.txt with experiments.loso --cluster",
    "candidates": "a study compares settings that are given, not chosen",
}
# Of a study, unless --num_seeds says otherwise.
SEEDS = 3
_MODEL = "ahmsa"
# What absl keeps of a flag's value.
_STATE = ("value", "present", "using_default_value")


class SettingRun(NamedTuple):
    """A setting and the run that it makes."""

    setting: Setting
    run: Run


def define_flags() -> None:
    """Define the flags of a study alone; call once, before parsing."""
    flags.DEFINE_enum("study", None, list(STUDIES), "What is varied from run to run.")
    flags.DEFINE_list(
        "settings",
        None,
        "Only these settings of the study: their names, such as 1-1-8,2-2-8; by default all.",
    )


def check(given: Values, study: Study) -> None:
    """Raise ConfigError where a flag is given that the study varies or has no use for."""
    for name in study.varied:
        if given[name].present:
            raise ConfigError(
                f"--{name} is what --study={study.name} varies; leave it out, or name some of the "
                f"study's settings with --settings={study.settings[0].name}."
            )
    if given.model != _MODEL:
        raise ConfigError(
            f"--model={given.model}: the studies are of --model={_MODEL}; leave it out."
        )
    if given.select != "last":
        raise ConfigError(
            f"--select={given.select} chooses settings, a study compares them; leave it out."
        )
    for name, advice in _REFUSED.items():
        if given[name].value:
            raise ConfigError(f"--{name} is not for a study: {advice}.")


@contextlib.contextmanager
def flags_of(given: Values, setting: Setting) -> Iterator[Values]:
    """The flags as experiments.loso's command line would have them for a setting; then as before.

    What is stored with the setting's run (flags.txt) repeats it alone.
    """
    names = (*setting.flags, "study", "settings")
    kept = {name: [getattr(given[name], what) for what in _STATE] for name in names}
    try:
        for name in ("study", "settings"):
            given[name].value = None
        for name, text in setting.flags.items():
            given[name].parse(text)
            given[name].present = 1
        yield given
    finally:
        for name, state in kept.items():
            for what, value in zip(_STATE, state, strict=True):
                setattr(given[name], what, value)


def read(given: Values, settings: Sequence[Setting]) -> list[SettingRun]:
    """The run of each setting; raises ConfigError or InputError before anything is trained."""
    found = []
    for setting in settings:
        with flags_of(given, setting):
            found.append(SettingRun(setting, request.read_run(given, "jax")))
    return found


def shared_config(study: Study, runs: Sequence[SettingRun]) -> dict[str, Any]:
    """What a study's folder is bound to: the study, and what all its settings have in common.

    Which of the settings are run is left out, so that others can be added in the same folder.
    """
    first, *others = (one.run.spec.to_json() for one in runs)
    for other in others:
        first = _in_common(first, other)
    return {"study": study.name, "run": first}


def _in_common(first: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in first.keys() & other.keys():
        if isinstance(first[name], dict) and isinstance(other[name], dict):
            found[name] = _in_common(first[name], other[name])
        elif first[name] == other[name]:
            found[name] = first[name]
    return found


def workdir(given: Values, study: Study, config: Mapping[str, Any]) -> pathlib.Path:
    """The folder that --workdir names, or the one that follows from the settings."""
    if given.workdir is None:
        dataset = config["run"]["dataset"]
        return pathlib.Path("runs", f"{dataset}-{study.name}-{config_hash(config)}")
    if not given.workdir:
        raise ConfigError("--workdir is empty; name a folder.")
    return pathlib.Path(given.workdir).expanduser()
