"""Flags that exclude each other, or that the maps do not allow."""

import dataclasses

from ahmsa_jax.config import ConfigError, TrainConfig
from ahmsa_jax.inputs import mirror
from ahmsa_jax.networks.registry import NETWORKS
from experiments.run.flags import Values
from experiments.run.recipes import presets

# A month: whoever wants none gives 0.
MAX_CHECKPOINT_MINUTES = 43_200
# Numbers of ingredients, by the flag and word that switch them on.
_OF_INGREDIENT = {
    **{f"augment_{name}": ("augment", "affine") for name in ("shift", "zoom", "turn", "gain")},
    "mixup": ("augment", "mixup"),
    **{f"pretrain_{name}": ("pretrain", "synthetic") for name in ("clips", "epochs")},
}


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
    if given.select == "inner" and (given.cluster or given.save_weights):
        name = "cluster" if given.cluster else "save_weights"
        raise ConfigError(
            f"--select=inner and --{name} exclude each other: it trains many runs in the workdir, "
            "one after another; leave one of them out."
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
    check_minutes(given.checkpoint_minutes)


def check_minutes(minutes: float) -> None:
    """Raise ConfigError where --checkpoint_minutes is out of range."""
    if not 0 <= minutes <= MAX_CHECKPOINT_MINUTES:
        raise ConfigError(
            f"--checkpoint_minutes={minutes:g} is out of range; allowed are 0 (never) to "
            f"{MAX_CHECKPOINT_MINUTES}."
        )


def check_training(given: Values, layout: str, training: TrainConfig) -> None:
    """Raise ConfigError where the settings, whoever brought them, ask for what cannot be."""
    network = NETWORKS[given.model]
    if not network.sees_maps:
        _check_without_maps(given.model, training)
    if training.layer_decay != 1 and network.layers_above is None:
        raise ConfigError(
            f"--layer_decay={training.layer_decay:g} is for networks that count their layers "
            f"(hsta); --model={given.model} does not: leave it out."
        )
    asked = [f"--{name}" for name in ("test_mirror",) if getattr(training, name)]
    asked += ["--augment=mirror"] * ("mirror" in training.augment)
    if asked and mirror.refuses(layout):
        raise ConfigError(
            f"{asked[0]} cannot be with maps of the layout {layout}, in which a mirrored face is "
            f"no mirrored map; the layouts {', '.join(mirror.MIRROR_LAYOUTS)} allow it."
        )
    pretrains = training.pretrain != "none"
    if pretrains and layout != "whole":
        raise ConfigError(
            f"--pretrain={training.pretrain} makes maps of the layout whole, these are of "
            f"{layout}; give --layout=whole, or --pretrain=none."
        )
    if pretrains and "cluster" in given and given.cluster:
        raise ConfigError(
            f"--pretrain={training.pretrain} and --cluster exclude each other: the start is "
            "trained by the process that keeps it; use --shard, or --pretrain=none."
        )
    if "parallel" in given and given.parallel == "batch" and "mixup" in training.augment:
        raise ConfigError(
            "--augment=mixup mixes the clips of a whole batch, --parallel=batch spreads it over "
            "devices; leave one of them out."
        )


def check_ingredients(given: Values, training: TrainConfig) -> None:
    """Raise ConfigError where an ingredient that is off was given a number of its own.

    The usual number passes: the file of a run's flags names every setting.
    """
    usual = dataclasses.asdict(TrainConfig()) | presets(given.model, given.recipe)
    for name, (flag, word) in _OF_INGREDIENT.items():
        chosen = getattr(training, flag)
        is_on = word in chosen if isinstance(chosen, tuple) else chosen == word
        if getattr(training, name) != usual[name] and not is_on:
            raise ConfigError(
                f"--{name} is for --{flag}={word}; give that too, or leave --{name} out."
            )


def _check_without_maps(model: str, training: TrainConfig) -> None:
    """Raise ConfigError on what changes maps, which the network does not see."""
    usual = TrainConfig()
    for name in ("input_norm", "fold_std", "augment", "test_mirror"):
        if getattr(training, name) != getattr(usual, name):
            raise ConfigError(
                f"--{name} changes maps of flow; --model={model} sees frames: leave it out."
            )
