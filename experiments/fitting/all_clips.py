"""The run that trains on every clip of a data set: one fold that holds nothing out."""

import numpy as np

from ahmsa_jax.config import plain
from ahmsa_jax.training.protocols import Fold
from experiments.run import exclusions, inner_selection, seed_flags
from experiments.run.flags import Values
from experiments.run.request import Run, settings_of
from experiments.run.spec import ALL_CLIPS, RunSpec
from input_pipeline.core import tasks
from input_pipeline.core.clips import Clips, shuffle_labels


def run_of(given: Values, clips: Clips) -> Run:
    """What is asked for, on these clips; raises ConfigError where it cannot be.

    The fold's held-out clips are those trained on: what is predicted of them is no result.
    """
    seeds = seed_flags.seeds(given)
    exclusions.check_minutes(given.checkpoint_minutes)
    if given.shuffle_labels:
        clips = shuffle_labels(clips, given.seed)
    network_config, train_config, preset, selection = settings_of(given, clips)
    everyone_N = np.ones(len(clips), bool)
    fold = Fold(ALL_CLIPS, train_N=everyone_N, test_index=np.arange(len(clips)))
    spec = RunSpec(
        kind="jax",
        dataset=clips.dataset,
        layout=clips.layout,
        data_sha256=clips.content_hash(),
        model=given.model,
        network=plain(network_config),
        training=plain(train_config),
        seeds=seeds,
        shuffled_labels=given.shuffle_labels,
        save_weights=selection is None,
        **inner_selection.stored(selection),
        task=tasks.name_to_store(clips, given.classes),
        split=ALL_CLIPS,
    )
    only = [ALL_CLIPS]
    return Run(spec, clips, network_config, train_config, preset, [fold], only, only, given.recipe)
