"""The flags that say under which seeds something is trained."""

from absl import flags

from ahmsa_jax.config import ConfigError
from experiments.run.given import Values


def define_flags() -> None:
    """Define --seed and --num_seeds; call once, before parsing."""
    flags.DEFINE_integer("seed", 0, "First seed of parameters and batch orders.")
    flags.DEFINE_integer(
        "num_seeds", 1, "Seeds to run: seed, seed + 1, ...", lower_bound=1, upper_bound=10_000
    )


def seeds(given: Values) -> tuple[int, ...]:
    """The seeds to run; raises ConfigError where they leave 0..2^32-1."""
    first, count = given.seed, given.num_seeds
    if not 0 <= first <= 2**32 - count:
        raise ConfigError(f"--seed={first} is out of range; allowed are 0 to {2**32 - count}.")
    return tuple(range(first, first + count))
