"""Reads data sets back: from TensorFlow Datasets folders, or from an exported .npz file."""

import json
import math
import pathlib
import zipfile
from typing import Any

import numpy as np

from input_pipeline.core import tasks
from input_pipeline.core.clips import (
    CLASS_NAMES,
    COLUMNS,
    MOST_CLASSES,
    Clips,
    is_data_set_name,
    sorted_and_checked,
)
from input_pipeline.core.errors import InputError
from input_pipeline.core.map_form import FORMS, MapForm
from input_pipeline.databases.registry import DATASETS, STORED_DATASETS
from input_pipeline.maps import synthetic
from input_pipeline.storage import arrays_file, tfds_folder
from input_pipeline.storage.arrays_file import EXTRA_PREFIX

# Members of an exported file; further columns of the clips follow under EXTRA_PREFIX.
_FIRST_FACTS = ("dataset", "layout", "provenance", "content_hash")
ARRAY_NAMES = (*COLUMNS, *_FIRST_FACTS)
# Members that files written by earlier versions lack.
_LATER_FACTS = ("pretend", "file_hash", "whole_hash", "class_names", "every_clip")
_FACTS = (*_FIRST_FACTS, *_LATER_FACTS)
_MOST_BYTES = 4 << 30
# Of anything that is no map: a clip's entry in a column, or a text about all clips.
_MOST_BYTES_OF_ENTRY = 1 << 16


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
    if layout not in FORMS:
        raise InputError(f"unknown layout '{layout}'; allowed are {', '.join(FORMS)}.")
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
        raise InputError(f"{damaged} ({_first_line(error)}).") from error
    if not records or not COLUMNS.keys() <= records[0].keys():
        raise InputError(f"{damaged} (no records, or features are missing).")
    columns = {name: _column([record[name] for record in records]) for name in records[0]}
    metadata = tfds_folder.stored_metadata(path)
    # Anything but a plain no counts as the mark.
    metadata["pretend"] = metadata.get("pretend", False) is not False
    metadata |= {"dataset": dataset, "layout": layout}
    clips = _stored_clips(columns, metadata, path, damaged)
    _check_whole_hash(clips, metadata, damaged)
    return clips


def _first_line(error: Exception) -> str:
    line = str(error).partition("\n")[0][:200].rstrip(".")
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def _stored_clips(
    columns: dict[str, np.ndarray], facts: dict[str, Any], path: pathlib.Path, complaint: str
) -> Clips:
    """All clips of a data set or export, held against the hash of those in its classes.

    `facts` are what is stored beside the columns; earlier versions stored fewer of them.
    """
    class_names = facts.get("class_names", list(CLASS_NAMES))
    if not isinstance(class_names, list) or not 2 <= len(set(class_names)) <= MOST_CLASSES:
        raise InputError(f"{complaint} (its class names are {str(class_names)[:40]!a}).")
    clips = Clips.of_columns(
        columns,
        dataset=facts["dataset"],
        layout=facts["layout"],
        provenance=_provenance(facts.get("provenance")),
        pretend=bool(facts.get("pretend", False)),
        class_names=tuple(map(str, class_names)),
        every_clip=facts.get("every_clip") is True,
    )
    clips = sorted_and_checked(clips, where=f"'{path}'", stored=True)
    if facts.get("content_hash") != tasks.selected(clips).content_hash():
        raise InputError(f"{complaint} (its content hash differs from the stored one).")
    return clips


def _check_whole_hash(clips: Clips, facts: dict[str, Any], complaint: str) -> None:
    if "whole_hash" in facts and facts["whole_hash"] != clips.whole_hash():
        raise InputError(f"{complaint} (the hash over all its clips differs from the stored one).")


def _column(values: list[Any]) -> np.ndarray:
    if isinstance(values[0], bytes):
        return np.array([value.decode("utf-8") for value in values])
    column = np.stack([np.asarray(value) for value in values])
    # A scalar float32 feature comes back as a Python float.
    return column.astype(np.float32) if column.dtype == np.float64 else column


def load_arrays(path: pathlib.Path, task: str | None = None) -> Clips:
    """The clips of a task (None: the file's own classes) of a file that export wrote.

    Raises InputError as every_clip_of_arrays and tasks.selected do.
    """
    return tasks.selected(every_clip_of_arrays(path), task)


def every_clip_of_arrays(path: pathlib.Path) -> Clips:
    """All clips of a file that `python -m input_pipeline.export` wrote.

    Nothing in the file is executed, and no more memory is taken than it has bytes for. Raises
    InputError on any file that is not such an export or whose hashes do not match.
    """
    if not path.is_file():
        raise InputError(
            f"the file '{path}' does not exist; write it with: python -m input_pipeline.export "
            f"--dataset=NAME --output={path}"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, path)
        with np.load(path, allow_pickle=False) as arrays:
            return _clips_of(dict(arrays), path)
    except InputError:
        raise
    # A damaged archive raises dozens of types, by the byte that is wrong.
    except Exception as error:
        raise InputError(f"{_no_export(path)} ({_first_line(error)}).") from error


