"""Evaluates weights that were trained elsewhere, each fold on its own held-out clips.

python -m experiments.evaluate --model=ststnet --weights_dir=DIR --dataset=megc2019
"""

import pathlib

from absl import flags

from ahmsa_jax.config import ConfigError, plain
from ahmsa_jax.training.protocols import split
from experiments.run import environment, header, jax_settings
from experiments.run import flags as run_flags
from experiments.run.request import from_data, read_clips, requested_folds
from experiments.run.spec import RunSpec
from experiments.run.workdir import canonical_json, claimed
from input_pipeline.core import command, tasks
from input_pipeline.core.errors import InputError
from input_pipeline.core.files import write_whole

# JAX, PyTorch and TFDS are imported where they are used: help and mistakes answer at once.


def main() -> int:
    """Read weights and clips, predict, and report."""
    given = command.values()
    (weights_dir,) = command.required(weights_dir="DIR")
    clips = read_clips(given)
    network_config, _, _ = run_flags.settings(given, clips.dataset, from_data(clips, given.model))
    devices = jax_settings.local_devices(given.compile_cache)
    from experiments.files import given_weights, run_files
    from experiments.schedule import prediction
    from experiments.scores import reporting

    parts = run_flags.parts(given)
    folds = split(given.split, clips, parts)
    requested = requested_folds(given, folds)
    folder = pathlib.Path(weights_dir).expanduser()
    known = [fold.key for fold in folds]
    data_sha256 = clips.content_hash()
    origin = given_weights.Wanted(given.split, parts, clips.class_names, data_sha256)
    weights = given_weights.find(folder, given.model, network_config, requested, known, origin)
    spec = RunSpec(
        kind="given",
        dataset=clips.dataset,
        layout=clips.layout,
        data_sha256=data_sha256,
        model=given.model,
        network=plain(network_config),
        training={"epochs": 0},
        seeds=tuple(weights.seeds),
        subjects=None if given.subjects is None else tuple(requested),
        weights_sha256=weights.sha256(),
        task=tasks.name_to_store(clips, given.classes),
        split=given.split,
        folds=parts,
    )
    workdir = run_flags.workdir(given, spec)
    shown_again = reporting.report_if_finished(workdir, spec.to_json())
    if shown_again is not None:
        return shown_again
    # All files are read and predicted with before anything is written.
    wanted = set(requested)
    folds_here = [fold for fold in folds if fold.key in wanted]
    finished = prediction.predict_all(clips, folds_here, weights)
    facts = {
        "folds": requested,
        "subjects_in_data_set": len(folds),
        "notes": weights.notes(spec.data_sha256),
        "pretend": clips.pretend,
    }
    with claimed(workdir, spec.to_json(), facts):
        surroundings = environment.describe(devices) | header.data_facts(spec, clips)
        write_whole(workdir / environment.FILE, canonical_json(surroundings))
        run_files.write_run_files(workdir, clips, finished)
        return reporting.report([workdir], workdir)


def start() -> None:
    """Define the flags and run the command; own extensions call this after registering theirs."""
    run_flags.define_data_flags()
    run_flags.define_model_flags()
    run_flags.define_workdir_flags()
    run_flags.define_split_flags()
    run_flags.define_compile_cache_flag()
    flags.DEFINE_string(
        "weights_dir",
        None,
        "Folder with one file per held-out subject, or per fold of another --split (kfold_0.pth): "
        "PyTorch state dicts named as published (006.pth), or what --save_weights and "
        "experiments.convert_weights write.",
    )
    command.run(
        main,
        name="experiments.evaluate",
        purpose="Evaluate given weights, one file per held-out subject or fold, each on the clips "
        "held out there.",
        mistakes=(InputError, ConfigError),
    )


if __name__ == "__main__":
    start()
