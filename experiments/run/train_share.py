"""A share of each fold's training subjects, for the learning curve over subjects."""

from collections.abc import Sequence

from absl import flags

from ahmsa_jax.config import ConfigError
from ahmsa_jax.training.protocols import Fold, SplitClips, with_fewer_subjects
from experiments.run.flags import Values

ALL = 1.0


def define_flag() -> None:
    """Define --train_share; call once, before parsing."""
    flags.DEFINE_float(
        "train_share",
        ALL,
        "Train each fold on this share of its training subjects only, drawn with --seed; 1: all.",
    )


def of_flags(given: Values) -> float:
    """The share asked for; raises ConfigError where it is none, or where seeds would share it."""
    share: float = given.train_share if "train_share" in given else ALL
    if not 0 < share <= ALL:
        raise ConfigError(
            f"--train_share={share:g} is out of range; allowed is a number above 0 and up to 1."
        )
    if share != ALL and "num_seeds" in given and given.num_seeds > 1:
        raise ConfigError(
            f"--train_share={share:g} draws its subjects with --seed, once a run; give each of the "
            f"--num_seeds={given.num_seeds} seeds a run of its own and merge them with "
            "experiments.report."
        )
    if share != ALL and "select" in given and given.select != "last":
        raise ConfigError(
            f"--train_share and --select={given.select} exclude each other; leave one of them out."
        )
    return share


def applied(share: float, folds: list[Fold], clips: SplitClips, seed: int) -> list[Fold]:
    """The folds with that share of their training subjects."""
    return folds if share == ALL else with_fewer_subjects(folds, clips, share, seed)


def remarks(share: float) -> Sequence[str]:
    """What the reports must say of it."""
    if share == ALL:
        return []
    return [f"each fold trains on {share:.0%} of its training subjects, drawn with the seed"]
