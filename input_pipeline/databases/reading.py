"""Reads a data set's databases as unzipped into one table of clips."""

import dataclasses
import pathlib
from collections.abc import Collection, Iterable, Sequence

from input_pipeline.core import tasks
from input_pipeline.core.errors import InputError
from input_pipeline.databases import (
    composite,
    expected_counts,
    frame_choice,
    known_defects,
    own_protocol,
    registry,
    shared_frames,
    sheet_files,
    source_folder,
    trees,
)
from input_pipeline.databases.composite import CompositeList
from input_pipeline.databases.registry import DATABASES, DATABASES_OF, STORED_DATASETS
from input_pipeline.databases.rows import FaultyClip, ReadResult, merged
from input_pipeline.databases.sheet_files import GivenSheets


def read_databases(
    dataset: str,
    raw_dir: pathlib.Path,
    annotations: Sequence[pathlib.Path] = (),
    frames: str = "raw",
) -> ReadResult:
    """All clips of the databases in key order, with every fault, correction and count.

    Clips outside the data set's protocol have the label -1; their faults never stop a build.
    `raw_dir` holds one database, or of a composite the folders of its databases. Sheets are
    found below it or named in `annotations`; the composite list is used where it is there.
    `frames` is raw, cropped, or one of them by database (frame_choice). No picture is decoded.
    Raises InputError where sheets or trees are missing or unreadable; faults of single clips are
    in the result.
    """
    if dataset not in STORED_DATASETS:
        raise InputError(f"unknown data set '{dataset}'; allowed are {', '.join(STORED_DATASETS)}.")
    # Folders may have changed since an earlier call.
    trees.forget_listings()
    frames_of = frame_choice.by_database(frames, DATABASES_OF[dataset])
    raw_dir = raw_dir.expanduser()
    raw_dirs = _raw_dirs(dataset, raw_dir)
    official, sheets_of = _sorted_annotations(dataset, annotations)
    beside: list[pathlib.Path] = []
    if raw_dirs.keys() != {dataset}:
        listed = trees.outer_folders(raw_dir, is_subject=lambda name: True)
        beside = sheet_files.sheet_files(listed)
    above = _by_database(beside, raw_dirs)
    delivered = {*raw_dir.glob("*.csv"), *raw_dir.glob("*/*.csv")}
    official = official or composite.best_list(sorted(delivered), registry.canonical_subject)
    results = []
    for name, folder in raw_dirs.items():
        given = GivenSheets(tuple(sheets_of[name]), tuple(above[name]))
        results.append(DATABASES[name].read(folder, given, frames_of[name]))
    result = merged(results)
    task = tasks.default(dataset)
    if task.column == "objective_class":
        read = [DATABASES[name] for name in raw_dirs]
        result = own_protocol.by_objective_class(result, task, read)
    elif official and set(raw_dirs) <= set(composite.DATABASES):
        result = _by_list(result, official, tuple(raw_dirs))
    result = _without_shared(result)
    result = dataclasses.replace(result, faults=known_defects.marked(result.faults, frames_of))
    deviating = list(result.deviations)
    unused = (f"annotation sheet not used: {path.name} (other columns)" for path in above[""])
    notes = [*result.notes, *unused]
    for name, folder in raw_dirs.items():
        names_of = DATABASES[name].clips_by_counts
        deviating += expected_counts.deviations(name, result, folder, names_of, task.name)
        if expected_counts.is_pretend(folder):
            notes.append(f"{name}: a PRETEND database with counts of its own")
    # Every folder above a clip's frames, links followed: wherever --raw_dir points.
    frame_files = [path for clip in result.clips for _, path in clip.frames[:1]]
    folders = {*raw_dirs.values(), *(up for path in frame_files for up in path.resolve().parents)}
    pretend = any(expected_counts.is_pretend(folder) for folder in folders)
    return dataclasses.replace(
        result, deviations=tuple(deviating), notes=tuple(notes), frames=frames_of, pretend=pretend
    )


def _raw_dirs(dataset: str, raw_dir: pathlib.Path) -> dict[str, pathlib.Path]:
    if not raw_dir.is_dir():
        raise InputError(f"the raw folder '{raw_dir}' does not exist; check --raw_dir.")
    databases = DATABASES_OF[dataset]
    if databases == (dataset,):
        return {dataset: raw_dir}
    found = {name: trees.folders_named(raw_dir, name) for name in databases}
    missing = [name for name, folders in found.items() if not folders]
    if missing:
        hint = source_folder.composite_hint(raw_dir, databases)
        raise InputError(
            f"'{raw_dir}' lacks the folder {missing[0]}; for {dataset} it must hold the folders "
            f"{', '.join(databases)}, each with one database as unzipped{hint and '; '}{hint}."
        )
    return {name: folders[0] for name, folders in found.items()}


