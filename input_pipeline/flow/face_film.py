"""The frames of a clip that networks of pictures see, all under the onset's transform.

Letters in array names: F frames, S side of the face crop.
"""

from typing import NamedTuple

import numpy as np

from input_pipeline.core.face_frames import MOST_SPAN, UNIFORM
from input_pipeline.databases import trees
from input_pipeline.databases.rows import ClipRecord
from input_pipeline.faces import detection, frames
from input_pipeline.flow import optical
from input_pipeline.flow.clip_maps import ClipMaps, Read

# What frame_numbers says where a picture stands a second time.
REPEATED = -1


class Film(NamedTuple):
    """Frames (F, S, S, 3) uint8 RGB, their numbers (F,) in the database, and rules applied."""

    frames_FxSxSx3: np.ndarray
    numbers_F: np.ndarray
    rules: tuple[str, ...]


def uniform_numbers(onset: int, offset: int) -> list[int]:
    """Six frame numbers in equal steps from the onset to the offset, or to MOST_SPAN after it.

    A clip of fewer frames names some twice; an offset before the onset counts as the onset.
    """
    last = min(max(offset, onset), onset + MOST_SPAN)
    return [round(number) for number in np.linspace(onset, last, UNIFORM).tolist()]


def chosen(record: ClipRecord, first: ClipMaps) -> tuple[list[int], list[int], tuple[str, ...]]:
    """Numbers of the eight frames on disk, the same as stored, and the rules applied.

    Six uniform ones, then the onset and the apex that the maps were made of. A missing frame is
    replaced by the nearest of the clip. Of the six, one that stands there already is stored as
    REPEATED.
    """
    wanted = uniform_numbers(first.quality.onset_frame, record.offset)
    found = [trees.nearest(record.frames, number)[0] for number in wanted]
    rules = []
    if found != wanted:
        rules.append("frames_replaced")
    stored = [REPEATED if number in found[:place] else number for place, number in enumerate(found)]
    if REPEATED in stored:
        rules.append("frames_repeated")
    special = [first.quality.onset_frame, first.quality.apex_frame]
    return found + special, stored + special, tuple(rules)


def make(record: ClipRecord, first: ClipMaps, read: Read = frames.read_frame) -> Film:
    """The eight frames in colour; raises ClipFault where one of them cannot be read.

    `read` gives the picture at a frame's path. Grey frames have three equal channels.
    """
    numbers, stored, rules = chosen(record, first)
    path_of = dict(record.frames)
    onset = read(path_of[first.quality.onset_frame])
    face = detection.find_face(optical.usable_grey(onset, "onset"))
    crop_of = {n: _coloured(detection.crop(read(path_of[n]), face)) for n in {*numbers}}
    return Film(np.stack([crop_of[n] for n in numbers]), np.array(stored, np.int64), rules)


def _coloured(crop: np.ndarray) -> np.ndarray:
    return crop if crop.ndim == 3 else np.repeat(crop[..., None], 3, axis=-1)
