"""Writes clips as one .npz file of plain arrays; loader.load_arrays reads it back."""

import io
import json
import pathlib

import numpy as np

from input_pipeline.core import files, tasks
from input_pipeline.core.clips import Clips
from input_pipeline.storage import loader, npz_members


def save_arrays(clips: Clips, path: pathlib.Path) -> None:
    """Write all clips of a data set for `loader.load_arrays`: plain arrays, no pickle.

    The same bytes each time. Raises OSError, naming the path and the bytes needed, where the disk
    does not suffice.
    """
    arrays = {
        **clips.columns,
        "dataset": np.array(clips.dataset),
        "layout": np.array(clips.layout),
        "provenance": np.array(json.dumps(clips.provenance, sort_keys=True)),
        "content_hash": np.array(tasks.selected(clips).content_hash()),
        "whole_hash": np.array(clips.whole_hash()),
        "pretend": np.array(clips.pretend),
        "class_names": np.array(clips.class_names),
        "every_clip": np.array(clips.every_clip),
    }
    for name in sorted(clips.extras):
        arrays[loader.EXTRA_PREFIX + name] = clips.extras[name]
    # content_hash tells equal input to training; this one tells whether the file is as written.
    arrays["file_hash"] = np.array(npz_members.content_hash(arrays))
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    files.write_whole(path, buffer.getvalue())