def _sorted_annotations(
    dataset: str, annotations: Sequence[pathlib.Path]
) -> tuple[CompositeList | None, dict[str, list[pathlib.Path]]]:
    """The composite list among the files named, and the sheets of each database."""
    paths = [path.expanduser() for path in annotations]
    for path in paths:
        if not path.is_file():
            raise InputError(f"the annotation file '{path}' does not exist; check --annotations.")
    sheets = [path for path in paths if not composite.is_list(path)]
    databases = DATABASES_OF[dataset]
    sheets_of = _by_database(sheets, databases)
    if sheets_of[""]:
        path = sheets_of[""][0]
        forms = [form for name in databases for form in DATABASES[name].sheet_forms]
        fitting = [sheet_files.wanted(form) for form in forms]
        if set(databases) <= set(composite.DATABASES):
            fitting.append(f"the composite list {composite.NAME} (no header)")
        raise InputError(
            f"the annotation file '{path.name}' is no sheet of {', '.join(databases)} "
            f"({sheet_files.described(path)}); fitting would be {' or '.join(fitting)}; check "
            "--annotations."
        )
    return composite.best_list(paths, registry.canonical_subject), sheets_of


def _by_database(
    sheets: Iterable[pathlib.Path], databases: Collection[str]
) -> dict[str, list[pathlib.Path]]:
    """The sheets of each database; under "" those that fit none."""
    found: dict[str, list[pathlib.Path]] = {name: [] for name in ("", *databases)}
    for path in sheets:
        fitting = (
            name
            for name in databases
            if any(sheet_files.find(form, [path]) for form in DATABASES[name].sheet_forms)
        )
        found[next(fitting, "")].append(path)
    return found


def _by_list(result: ReadResult, official: CompositeList, databases: tuple[str, ...]) -> ReadResult:
    """The clips that the composite list names; every difference is a fault or a deviation."""
    listed = {k: v for k, v in official.label_of.items() if k.split("/")[0] in databases}
    found = result.labels()
    faulty = {fault.key for fault in result.faults if not fault.outside}
    unlisted = sorted(found.keys() - listed.keys())
    differing = []
    for key, label in sorted(listed.items()):
        if key not in faulty and found.get(key) != label:
            code, detail = "not_found", f"{official.name} names it."
            if key in found:
                detail = f"its label is {found[key]}, in {official.name} {label}."
                code = "label_conflict"
            differing.append(FaultyClip(key, code, detail, label))
    left_out = {fault.key for fault in differing}
    clips = [
        dataclasses.replace(clip, label=-1) if clip.key in unlisted else clip
        for clip in result.clips
        if clip.key not in left_out
    ]
    faults = [
        dataclasses.replace(fault, label=-1, outside=True) if fault.key in unlisted else fault
        for fault in result.faults
        if fault.key not in left_out
    ]
    outside = {"not in the composite list": len(unlisted)} if unlisted else {}
    deviations = [f"{key} is not in the composite list {official.name}." for key in unlisted]
    return dataclasses.replace(
        result,
        clips=tuple(clips),
        faults=(*faults, *differing),
        outside_protocol={**result.outside_protocol, **outside},
        deviations=(*result.deviations, *deviations),
        notes=(*result.notes, f"composite list: {official.name}"),
    )


def _without_shared(result: ReadResult) -> ReadResult:
    # A clip of the protocol is not lost to one outside it that shows the same pictures.
    twin_of = shared_frames.find(clip for clip in result.clips if clip.label >= 0)
    every = shared_frames.find(result.clips)
    twin_of |= {c.key: every[c.key] for c in result.clips if c.label < 0 and c.key in every}
    faults = []
    for clip in (clip for clip in result.clips if clip.key in twin_of):
        detail = f"the onset and apex pictures are also those of {twin_of[clip.key]}."
        outside = clip.label < 0
        faults.append(FaultyClip(clip.key, "shared_frames", detail, clip.label, outside=outside))
    return dataclasses.replace(
        result,
        clips=tuple(clip for clip in result.clips if clip.key not in twin_of),
        faults=(*result.faults, *faults),
    )
