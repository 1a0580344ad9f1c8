"""Reads data sets back: from TensorFlow Datasets folders, or from an exported .npz file."""

import pathlib
from typing import Any

import numpy as np

from input_pipeline.core import face_frames, tasks
from input_pipeline.core.clips import (
    COLUMNS,
    Clips,
)
from input_pipeline.core.errors import InputError
from input_pipeline.core.map_form import FORMS, MapForm
from input_pipeline.databases.registry import DATASETS, STORED_DATASETS
from input_pipeline.maps import from_faces, synthetic
from input_pipeline.storage import tfds_folder
from input_pipeline.storage.arrays_loader import every_clip_of_arrays as every_clip_of_arrays
from input_pipeline.storage.arrays_loader import load_arrays as load_arrays
from input_pipeline.storage.stored_clips import check_whole_hash, first_line, stored_clips


def load(
    dataset: str,
    layout: str,
    data_dir: pathlib.Path,
    synthetic_size: str = "small",
    task: str | None = None,
) -> Clips:
    """The clips of a task (None: the data set's own classes) in key order.

    Raises InputError as every_clip and tasks.selected do.
    """
    if task is not None and dataset in DATASETS:
        # Before anything is read.
        tasks.named(dataset, task)
    return tasks.selected(every_clip(dataset, layout, data_dir, synthetic_size), task)


def every_clip(
    dataset: str, layout: str, data_dir: pathlib.Path, synthetic_size: str = "small"
) -> Clips:
    """All clips of a data set in key order, from data_dir, or made in memory for `synthetic`.

    Those outside its classes have the label -1. Raises InputError on an unknown name, on a data
    set that is not built yet (with the command that builds it), and on records that are damaged or
    differ from what the build stored.
    """
    own = () if dataset in DATASETS else tfds_folder.own_data_sets(data_dir)
    if dataset not in (*DATASETS, *own):
        raise InputError(f"unknown data set '{dataset}'; known are {', '.join((*DATASETS, *own))}.")
    known = (*FORMS, face_frames.LAYOUT)
    if layout not in known:
        raise InputError(f"unknown layout '{layout}'; allowed are {', '.join(known)}.")
    if dataset == synthetic.DATASET:
        return synthetic.make(layout, synthetic_size)
    path = tfds_folder.dataset_path(data_dir, dataset, layout)
    if not path.is_dir():
        raise InputError(
            f"the data set {dataset} is not built yet in the layout {layout} ('{path}' is "
            f"missing); {_how_to_build(dataset, layout, data_dir)}"
        )
    return _checked_against_build(path, dataset, layout)


def _how_to_build(dataset: str, layout: str, data_dir: pathlib.Path) -> str:
    if layout == face_frames.LAYOUT:
        if dataset not in STORED_DATASETS:
            return "it was imported from published maps, which have no frames."
        flags = f"--raw_dir=DIR --dataset={dataset} --data_dir={data_dir} --faces"
        return (
            "its frames come from the database, not from published maps; build it with: python -m "
            f"input_pipeline.build {flags}"
        )
    form = FORMS[layout]
    flags = f"--dataset={dataset} --data_dir={data_dir} {form.flags}"
    ways = []
    if dataset in STORED_DATASETS:
        ways.append(f"from the database with: python -m input_pipeline.build --raw_dir=DIR {flags}")
    # Published maps are of the plain form.
    if form == MapForm(form.cut):
        importing = f"python -m input_pipeline.import_maps --source=DIR {flags}"
        ways.append(f"from published maps with: {importing}")
    if not ways:
        return "published maps, as this data set was imported from, have no such form."
    return f"build it {', or '.join(ways)}"


def _checked_against_build(path: pathlib.Path, dataset: str, layout: str) -> Clips:
    damaged = (
        f"the data set in '{path}' is damaged or incomplete; build it again with the command "
        "that made it and --overwrite"
    )
    # Loading TFDS takes most of a second; commands that only print help never come here.
    import tensorflow_datasets as tfds

    try:
        records = list(tfds.builder_from_directory(path).as_data_source("clips"))
    # Which exception a damaged file raises depends on the byte: a dozen types are known.
    except Exception as error:
        raise InputError(f"{damaged} ({first_line(error)}).") from error
    if not records or not _stored_columns(layout) <= records[0].keys():
        raise InputError(f"{damaged} (no records, or features are missing).")
    columns = {name: _column([record[name] for record in records]) for name in records[0]}
    columns |= _maps_beside(layout, columns)
    metadata = tfds_folder.stored_metadata(path)
    # Anything but a plain no counts as the mark.
    metadata["pretend"] = metadata.get("pretend", False) is not False
    metadata |= {"dataset": dataset, "layout": layout}
    clips = stored_clips(columns, metadata, path, damaged)
    check_whole_hash(clips, metadata, damaged)
    return clips


def _stored_columns(layout: str) -> set[str]:
    """The columns that a data set of this layout holds at least."""
    if layout != face_frames.LAYOUT:
        return {*COLUMNS}
    return {*COLUMNS, *face_frames.COLUMNS} - {"flow", "flow_whole"}


def _maps_beside(layout: str, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Of a data set of faces the maps, which are made of its flow."""
    if layout != face_frames.LAYOUT:
        return {}
    return dict.fromkeys(("flow", "flow_whole"), from_faces.maps_of(columns))


def _column(values: list[Any]) -> np.ndarray:
    if isinstance(values[0], bytes):
        return np.array([value.decode("utf-8") for value in values])
    column = np.stack([np.asarray(value) for value in values])
    # A scalar float32 feature comes back as a Python float.
    return column.astype(np.float32) if column.dtype == np.float64 else column
