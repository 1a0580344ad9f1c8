"""Clips as one .npz file of plain arrays: its members, and writing; loader.load_arrays reads it."""

import hashlib
import io
import json
import math
import pathlib
import zipfile
from collections.abc import Mapping

import numpy as np

from input_pipeline.core import files, tasks
from input_pipeline.core.clips import Clips

# The maps; of a data set of faces its frames and flow stand in their place.
MAPS = ("flow", "flow_whole")
# Stands before the names of further columns of the clips.
EXTRA_PREFIX = "extra_"


def save_arrays(clips: Clips, path: pathlib.Path) -> None:
    """Write all clips of a data set for `loader.load_arrays`: plain arrays, no pickle.

    The same bytes each time. Raises OSError, naming the path and the bytes needed, where the disk
    does not suffice.
    """
    arrays = {
        **(clips.faces or {name: clips.columns[name] for name in MAPS}),
        **{name: column for name, column in clips.columns.items() if name not in MAPS},
        "dataset": np.array(clips.dataset),
        "layout": np.array(clips.layout),
        "provenance": np.array(json.dumps(clips.provenance, sort_keys=True)),
        "content_hash": np.array(tasks.selected(clips).content_hash()),
        "whole_hash": np.array(clips.whole_hash()),
        "pretend": np.array(clips.pretend),
        "class_names": np.array(clips.class_names),
        "every_clip": np.array(clips.every_clip),
    }
    arrays |= {EXTRA_PREFIX + name: clips.extras[name] for name in sorted(clips.extras)}
    # content_hash tells equal input to training; this one tells whether the file is as written.
    arrays["file_hash"] = np.array(content_hash(arrays))
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    files.write_whole(path, buffer.getvalue())


def holds(path: pathlib.Path, clips: Clips) -> bool:
    """Whether a file is an export of these clips, as far as its own hashes tell."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = [str(stored[name]) for name in ("content_hash", "whole_hash")]
    except (KeyError, ValueError, OSError, zipfile.BadZipFile):
        return False
    return found == [tasks.selected(clips).content_hash(), clips.whole_hash()]


def headers(archive: zipfile.ZipFile) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and type of every member, none of them read yet, by the array's name.

    Raises ValueError on Python objects, and where a header and the member's size disagree.
    """
    found = {}
    for member in archive.infolist():
        with archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError(f"array format {version}")
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            if dtype.hasobject:
                raise ValueError("it holds Python objects, which could run code")
            if math.prod(shape) * dtype.itemsize != member.file_size - file.tell():
                raise ValueError("an array is not as large as its header says")
        found[member.filename.removesuffix(".npy")] = shape, dtype
    return found


def content_hash(members: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, types, shapes and bytes of all arrays, in the order of their names."""
    digest = hashlib.sha256()
    for name, array in sorted(members.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
