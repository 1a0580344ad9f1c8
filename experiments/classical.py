"""Methods without a network, fold by fold: the rows that papers cite beside their networks.

python -m experiments.classical --dataset=megc2019 --method=svm_maps
"""

import dataclasses
import importlib.metadata
from typing import NamedTuple

from ahmsa_jax.config import ConfigError, Settings, plain
from ahmsa_jax.inputs import mirror
from ahmsa_jax.training.protocols import Fold, split
from experiments.classical_methods import asked
from experiments.classical_methods.folds import Candidates, predict_all
from experiments.classical_methods.method import Method, Places
from experiments.classical_methods.registry import METHODS
from experiments.run import environment, header, inner_selection, train_share
from experiments.run import flags as run_flags
from experiments.run.flags import Values
from experiments.run.request import clips_in, notes, requested_folds
from experiments.run.spec import RunSpec
from experiments.run.workdir import claimed
from input_pipeline.core import command, data_flags, tasks
from input_pipeline.core.clips import Clips, shuffle_labels
from input_pipeline.core.errors import InputError

LAYOUT = "whole"

# scikit-learn, JAX and TFDS are imported where they are used: help and mistakes answer at once.


class _Run(NamedTuple):
    """What the flags and the data set ask for."""

    spec: RunSpec
    method: Method
    settings: Settings
    candidates: Candidates | None
    places: Places
    clips: Clips
    folds: list[Fold]  # all folds of the data set
    here: list[Fold]  # those asked for
    remarks: list[str]


def main() -> int:
    """Read the clips, learn and predict each fold, and report."""
    given = command.values()
    run = _read(given)
    workdir = run_flags.workdir(given, run.spec)
    shown = [f"--{name}={value}" for name, value in run.spec.network.items()]
    lines = header.data_lines(run.clips, run.spec, len(run.here), len(run.folds))
    lines += [f"method: {' '.join([run.method.name, *shown])}", f"files: {workdir}"]
    print("\n".join(lines), flush=True)
    from experiments.files import run_files
    from experiments.scores import reporting

    shown_again = reporting.report_if_finished(workdir, run.spec.to_json())
    if shown_again is not None:
        return shown_again
    # All folds are predicted before anything is written.
    finished = predict_all(
        run.method,
        run.settings,
        run.clips,
        run.here,
        places=run.places,
        seed=given.seed,
        candidates=run.candidates,
    )
    facts = {
        "folds": [fold.key for fold in run.here],
        "subjects_in_data_set": len(run.folds),
        "notes": run.remarks,
        "pretend": run.clips.pretend,
    }
    with claimed(workdir, run.spec.to_json(), facts):
        surroundings = environment.describe([]) | {"devices": ["cpu"]}
        surroundings["packages"]["scikit-learn"] = importlib.metadata.version("scikit-learn")
        surroundings |= header.data_facts(run.spec, run.clips)
        flags_text = header.flagfile(dataclasses.asdict(run.settings), asked.setting_names(), given)
        header.store(workdir, surroundings, flags_text)
        run_files.write_run_files(workdir, run.clips, finished)
        return reporting.report([workdir], workdir)


def _read(given: Values) -> _Run:
    """Read flags and data set; raises ConfigError or InputError where either is unfit."""
    (name,) = command.required(method="NAME")
    method, layout = METHODS[name], data_flags.layout(LAYOUT)
    settings = asked.settings_of(method, given)
    selection = inner_selection.asked(given)
    candidates = asked.candidates_of(selection, settings)
    if method.mirrors and mirror.refuses(layout):
        raise ConfigError(
            f"--method={name} mirrors the maps, which --layout={layout} does not allow; allowed "
            f"are {', '.join(mirror.MIRROR_LAYOUTS)}."
        )
    places = Places(data_flags.data_dir(), asked.raw_dir(method, given))
    parts = run_flags.parts(given)
    clips = clips_in(given, layout, f"--method={name}")
    share = train_share.of_flags(given)
    folds = train_share.applied(share, split(given.split, clips, parts), clips, given.seed)
    if given.shuffle_labels:
        clips = shuffle_labels(clips, given.seed)
    requested = requested_folds(given, folds)
    here = [fold for fold in folds if fold.key in set(requested)]
    spec = RunSpec(
        kind="classical",
        dataset=clips.dataset,
        layout=clips.layout,
        data_sha256=clips.content_hash(),
        model=name,
        network=plain(settings),
        training={"epochs": 0},
        seeds=(given.seed,),
        subjects=None if given.subjects is None else tuple(requested),
        shuffled_labels=given.shuffle_labels,
        task=tasks.name_to_store(clips, given.classes),
        split=given.split,
        folds=parts,
        train_share=share,
        **inner_selection.stored(selection),
    )
    remarks = [*method.remarks, *inner_selection.remarks(selection, here, clips)]
    remarks += train_share.remarks(share)
    remarks += notes(clips, here, shuffled=given.shuffle_labels)
    return _Run(spec, method, settings, candidates, places, clips, folds, here, remarks)


def start() -> None:
    """Define the flags and run the command; own extensions call this after registering theirs."""
    asked.define_flags()
    command.run(
        main,
        name="experiments.classical",
        purpose="Learn and predict each fold by a method without a network, and report UF1 and UAR "
        "pooled over the folds.",
        mistakes=(InputError, ConfigError),
    )


if __name__ == "__main__":
    start()
