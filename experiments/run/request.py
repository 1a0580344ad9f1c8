"""A run to be made: its settings, the data set that the flags name, and its folds."""

import dataclasses
import pathlib
from typing import Any, NamedTuple

from ahmsa_jax.config import ConfigError, NetworkConfig, TrainConfig, plain
from ahmsa_jax.networks import own_recipe
from ahmsa_jax.networks.registry import NETWORKS
from ahmsa_jax.training.protocols import (
    EpochShape,
    Fold,
    epoch_shapes,
    split,
    vanished_classes,
)
from experiments.run import exclusions, inner_selection, seed_flags, train_share
from experiments.run import flags as run_flags
from experiments.run.flags import Values
from experiments.run.recipes import presets
from experiments.run.spec import Kind, RunSpec
from input_pipeline.core import data_flags, face_frames, tasks
from input_pipeline.core.clips import Clips, shuffle_labels
from input_pipeline.core.map_form import FORMS, MapForm
from input_pipeline.storage import loader


@dataclasses.dataclass(frozen=True)
class Run:
    """What the flags and the data set ask for."""

    spec: RunSpec
    clips: Clips
    network_config: NetworkConfig
    train_config: TrainConfig
    preset: list[str]  # settings that the synthetic data set brought
    folds: list[Fold]  # all folds of the data set
    requested: list[str]  # keys of the folds asked for, by --subjects
    here: list[str]  # those of them to train here, by --shard
    recipe: str | None = None  # as --recipe names it
    keeps_curve: bool = False  # whether the probabilities of every evaluated epoch are kept

    @property
    def folds_here(self) -> list[Fold]:
        """The folds to train here, in the data set's order."""
        mine = set(self.here)
        return [fold for fold in self.folds if fold.key in mine]

    def with_settings(self, network: NetworkConfig, training: TrainConfig, **of_spec: Any) -> "Run":
        """The same without inner selection, with settings that it chooses or chose."""
        chosen: dict[str, Any] = {
            "network": plain(network),
            "training": plain(training),
            "select": "last",
        }
        without: dict[str, Any] = dict.fromkeys(("select_by", "inner_folds", "candidates"))
        spec = dataclasses.replace(self.spec, **chosen, **without, **of_spec)
        return dataclasses.replace(self, spec=spec, network_config=network, train_config=training)

    def epoch_shapes(self) -> dict[str, EpochShape]:
        """The epoch shape of each fold of the data set, by its key."""
        training = self.train_config
        return epoch_shapes(self.folds, training.batch_size, drop_last=training.drop_last)

    def facts(self) -> dict[str, object]:
        """What of the data the reports need to know, stored beside the settings."""
        return {
            "folds": self.here,
            "subjects_in_data_set": len(self.folds),
            "notes": self.notes(),
            "pretend": self.clips.pretend,
        }

    def notes(self) -> list[str]:
        """Sentences that the reports must show."""
        selection = inner_selection.of_spec(self.spec)
        developed = self.recipe == own_recipe.NAME
        developed &= self.spec.dataset in own_recipe.WARNED_DATASETS
        return [
            *([own_recipe.WARNING] if developed else []),
            *inner_selection.remarks(selection, self.folds_here, self.clips),
            *train_share.remarks(self.spec.train_share),
            *notes(self.clips, self.folds_here, shuffled=self.spec.shuffled_labels),
        ]


def notes(clips: Clips, folds: list[Fold], *, shuffled: bool) -> list[str]:
    """Sentences on a control run, and on classes missing from the data or a fold's training."""
    found = []
    if shuffled:
        found.append("control run: the labels are shuffled, so these are scores at chance")
    names, label_N = clips.class_names, clips.label_N
    found += [
        f"no clip of the data set has the class {name}; UF1 and UAR count it as 0"
        for label, name in enumerate(names)
        if label not in label_N
    ]
    for fold in folds:
        found += [
            f"the fold of {fold.key} has no clip of the class {names[label]} to train on"
            for label in vanished_classes(fold, label_N, len(names))
        ]
    return found


def read_clips(given: Values) -> Clips:
    """The clips that --dataset or --arrays name, in the layout of the network asked for.

    Raises ConfigError or InputError on what cannot be.
    """
    layout = data_flags.layout(presets(given.model, given.recipe)["layout"])
    sees_frames = not NETWORKS[given.model].sees_maps
    if sees_frames and layout != face_frames.LAYOUT:
        raise ConfigError(
            f"--model={given.model} sees frames, --layout={layout} holds maps; leave --layout out, "
            f"and build the data set with python -m input_pipeline.build --faces."
        )
    if given.arrays is None:
        # A setting out of range is refused before the data set is read.
        run_flags.settings(given, given.dataset, _of_layout(layout, sees_frames=sees_frames))
    clips = clips_in(given, layout, f"--model={given.model}")
    height, width = clips.flow_NxHxWxC.shape[1:3]
    if height != width:
        raise ConfigError(f"the maps are {height}x{width} pixels; the network takes square ones.")
    return clips


def clips_in(given: Values, layout: str, asking: str) -> Clips:
    """The clips that --dataset or --arrays name, in a layout; `asking` is the flag that wants it.

    Raises ConfigError or InputError on what cannot be.
    """
    if given.arrays is not None:
        if not given.arrays:
            raise ConfigError("--arrays is empty; name a file of input_pipeline.export.")
        if given["dataset"].present:
            raise ConfigError("--arrays and --dataset exclude each other; give one of them.")
        clips = loader.load_arrays(pathlib.Path(given.arrays).expanduser(), given.classes)
        if clips.layout != layout:
            asked = "--layout" if given["layout"].present else asking
            raise ConfigError(
                f"--arrays holds maps of the layout {clips.layout}, {asked} asks for {layout}; "
                f"export the data set again in that layout{_how(layout)}"
                f"{_or_take(clips.layout, layout)}."
            )
        return clips
    size, folder = data_flags.synthetic_size(), data_flags.data_dir()
    return loader.load(given.dataset, layout, folder, size, given.classes)


