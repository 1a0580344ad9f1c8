"""What a recipe can choose by name: losses, optimizers, augmentations, rules of selection.

An entry is a function, or "module:function" of one that is loaded when it is first asked for, so
that help texts answer without JAX. Add an own one with `LOSSES["name"] = function`: it is then a
choice of the flag.
"""

import importlib
from collections.abc import Callable
from typing import Any

# A function or class, where to find it as "module:name", or None for nothing to do.
Entry = Callable[..., Any] | str | None
_TRAINING = "ahmsa_jax.training"

# (logits_BxK, label_B) -> loss of each clip, (B,).
LOSSES: dict[str, Entry] = {
    "cross_entropy": f"{_TRAINING}.losses:cross_entropy",
    "focal": f"{_TRAINING}.losses:focal",
}
# (TrainConfig) -> optax.GradientTransformation over the parameters that are trained.
OPTIMIZERS: dict[str, Entry] = {
    "adam": f"{_TRAINING}.optimizers:adam",
    "adamw": f"{_TRAINING}.optimizers:adamw",
    "adan": f"{_TRAINING}.optimizers:adan",
}
# (key, inputs of ONE clip by name) -> the same inputs, changed; None changes nothing.
AUGMENTATIONS: dict[str, Entry] = {"none": None}
# Which epoch of a fold gives its result, in the words of the reports. None but the last so far.
SELECTIONS: dict[str, str] = {"last": "last epoch"}


def loaded(entry: Entry) -> Any:
    """The function or class that an entry of a table is, or names as "module:name"."""
    if not isinstance(entry, str):
        return entry
    module, _, name = entry.partition(":")
    return getattr(importlib.import_module(module), name)