def _no_export(path: pathlib.Path) -> str:
    return (
        f"'{path}' is no whole file of python -m input_pipeline.export; write it again with "
        "that command"
    )


def _check_members(archive: zipfile.ZipFile, path: pathlib.Path) -> None:
    """Raise InputError on arrays that are none of an export's, by their headers alone."""
    declared = sum(member.file_size for member in archive.infolist())
    if declared > _MOST_BYTES:
        raise InputError(
            f"'{path}' declares {declared} bytes of arrays; allowed are {_MOST_BYTES}, as no "
            "data set of clips comes near that."
        )
    missing = [name for name in ARRAY_NAMES if f"{name}.npy" not in archive.namelist()]
    if missing:
        raise InputError(f"{_no_export(path)} (it lacks the arrays {', '.join(missing)}).")
    try:
        headers = arrays_file.headers(archive)
    except ValueError as error:
        raise InputError(f"{_no_export(path)} ({error}).") from error
    count = math.prod(headers["label"][0])
    # Which of the forms it is, the layout's name says: that is read once the sizes are known.
    maps = headers["flow"][0]
    if maps not in {(count, *form.shape) for form in FORMS.values()}:
        maps = (count, *MapForm("whole").shape)
    shapes: dict[str, tuple[int, ...]] = {"flow": maps, "flow_whole": maps}
    shapes |= dict.fromkeys(_FACTS, ())
    if "class_names" in headers:
        shapes["class_names"] = (math.prod(headers["class_names"][0]),)
    kinds = {"flow": "f", "flow_whole": "f", "label": "i", "pretend": "b", "every_clip": "b"}
    for name, (shape, dtype) in headers.items():
        wanted = shapes.get(name, (count,))
        found = shape[:1] if name.startswith(EXTRA_PREFIX) else shape
        is_ours = name in (*COLUMNS, *_FACTS)
        if found != wanted or (is_ours and dtype.kind != kinds.get(name, "U")):
            raise InputError(
                f"{_no_export(path)} (the array {name} is {dtype} of shape {shape}; "
                f"expected is the shape {wanted})."
            )
        entry = math.prod(shape[1:]) * dtype.itemsize
        if wanted != maps and entry > _MOST_BYTES_OF_ENTRY:
            raise InputError(
                f"{_no_export(path)} (the array {name} takes {entry} bytes for one entry; allowed "
                f"are {_MOST_BYTES_OF_ENTRY})."
            )


def _clips_of(arrays: dict[str, np.ndarray], path: pathlib.Path) -> Clips:
    facts = {name: array.tolist() for name, array in arrays.items() if name in _FACTS}
    layout, dataset = facts["layout"], facts["dataset"]
    if layout not in FORMS or not is_data_set_name(dataset):
        raise InputError(
            f"{_no_export(path)} (it names the data set {dataset[:40]}/{layout[:40]})."
        )
    if arrays["flow"].shape[1:] != FORMS[layout].shape:
        raise InputError(
            f"{_no_export(path)} (maps of the layout {layout} are of the shape "
            f"{FORMS[layout].shape}, these of {arrays['flow'].shape[1:]})."
        )
    columns = {
        name.removeprefix(EXTRA_PREFIX): array
        for name, array in arrays.items()
        if name in COLUMNS or name.startswith(EXTRA_PREFIX)
    }
    # Synthetic maps are made up, whichever version exported them.
    facts["pretend"] = facts.get("pretend", False) or dataset == synthetic.DATASET
    clips = _stored_clips(columns, facts, path, _no_export(path))
    others = {name: array for name, array in arrays.items() if name != "file_hash"}
    if "file_hash" in arrays and str(arrays["file_hash"]) != arrays_file.content_hash(others):
        raise InputError(
            f"{_no_export(path)} (its maps are whole, but something beside them was changed: the "
            "hash over all arrays differs from the stored one)."
        )
    _check_whole_hash(clips, facts, _no_export(path))
    return clips


def _provenance(stored: object) -> dict[str, str]:
    """What a file says of its origin (an export in JSON), as text that every report can hold."""
    try:
        stored = json.loads(stored) if isinstance(stored, str) else stored
    except (ValueError, RecursionError):
        return {}
    if not isinstance(stored, dict):
        return {}
    # Half of a surrogate pair can be stored in JSON and in no file of ours.
    return {
        str(name).encode(errors="replace").decode(): str(value).encode(errors="replace").decode()
        for name, value in stored.items()
    }