def _how(layout: str) -> str:
    """How maps of a form that is not the papers' come to be."""
    if layout == face_frames.LAYOUT:
        return " (python -m input_pipeline.build --faces, then export --with_faces)"
    form = FORMS[layout]
    if form == MapForm(form.cut):
        return ""
    return f" (python -m input_pipeline.build {form.flags})"


def _or_take(held: str, wanted: str) -> str:
    """How to train on what the file holds, where the network can."""
    if wanted == face_frames.LAYOUT:
        return ""
    flags = FORMS[held].flags if held in FORMS else f"--layout={held}"
    return f", or give {flags} to train on these"


def _of_layout(layout: str, *, sees_frames: bool) -> dict[str, int]:
    """The settings that a layout decides."""
    if sees_frames:
        return {"image_size": face_frames.SIDE}
    # Methods and networks of maps see those of the whole face beside frames.
    form = FORMS.get(layout, MapForm("whole"))
    return {"image_size": form.map_size, "channels": form.channels}


def from_data(clips: Clips, model: str) -> dict[str, int]:
    """The settings of a network that the clips decide."""
    classes = {"num_classes": len(clips.class_names)}
    if not NETWORKS[model].sees_maps:
        return classes | {"image_size": face_frames.SIDE}
    _, _, image_size, channels = clips.flow_NxHxWxC.shape
    return classes | {"image_size": image_size, "channels": channels}


def read_run(given: Values, kind: Kind) -> Run:
    """Read flags and data set; raises ConfigError or InputError where either is unfit."""
    # Refused before the data set is read.
    seed_flags.seeds(given)
    return run_of(given, kind, read_clips(given))


def run_of(given: Values, kind: Kind, clips: Clips) -> Run:
    """The run of these clips that is asked for; raises ConfigError where it cannot be."""
    seeds = seed_flags.seeds(given)
    # Before labels are shuffled: the folds follow from the clips, not from --seed.
    parts = run_flags.parts(given)
    share = train_share.of_flags(given)
    folds = train_share.applied(share, split(given.split, clips, parts), clips, given.seed)
    if given.shuffle_labels:
        clips = shuffle_labels(clips, given.seed)
    network_config, train_config, preset, selection = settings_of(given, clips)
    requested = requested_folds(given, folds)
    spec = RunSpec(
        kind=kind,
        dataset=clips.dataset,
        layout=clips.layout,
        data_sha256=clips.content_hash(),
        model=given.model,
        network=plain(network_config),
        training=plain(train_config),
        seeds=seeds,
        eval_every=given.eval_every,
        subjects=None if given.subjects is None else tuple(requested),
        shard="{}/{}".format(*given.shard) if given.shard else None,
        shuffled_labels=given.shuffle_labels,
        save_weights=given.save_weights,
        folds_at_once=given.folds_at_once if kind == "jax" else 0,
        parallel=given.parallel if kind == "jax" else "folds",
        average_seeds=given.average_seeds,
        **inner_selection.stored(selection),
        task=tasks.name_to_store(clips, given.classes),
        split=given.split,
        folds=parts,
        train_share=share,
    )
    here = _of_shard(requested, given.shard)
    return Run(
        spec, clips, network_config, train_config, preset, folds, requested, here, given.recipe
    )


class Chosen(NamedTuple):
    """Settings that a run is asked for: those given, what the preset replaced, what is chosen."""

    network: NetworkConfig
    training: TrainConfig
    preset: list[str]
    selection: inner_selection.InnerSelection | None


def settings_of(given: Values, clips: Clips) -> Chosen:
    """The settings asked for on these clips; raises ConfigError on unfit ones or candidates."""
    network, training, preset = run_flags.settings(
        given, clips.dataset, from_data(clips, given.model)
    )
    selection = inner_selection.asked(given, alone=True) if "select" in given else None
    exclusions.check_training(given, clips.layout, training)
    if selection is None:
        # A candidate may switch on what the flags leave off.
        exclusions.check_ingredients(given, training)
    for line in selection.candidates if selection else ():
        candidate = inner_selection.of_network_and_training(line, network, training)[1]
        exclusions.check_training(given, clips.layout, candidate)
    return Chosen(network, training, preset, selection)


def requested_folds(given: Values, folds: list[Fold]) -> list[str]:
    """The keys that --subjects names, or all; raises ConfigError on others."""
    known = [fold.key for fold in folds]
    wanted = given.subjects
    if wanted is None:
        return known
    unknown = [key for key in wanted if key not in known]
    if unknown or not wanted:
        raise ConfigError(
            f"--subjects names '{unknown[0] if unknown else ''}', which is no subject of the data "
            f"set; its {len(known)} keys look like {', '.join(known[:3])}."
        )
    return sorted(set(wanted))


def _of_shard(requested: list[str], shard: tuple[int, int] | None) -> list[str]:
    if shard is None:
        return requested
    mine = requested[shard[0] :: shard[1]]
    if not mine:
        raise ConfigError(
            f"--shard={shard[0]}/{shard[1]} is empty: there are only {len(requested)} folds."
        )
    return mine
