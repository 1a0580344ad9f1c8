"""Which file serves as onset and which as apex of a clip, by the rules of the data set.

Every rule that was applied is named, with a key of clip_faults.RULES, so that it can be counted.
"""

import math
import pathlib
from collections.abc import Callable
from typing import NamedTuple

from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.databases import trees
from input_pipeline.databases.registry import DATABASES
from input_pipeline.databases.rows import ClipRecord

SMIC_CHOICES = ("offset", "middle", "spot")
ZERO_MOTION_CHOICES = ("spot", "drop", "keep")
# A micro-expression's apex follows its onset within this time; in a longer clip a later, larger
# movement is another expression. Seconds.
SPOT_SECONDS = 1.0
# Spotting looks at every frame of a clip up to this length, in steps at a longer one.
_SPOTTED_AT_ONCE = 100


class Chosen(NamedTuple):
    """One frame of a clip: its number, its file, and the rules that led to it."""

    number: int
    path: pathlib.Path
    rules: tuple[str, ...] = ()


def nearest_frame(record: ClipRecord, number: int, role: str) -> Chosen:
    """The frame with this number, else the nearest within 2, the lower one where two are as near.

    `role` is onset, apex or offset. Raises ClipFault as trees.near.
    """
    found = trees.near(record.frames, number, role)
    return Chosen(*found, () if found[0] == number else (f"nearest_frame_{role}",))


def wanted_apex(record: ClipRecord, smic_apex: str) -> tuple[int | None, tuple[str, ...]]:
    """The number of the apex, None where it is to be spotted, and the rules applied.

    SMIC annotates none: `smic_apex` takes the offset, the frame halfway from onset to offset
    (rounded down), or spotting. Elsewhere it is spotted outside the 3-class protocol and where
    `apex_optional`. Raises ClipFault apex_missing where it is unknown.
    """
    if record.apex is not None:
        return record.apex, ()
    known = DATABASES.get(record.database)
    if known is None or known.has_apex:
        if record.label < 0 or record.apex_optional:
            return None, ()
        raise ClipFault("apex_missing", "the clip has no apex, and its database annotates them.")
    if smic_apex == "offset":
        return record.offset, ("apex_is_offset",)
    if smic_apex == "middle":
        return (record.onset + record.offset) // 2, ("apex_is_middle",)
    return None, ()


def spot(
    record: ClipRecord,
    onset: int,
    mean_flow: Callable[[pathlib.Path], float],
    seconds: float = SPOT_SECONDS,
) -> Chosen:
    """The frame in onset..offset with the largest mean flow against the onset, the first of equals.

    `onset` is the number of the frame that serves as onset, `mean_flow` gives the mean magnitude
    for a frame's file. The search ends `seconds` after the onset. More than 100 frames are
    searched in equal steps first, then around the best of them. Raises ClipFault frame_missing
    or no_motion.
    """
    known = DATABASES.get(record.database)
    last = record.offset
    # A database of another name has no known rate, and so no limit.
    if known:
        last = min(last, onset + math.floor(seconds * known.frames_per_second))
    frames = [frame for frame in record.frames if onset < frame[0] <= last]
    if not frames:
        raise ClipFault("frame_missing", f"no frame lies between the onset {onset} and {last}.")
    rules: tuple[str, ...] = ("apex_spotted",)
    if last < record.offset:
        rules = (*rules, "spotting_capped")
    measured: dict[int, float] = {}

    def best(indices: range) -> int:
        for index in indices:
            if index not in measured:
                measured[index] = mean_flow(frames[index][1])
        return max(indices, key=lambda index: (measured[index], -index))

    step = -(-len(frames) // _SPOTTED_AT_ONCE)
    found = best(range(0, len(frames), step))
    if step > 1:
        rules = (*rules, "spotted_coarsely")
        found = best(range(max(found - step + 1, 0), min(found + step, len(frames))))
    if measured[found] <= 0:
        raise ClipFault(
            "no_motion", f"all {len(frames)} frames after the onset {onset} hold its pixels."
        )
    return Chosen(*frames[found], rules)
