"""Reads the .npz file that export wrote; nothing in it is executed."""

import math
import pathlib
import zipfile
from typing import Any

import numpy as np

from input_pipeline.core import face_frames, tasks
from input_pipeline.core.clips import COLUMNS, Clips, is_data_set_name
from input_pipeline.core.errors import InputError
from input_pipeline.core.map_form import FORMS, MapForm
from input_pipeline.maps import from_faces, synthetic
from input_pipeline.storage import arrays_file
from input_pipeline.storage.arrays_file import EXTRA_PREFIX, MAPS
from input_pipeline.storage.stored_clips import check_whole_hash, first_line, stored_clips

# Members of an exported file; further columns of the clips follow under EXTRA_PREFIX.
_FIRST_FACTS = ("dataset", "layout", "provenance", "content_hash")
_KEYS = tuple(name for name in COLUMNS if name not in MAPS)
ARRAY_NAMES = (*COLUMNS, *_FIRST_FACTS)
# Members that files written by earlier versions lack.
_LATER_FACTS = ("pretend", "file_hash", "whole_hash", "class_names", "every_clip")
_FACTS = (*_FIRST_FACTS, *_LATER_FACTS)
_MOST_BYTES = 4 << 30
# Of anything that is no map: a clip's entry in a column, or a text about all clips.
_MOST_BYTES_OF_ENTRY = 1 << 16


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
        raise InputError(f"{_no_export(path)} ({first_line(error)}).") from error


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
    has_faces = "frames.npy" in archive.namelist()
    wanted_names = (*_KEYS, *_FIRST_FACTS, *(face_frames.COLUMNS if has_faces else MAPS))
    missing = [name for name in wanted_names if f"{name}.npy" not in archive.namelist()]
    if missing:
        raise InputError(f"{_no_export(path)} (it lacks the arrays {', '.join(missing)}).")
    try:
        headers = arrays_file.headers(archive)
    except ValueError as error:
        raise InputError(f"{_no_export(path)} ({error}).") from error
    count = math.prod(headers["label"][0])
    shapes: dict[str, tuple[int, ...]] = _of_pictures(headers, count)
    pictures = {*shapes}
    shapes |= dict.fromkeys(_FACTS, ())
    if "class_names" in headers:
        shapes["class_names"] = (math.prod(headers["class_names"][0]),)
    kinds = {"flow": "f", "flow_whole": "f", "label": "i", "pretend": "b", "every_clip": "b"}
    kinds |= {name: np.dtype(kind).kind for name, (_, kind) in face_frames.COLUMNS.items()}
    for name, (shape, dtype) in headers.items():
        wanted = shapes.get(name, (count,))
        found = shape[:1] if name.startswith(EXTRA_PREFIX) else shape
        is_ours = name in (*COLUMNS, *face_frames.COLUMNS, *_FACTS)
        if found != wanted or (is_ours and dtype.kind != kinds.get(name, "U")):
            raise InputError(
                f"{_no_export(path)} (the array {name} is {dtype} of shape {shape}; "
                f"expected is the shape {wanted})."
            )
        entry = math.prod(shape[1:]) * dtype.itemsize
        if name not in pictures and entry > _MOST_BYTES_OF_ENTRY:
            raise InputError(
                f"{_no_export(path)} (the array {name} takes {entry} bytes for one entry; allowed "
                f"are {_MOST_BYTES_OF_ENTRY})."
            )


def _of_pictures(
    headers: dict[str, tuple[tuple[int, ...], np.dtype]], count: int
) -> dict[str, Any]:
    """The shapes that a file's pictures must have."""
    if "frames" in headers:
        return {name: (count, *shape) for name, (shape, _) in face_frames.COLUMNS.items()}
    # Which of the forms it is, the layout's name says: that is read once the sizes are known.
    maps = headers["flow"][0]
    if maps not in {(count, *form.shape) for form in FORMS.values()}:
        maps = (count, *MapForm("whole").shape)
    return dict.fromkeys(MAPS, maps)


def _clips_of(arrays: dict[str, np.ndarray], path: pathlib.Path) -> Clips:
    facts = {name: array.tolist() for name, array in arrays.items() if name in _FACTS}
    layout, dataset = facts["layout"], facts["dataset"]
    has_faces = "frames" in arrays
    known = (face_frames.LAYOUT,) if has_faces else FORMS
    if layout not in known or not is_data_set_name(dataset):
        raise InputError(
            f"{_no_export(path)} (it names the data set {dataset[:40]}/{layout[:40]})."
        )
    if not has_faces and arrays["flow"].shape[1:] != FORMS[layout].shape:
        raise InputError(
            f"{_no_export(path)} (maps of the layout {layout} are of the shape "
            f"{FORMS[layout].shape}, these of {arrays['flow'].shape[1:]})."
        )
    columns = {
        name.removeprefix(EXTRA_PREFIX): array
        for name, array in arrays.items()
        if name in COLUMNS or name in face_frames.COLUMNS or name.startswith(EXTRA_PREFIX)
    }
    if has_faces:
        columns |= dict.fromkeys(MAPS, from_faces.maps_of(columns))
    # Synthetic maps are made up, whichever version exported them.
    facts["pretend"] = facts.get("pretend", False) or dataset == synthetic.DATASET
    clips = stored_clips(columns, facts, path, _no_export(path))
    others = {name: array for name, array in arrays.items() if name != "file_hash"}
    if "file_hash" in arrays and str(arrays["file_hash"]) != arrays_file.content_hash(others):
        raise InputError(
            f"{_no_export(path)} (its maps are whole, but something beside them was changed: the "
            "hash over all arrays differs from the stored one)."
        )
    check_whole_hash(clips, facts, _no_export(path))
    return clips
