"""How each network is timed: without noise, at which sizes, and on what precisions are compared."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ahmsa_jax.networks.registry import NETWORKS


@dataclasses.dataclass(frozen=True)
class Timed:
    """What the benchmark sets of a network's settings."""

    # PyTorch draws other noise, and the first losses have to agree.
    still: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    quick: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # with --quick
    # Of the small LOSO in each precision: enough for a minute on a CPU, and for scores well above
    # chance. None: the synthetic data set has nothing that the network sees.
    compared: Mapping[str, Any] | None = None
    batch_size: int = 256  # where no flag names one


_LEVELS = {"base_dim": 24, "blocks": (1, 1, 1)}
# By the name after --model.
TIMED: dict[str, Timed] = {
    "ahmsa": Timed(quick={"blocks": (0, 0, 0), "reduction": 4}, compared=_LEVELS),
    "htnet": Timed(quick={"blocks": (0, 0, 0)}, compared=_LEVELS),
    "ststnet": Timed(still={"dropout": 0.0}, compared={}),
    "small": Timed(still={"dropout": 0.0, "input_dropout": 0.0}, compared={"base_dim": 24}),
    # Batches of the papers.
    "hsta": Timed(
        still={"dropout": 0.0, "drop_path": 0.0},
        quick={"size": "tiny", "depths": (1, 1), "modules": 1},
        batch_size=32,
    ),
    "mfdan": Timed(
        # The magnification is computed all the same, at the strength outside training.
        still={"dropkey": 0.0, "flow_dropout": 0.0, "magnify_low": 3.0, "magnify_high": 3.0},
        quick={"size": "tiny"},
        batch_size=16,
    ),
}


def has_setting(model: str, name: str) -> bool:
    """Whether the network has a setting of this name."""
    return name in {field.name for field in dataclasses.fields(NETWORKS[model].config)}
