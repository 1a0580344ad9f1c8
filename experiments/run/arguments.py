"""The arguments of a Python call, checked and typed as a command's flags are."""

import dataclasses
import difflib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ahmsa_jax.config import ConfigError, TrainConfig
from ahmsa_jax.networks.registry import NETWORKS
from ahmsa_jax.training.protocols import K_SPLITS, SPLITS
from ahmsa_jax.training.selection import SELECT_BY
from experiments.run.given import Arguments
from experiments.run.inner_selection import INNER, LAST
from experiments.run.recipes import FROM_DATA, RECIPES

# What experiments.loso takes besides the settings of networks and training, as its flags default.
USUAL: dict[str, Any] = {
    "arrays": None,
    "autotune_file": None,
    "average_seeds": False,
    "candidates": None,
    "checkpoint_minutes": 5.0,
    "classes": None,
    "cluster": None,
    "compile_cache": None,
    "dataset": "synthetic",
    "dry_run": False,
    "eval_every": 0,
    "folds": None,
    "folds_at_once": 0,
    "inner_folds": 5,
    "model": "ahmsa",
    "num_seeds": 1,
    "parallel": "folds",
    "recipe": None,
    "save_weights": False,
    "seed": 0,
    "select": "last",
    "select_by": "logloss",
    "shard": None,
    "shuffle_labels": False,
    "split": "loso",
    "subjects": None,
    "target": None,
    "tensorboard": False,
    "train_share": 1.0,
    "workdir": None,
}
# Types of those that are None by default.
_KIND_OF: dict[str, type] = {"folds": int}
# Words that a flag's own list would check; own networks and splits join theirs.
_WORDS: dict[str, Sequence[Iterable[str]]] = {
    "model": (NETWORKS,),
    "parallel": (("folds", "batch"),),
    "recipe": (RECIPES,),
    "select": ((LAST, INNER),),
    "select_by": (SELECT_BY,),
    "split": (SPLITS, K_SPLITS),
}


def of_call(given: Mapping[str, Any]) -> Arguments:
    """What was given, by the names of the flags; raises ConfigError on a name or type of none.

    Numbers and sequences become of the settings' own types, so that 1 and 1.0 are one run.
    """
    settings: dict[str, Any] = {}
    for config in (*(network.config for network in NETWORKS.values()), TrainConfig):
        for field in dataclasses.fields(config):
            if field.name not in FROM_DATA:
                # As with the flags, the first network's default is the one shown.
                settings.setdefault(field.name, field.default)
    usual = settings | USUAL
    if isinstance(given.get("subjects"), str):
        raise ConfigError(
            f"subjects={given['subjects']!r:.40} is str; needed is a list of subjects' keys."
        )
    for name in given:
        if name not in usual:
            near = difflib.get_close_matches(name, usual, n=3)
            raise ConfigError(
                f"{name}={given[name]!r:.40} is no argument; allowed are the names of "
                "experiments.loso's flags" + (f", such as {', '.join(near)}." if near else ".")
            )
    return Arguments(usual, {name: _typed(name, given[name], usual[name]) for name in given})


def _typed(name: str, value: Any, usual: Any) -> Any:
    """The value in the type of the usual one; raises ConfigError where it has none."""
    words = list(itertools.chain(*_WORDS.get(name, ())))
    if words and value != usual and value not in words:
        raise ConfigError(f"{name}={value!r:.40} is not known; allowed are {', '.join(words)}.")
    if usual is None and (value is None or name not in _KIND_OF):
        return value
    kind = _KIND_OF.get(name, type(usual))
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is tuple and isinstance(value, Iterable):
        # A single word may stand for a sequence of one.
        found = (value,) if isinstance(value, str) else tuple(value)
        return tuple(_typed(name, one, usual[0]) for one in found) if usual else found
    if type(value) is kind:
        return value
    if kind is float and is_number:
        return float(value)
    if kind is int and is_number and float(value).is_integer():
        return int(value)
    raise ConfigError(f"{name}={value!r:.40} is {type(value).__name__}; needed is {kind.__name__}.")
