"""What a recipe can choose by name: losses, optimizers, schedules, augmentations, selections.

An entry is a function, or "module:function" of one that is loaded when it is first asked for, so
that help texts answer without JAX. Add an own one with `LOSSES["name"] = function`: it is then a
choice of the flag.
"""

import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Any

# A function or class, where to find it as "module:name", or None for nothing to do.
Entry = Callable[..., Any] | str | None
_TRAINING = "ahmsa_jax.training"

# (logits_BxK, label_B) -> loss of each clip, (B,). One that also takes log_prior_K is given the
# logarithm of each class's share of the clips being trained on.
LOSSES: dict[str, Entry] = {
    "cross_entropy": f"{_TRAINING}.losses:cross_entropy",
    "focal": f"{_TRAINING}.losses:focal",
    "logit_adjusted": f"{_TRAINING}.losses:logit_adjusted",
    "mse": f"{_TRAINING}.losses:mse",
}
# (TrainConfig) -> optax.GradientTransformation over the parameters that are trained.
OPTIMIZERS: dict[str, Entry] = {
    "adam": f"{_TRAINING}.optimizers:adam",
    "adamw": f"{_TRAINING}.optimizers:adamw",
    "adan": f"{_TRAINING}.optimizers:adan",
}
# (TrainConfig, steps of the whole training) -> share of the learning rate as a function of the
# step; None: all of it.
SCHEDULES: dict[str, Entry] = {
    "constant": f"{_TRAINING}.schedules:constant",
    "cosine": f"{_TRAINING}.schedules:cosine",
    "onecycle": f"{_TRAINING}.schedules:onecycle",
}
# (key, inputs of ONE clip by name) -> the same inputs, changed; one that also takes `training` is
# given the TrainConfig. None changes nothing: mixup is of two clips, and step.py's own.
AUGMENTATIONS: dict[str, Entry] = {
    "none": None,
    "mirror": f"{_TRAINING}.augmentations:mirror",
    "affine": f"{_TRAINING}.augmentations:affine",
    "mixup": None,
}
# What gives a fold's result, in the words of the reports: the last epoch of the settings given, or
# settings and epochs that its training subjects chose.
SELECTIONS: dict[str, str] = {"last": "last epoch", "inner": "inner selection"}


def loaded(entry: Entry) -> Any:
    """The function or class that an entry of a table is, or names as "module:name"."""
    if not isinstance(entry, str):
        return entry
    module, _, name = entry.partition(":")
    return getattr(importlib.import_module(module), name)


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether the function has a parameter of this name."""
    return name in inspect.signature(function).parameters


def given(function: Callable[..., Any], **facts: Any) -> Callable[..., Any]:
    """The function with those of the facts that it takes by name."""
    wanted = {name: value for name, value in facts.items() if takes(function, name)}
    return functools.partial(function, **wanted) if wanted else function
