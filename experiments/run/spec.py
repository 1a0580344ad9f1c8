"""What a LOSO run is asked to do: the flags of experiments.loso and the data set they name."""

import dataclasses
import pathlib
from typing import Any

from absl import flags

from ahmsa_jax.config import ConfigError, TrainConfig
from experiments.run import flags as run_flags
from experiments.run.recipes import plain
from experiments.run.workdir import config_hash
from input_pipeline.core import data_flags
from input_pipeline.core.clips import CLASS_NAMES, Clips, shuffle_labels

# Side of the maps in pixels where none have been read yet.
_USUAL_SIDE = 28

# JAX and TFDS are imported where they are used: help and mistakes answer at once.


@dataclasses.dataclass(frozen=True)
class Run:
    """What the flags and the data set ask for."""

    clips: Clips
    model_config: Any  # of the network that --model names
    train_config: TrainConfig
    preset: list[str]
    folds: list[Any]  # all folds of the data set
    requested: list[str]  # subject keys to train, after --subjects and before --shard
    config: dict[str, Any]


def read_clips() -> Clips:
    """The clips that --dataset or --arrays name, in the layout of the network asked for.

    Raises ConfigError or InputError on what cannot be.
    """
    from input_pipeline.storage import loader

    values = flags.FLAGS
    layout = run_flags.layout_from_flags()
    if values.arrays is not None:
        if not values.arrays:
            raise ConfigError("--arrays is empty; name a file of input_pipeline.export.")
        if values["dataset"].present:
            raise ConfigError("--arrays and --dataset exclude each other; give one of them.")
        clips = loader.load_arrays(pathlib.Path(values.arrays).expanduser())
        if clips.layout != layout:
            asked = "--layout" if values["layout"].present else f"--model={values.model}"
            raise ConfigError(
                f"--arrays holds maps of the layout {clips.layout}, {asked} asks for {layout}; "
                "export the data set again with that layout, or give --layout="
                f"{clips.layout} to train on these."
            )
    else:
        # A setting that cannot be is said before the data set is read.
        run_flags.settings_from_flags(values.dataset, _USUAL_SIDE)
        size = data_flags.synthetic_size()
        clips = loader.load(values.dataset, layout, data_flags.data_dir(), size)
    height, width = clips.flow_NxHxWxC.shape[1:3]
    if height != width:
        raise ConfigError(f"the maps are {height}x{width} pixels; the network takes square ones.")
    return clips


def read_run(**particular: Any) -> Run:
    """Read flags and data set; raises ConfigError or InputError on what cannot be.

    `particular` settings of one command stand in the configuration beside those of all.
    """
    from ahmsa_jax.training.protocols import loso_folds

    values = flags.FLAGS
    seeds = run_flags.seeds_from_flags()
    clips = read_clips()
    if values.shuffle_labels:
        clips = shuffle_labels(clips, values.seed)
    side = clips.flow_NxHxWxC.shape[1]
    model_config, train_config, preset = run_flags.settings_from_flags(clips.dataset, side)
    folds = loso_folds(clips.subject_key_N)
    requested = requested_subjects([fold.key for fold in folds])
    shard = values.shard
    config = {
        "dataset": clips.dataset,
        "layout": clips.layout,
        "shuffled_labels": values.shuffle_labels,
        "data_sha256": clips.content_hash(),
        "model": values.model,
        "model_config": plain(model_config),
        "train_config": plain(train_config),
        "seeds": seeds,
        "eval_every": values.eval_every,
        "subjects": requested if values.subjects is not None else None,
        "shard": f"{shard[0]}/{shard[1]}" if shard else None,
        "save_weights": values.save_weights,
        **particular,
    }
    return Run(clips, model_config, train_config, preset, folds, requested, config)


def requested_subjects(known: list[str]) -> list[str]:
    """The known subject keys that --subjects names, or all; raises ConfigError on others."""
    wanted = flags.FLAGS.subjects
    if wanted is None:
        return known
    unknown = [key for key in wanted if key not in known]
    if unknown or not wanted:
        raise ConfigError(
            f"--subjects names '{unknown[0] if unknown else ''}', which is no subject of the data "
            f"set; its {len(known)} keys look like {', '.join(known[:3])}."
        )
    return sorted(set(wanted))


def subjects_here(run: Run) -> list[str]:
    """Subject keys to train here: those requested, or this shard's part of them."""
    shard = flags.FLAGS.shard
    mine = run.requested[shard[0] :: shard[1]] if shard else run.requested
    if not mine:
        raise ConfigError(
            f"--shard={shard[0]}/{shard[1]} is empty: there are only {len(run.requested)} folds."
        )
    return mine


def workdir_of(config: dict[str, Any]) -> pathlib.Path:
    """The folder that --workdir names, or the one that follows from the configuration."""
    if flags.FLAGS.workdir is not None:
        if not flags.FLAGS.workdir:
            raise ConfigError("--workdir is empty; name a folder.")
        return pathlib.Path(flags.FLAGS.workdir).expanduser()
    return pathlib.Path("runs", f"{config['dataset']}-{config['model']}-{config_hash(config)}")


def facts_of(run: Run) -> dict[str, Any]:
    """What of the data the reports need to know, stored beside the configuration."""
    return {
        "folds": subjects_here(run),
        "subjects_in_data_set": len(run.folds),
        "notes": notes(run),
        "pretend": run.clips.pretend,
    }


def notes(run: Run) -> list[str]:
    """Sentences that the reports must show: a control run, classes that vanish from training."""
    from ahmsa_jax.training.protocols import vanished_classes

    found = []
    if run.config["shuffled_labels"]:
        found.append("control run: the labels are shuffled, so these are scores at chance")
    for fold in run.folds:
        if fold.key in subjects_here(run):
            for label in vanished_classes(fold, run.clips.label_N, len(CLASS_NAMES)):
                found.append(
                    f"the fold of {fold.key} has no clip of the class "
                    f"{CLASS_NAMES[label]} to train on"
                )
    return found
