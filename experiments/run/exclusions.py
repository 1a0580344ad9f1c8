"""Flags of experiments.loso's execution that exclude each other."""

from ahmsa_jax.config import ConfigError
from ahmsa_jax.networks.registry import NETWORKS
from experiments.run.flags import Values

# A month: whoever wants none gives 0.
MAX_CHECKPOINT_MINUTES = 43_200


def check(given: Values) -> None:
    """Raise ConfigError where two of them do."""
    if given.parallel == "batch" and given.folds_at_once > 1:
        raise ConfigError(
            f"--parallel=batch trains one fold at a time, --folds_at_once={given.folds_at_once} "
            "asks for several; leave one of them out."
        )
    if given.parallel == "batch" and NETWORKS[given.model].batch_coupled:
        raise ConfigError(
            f"--parallel=batch cannot be with --model={given.model}: the clips of a batch share "
            "their statistics; use --parallel=folds."
        )
    if given.parallel == "batch" and given.fused_update:
        raise ConfigError(
            "--fused_update needs a fold's whole batch on one device, --parallel=batch spreads it; "
            "leave one of them out."
        )
    for name, value in (("parallel", "batch"), ("save_weights", True)):
        if given.cluster and given[name].value == value:
            raise ConfigError(
                f"--{name} and --cluster exclude each other: a worker trains whole chunks on one "
                "device and keeps no files; leave one of them out, or use --shard."
            )
    if given.cluster and given.autotune_file is not None:
        raise ConfigError(
            "--autotune_file is for the GPUs of this machine; leave it out with --cluster."
        )
    if given.target is not None and not given.dry_run:
        raise ConfigError(
            f"--target={given.target} plans for a GPU that is elsewhere; give --dry_run too."
        )
    if given.target is not None and (given.cluster or given.parallel == "batch"):
        raise ConfigError(
            "--target plans chunks of folds on one GPU; leave out --cluster and --parallel=batch."
        )
    minutes = given.checkpoint_minutes
    if not 0 <= minutes <= MAX_CHECKPOINT_MINUTES:
        raise ConfigError(
            f"--checkpoint_minutes={minutes:g} is out of range; allowed are 0 (never) to "
            f"{MAX_CHECKPOINT_MINUTES}."
        )
