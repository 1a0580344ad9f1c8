"""The full-resolution flow of a data set's clips, as its build left it in the cache.

A data set holds 28x28 maps; the flow that they were cut from stays in a folder beside it.
Letters in array names: S side of the face crop, C channels (u, v, strain).
"""

import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from input_pipeline.core.clips import Clips
from input_pipeline.core.errors import InputError
from input_pipeline.flow.cache import FOLDER, UNREADABLE, marks_in, opened

# What the data set and the cache both say of a clip; equal where one was made from the other.
_SHARED = {"flow_max": "flow_max_px", "detector_score": "detector_score"}


class KeptFlow(NamedTuple):
    """A clip's flow_SxSxC, float32 in pixels and pixels/pixel, and its onset's 68 landmarks.

    landmarks_68x2 is (x, y) in pixels of the face crop.
    """

    flow_SxSxC: np.ndarray
    landmarks_68x2: np.ndarray


def read(data_dir: pathlib.Path, clips: Clips, *, asking: str) -> Iterator[KeptFlow]:
    """The flow of each clip, in their order; `asking` is the flag that wants it.

    Raises InputError, before the first, where the build's cache lacks one of them: the data set
    was made of maps, elsewhere, or the cache was removed.
    """
    paths = _paths(data_dir / FOLDER, clips)
    missing = [key for key in clips.clip_key_N if key not in paths]
    if missing:
        raise InputError(
            f"{asking} reads the flow at full resolution that python -m input_pipeline.build keeps "
            f"in '{data_dir / FOLDER}'; it lacks that of {len(missing)} of {len(clips)} "
            f"clips of {clips.dataset}/{clips.layout}, first {missing[0]}: build the data set from "
            "its database."
        )
    return (_flow(paths[key], key) for key in clips.clip_key_N)


def _paths(folder: pathlib.Path, clips: Clips) -> dict[str, pathlib.Path]:
    """The file of each clip that was made with the data set's settings and from its frames."""
    place_of = {key: place for place, key in enumerate(clips.clip_key_N)}
    found = {}
    for path in sorted(folder.glob("*.npz")):
        try:
            marks = json.loads(marks_in(path) or "{}")
            key, settings = marks["clip"], marks["settings"]
            if "phase" in marks:
                continue
        except (KeyError, TypeError, ValueError):
            continue
        is_of_data_set = key in place_of and _is_of(settings, clips.provenance)
        if is_of_data_set and _is_alike(path, clips, place_of[key]):
            found[key] = path
    return found


def _is_of(settings: Mapping[str, str], provenance: Mapping[str, str]) -> bool:
    return bool(settings) and all(provenance.get(name) == v for name, v in settings.items())


def _is_alike(path: pathlib.Path, clips: Clips, place: int) -> bool:
    """Whether a file tells of the same clip as the data set: it may be of other frames."""
    try:
        with opened(path) as stored:
            quality = json.loads(str(stored["quality"]))
        return all(
            np.float32(quality[name]) == clips.extras[column][place]
            for column, name in _SHARED.items()
        )
    except (*UNREADABLE, TypeError):
        return False


def _flow(path: pathlib.Path, key: str) -> KeptFlow:
    try:
        with opened(path) as stored:
            return KeptFlow(stored["flow_SxSxC"], stored["landmarks_68x2"])
    except UNREADABLE as error:
        raise InputError(
            f"the kept flow of {key}, '{path}', is damaged ({error}); run the build again."
        ) from None
