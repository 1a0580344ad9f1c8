"""How large the measured problems are: the paper's setting, or a rehearsal's."""

import dataclasses
import math

from ahmsa_jax.networks.ahmsa import ModelConfig
from ahmsa_jax.networks.htnet import HTNetConfig


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Networks, batches and runs of all parts."""

    network: ModelConfig
    htnet: HTNetConfig
    batch_size: int
    folds: int  # at once, where no run chooses them itself
    steps: int  # of a round and fold, even
    rounds: int
    epochs: int
    # Of the run that is stopped and resumed.
    checkpoint_epochs: int
    checkpoint_folds: int
    # What a run is cut into, so that each part fits a call.
    shards: int
    data: str  # size of the synthetic data that stand in for the composite
    casme3_data: str
    subjects: int | None = None  # folds of a run; None: all
    part_seconds: float = math.inf  # no part takes longer
    # Where compiled programs are kept between parts, as --compile_cache; None: as usual.
    programs: str | None = "off"


PAPER = Sizes(
    network=ModelConfig(),
    htnet=HTNetConfig(),
    batch_size=256,
    folds=34,
    steps=20,
    rounds=5,
    epochs=800,
    checkpoint_epochs=400,
    checkpoint_folds=4,
    shards=2,
    data="composite",
    casme3_data="casme3",
)
REHEARSAL = Sizes(
    # One level compiles faster than three; HTNet's are fixed.
    network=ModelConfig(base_dim=12, blocks=(0,), reduction=4, patch_size=14),
    htnet=HTNetConfig(base_dim=12, blocks=(0, 0, 0)),
    batch_size=16,
    folds=2,
    steps=2,
    rounds=2,
    epochs=2,
    checkpoint_epochs=2,
    checkpoint_folds=2,
    shards=1,
    data="small",
    casme3_data="small",
    subjects=2,
    part_seconds=30,
    programs=None,
)
