"""Methods without a network on the clips and folds of a run: what a network adds to them."""

import dataclasses
import pathlib
from collections.abc import Mapping

from ahmsa_jax.config import ConfigError, plain
from ahmsa_jax.training.protocols import Fold, split
from experiments.classical_methods.folds import predict_all
from experiments.classical_methods.method import Places
from experiments.classical_methods.registry import METHODS
from experiments.files.run_files import FoldRow, Prediction
from experiments.run.chunk import Chunk, ChunkResult
from experiments.run.spec import RunSpec
from experiments.scores import paired
from experiments.scores.summary import Records
from input_pipeline.core.clips import Clips, shuffle_labels
from input_pipeline.core.errors import InputError
from input_pipeline.core.map_form import FORMS, MapForm
from input_pipeline.maps import synthetic
from input_pipeline.storage import loader

# What every run is set beside: what always answering one class gives, and the maps alone.
BESIDE = ("majority", "svm_maps")
_LAYOUT = "whole"


class NotAtHandError(Exception):
    """Why the methods cannot be set beside a run: what a sentence after its name says."""


def beside(
    runs: Mapping[str, Records], data_dir: pathlib.Path
) -> tuple[dict[str, Records], dict[str, dict[str, Records]], list[str]]:
    """Each method's results on the runs' clips; which of them belong to which run; what is missing.

    The first holds each result once, under a name of its own: runs of the same clips and folds
    share them. The second holds, for each run, its results by method; a run of a method itself
    lacks that one. The third is one sentence for every run that has none.
    """
    known: dict[tuple[str, ...], dict[str, Records]] = {}
    of_run: dict[str, dict[str, Records]] = {}
    missing = []
    for name, records in runs.items():
        try:
            clips = _clips_of(records, data_dir)
            folds = _folds_of(records, clips)
        except NotAtHandError as reason:
            missing.append(f"{name} stands without {' and '.join(BESIDE)}: {reason}")
            continue
        key = (clips.content_hash(), *(fold.key for fold in folds))
        if key not in known:
            known[key] = {method: _records(method, records, clips, folds) for method in BESIDE}
        own = records.spec.model if records.spec.kind == "classical" else None
        of_run[name] = {method: found for method, found in known[key].items() if method != own}
    first_of = {id(found): name for name in reversed(of_run) for found in of_run[name].values()}
    results = {}
    for by_method in known.values():
        for method, found in by_method.items():
            if id(found) in first_of:
                of = f" for {first_of[id(found)]}" if len(known) > 1 else ""
                results[f"{method}{of}"] = found
    return results, of_run, missing


def added(name: str, records: Records, by_method: Mapping[str, Records]) -> list[str]:
    """What a run adds to each method on the same clips, a sentence each; none on other clips."""
    sentences = []
    for method, other in by_method.items():
        if paired.difference_of_clips(records.predictions, other.predictions):
            continue
        found = paired.compare(records.predictions, other.predictions, len(records.class_names))
        low, high = found.interval
        sentences.append(
            f"{name} adds {found.uf1_difference:+.4f} UF1 to {method} on the same {found.clips} "
            f"clips (95 % interval {low:+.4f} to {high:+.4f} over {found.subjects} subjects)."
        )
    return sentences


def _clips_of(records: Records, data_dir: pathlib.Path) -> Clips:
    """The clips that a run was made of, as whole faces."""
    spec = records.spec
    sizes = synthetic.SIZES if spec.dataset == synthetic.DATASET else ("",)
    for size in sizes:
        try:
            clips = loader.load(spec.dataset, spec.layout, data_dir, size, spec.task)
        except InputError as error:
            raise NotAtHandError(str(error)) from None
        if spec.shuffled_labels:
            clips = shuffle_labels(clips, spec.seeds[0])
        if clips.content_hash() == spec.data_sha256:
            return _as_whole_faces(clips)
    where = "made here" if spec.dataset == synthetic.DATASET else f"in '{data_dir}'"
    raise NotAtHandError(
        f"the data set {spec.dataset}/{spec.layout} {where} holds other clips than the run had."
    )


def _as_whole_faces(clips: Clips) -> Clips:
    form = FORMS.get(clips.layout, MapForm(_LAYOUT))._replace(cut=_LAYOUT)
    maps = clips.flow_whole_NxHxWxC
    return dataclasses.replace(clips, layout=form.layout, flow_NxHxWxC=maps, faces={})


def _folds_of(records: Records, clips: Clips) -> list[Fold]:
    """The folds that the run finished."""
    spec = records.spec
    try:
        folds = split(spec.split, clips, spec.folds)
    except (ConfigError, KeyError):
        raise NotAtHandError(f"its split {spec.split} is not known here.") from None
    finished = {fold.fold_key for fold in records.folds if fold.status == "finished"}
    found = [fold for fold in folds if fold.key in finished]
    if len(found) < len(finished):
        raise NotAtHandError(f"it has other folds than the split {spec.split} gives here.")
    return found


def _records(name: str, records: Records, clips: Clips, folds: list[Fold]) -> Records:
    """A method's results as those of a run."""
    method = METHODS[name]
    settings = method.config()
    finished = predict_all(method, settings, clips, folds, places=Places())
    spec = RunSpec(
        kind="classical",
        dataset=clips.dataset,
        layout=clips.layout,
        data_sha256=clips.content_hash(),
        model=name,
        network=plain(settings),
        training={"epochs": 0},
        seeds=(0,),
        shuffled_labels=records.spec.shuffled_labels,
        task=records.spec.task,
        split=records.spec.split,
        folds=records.spec.folds,
    )
    rows = [_fold_row(clips, *one) for one in finished]
    return Records(
        spec=spec,
        class_names=clips.class_names,
        config_hash="",
        predictions=[row for one in finished for row in _predictions(clips, *one)],
        folds=rows,
        log=[],
        expected=[(row.seed, row.fold_key) for row in rows],
        notes=[],
        subjects_in_data_set=records.subjects_in_data_set,
        pretend=records.pretend,
        surroundings=[],
    )


def _predictions(clips: Clips, chunk: Chunk, result: ChunkResult) -> list[Prediction]:
    index_T = chunk.jobs[0].fold.test_index
    return [
        Prediction(
            seed=0,
            database=str(clips.database_N[index]),
            subject=str(clips.subject_N[index]),
            clip=str(clips.clip_N[index]),
            label=int(clips.label_N[index]),
            prediction=int(shares_K.argmax()),
            probability_K=tuple(float(share) for share in shares_K),
        )
        for index, shares_K in zip(index_T, result.probability[0], strict=True)
    ]


def _fold_row(clips: Clips, chunk: Chunk, result: ChunkResult) -> FoldRow:
    fold = chunk.jobs[0].fold
    correct = int((clips.label_N[fold.test_index] == result.probability[0].argmax(axis=1)).sum())
    counts = (fold.n_train, len(fold.test_index), correct)
    return FoldRow(0, fold.key, *counts, "finished", result.seconds)
