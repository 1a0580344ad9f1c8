"""A window of an own clip as a build would store it: the same steps from frames to maps."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from input_pipeline.core import face_frames
from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.core.clips import Clips
from input_pipeline.core.map_form import FORMS
from input_pipeline.databases.rows import ClipRecord
from input_pipeline.flow import face_film, second_phase
from input_pipeline.flow.clip_maps import ClipMaps, MapSettings, make_maps
from input_pipeline.maps import from_frames, sample
from input_pipeline.own_clips import spotting
from input_pipeline.own_clips.source import Source
from input_pipeline.own_clips.windows import Window

# Of the clips of own videos; no database has this name.
DATABASE = "own"


class Made(NamedTuple):
    """A window's maps at full resolution, the one clip of it in a layout, and how it was spotted.

    `spotted` is None where the apex was given.
    """

    maps: ClipMaps
    clips: Clips
    spotted: spotting.Spotted | None


def made(
    source: Source,
    window: Window,
    settings: MapSettings,
    layout: str,
    class_names: Sequence[str],
) -> Made:
    """Spot the apex where it is not given, and make the window's maps with a build's settings.

    Raises ClipFault where the window cannot be used.
    """
    spotted = None if window.apex is not None else spotting.spot(source, window)
    apex = window.apex if spotted is None else spotted.apex
    assert apex is not None
    record = _record(window, apex)

    def read(path: pathlib.Path) -> np.ndarray:
        return source.read(int(path.name))

    if np.array_equal(source.read(window.onset), source.read(apex)):
        raise ClipFault("no_motion", f"onset {window.onset} and apex {apex} are the same picture.")
    # The apex is known: rules for databases without one do not apply.
    settings = dataclasses.replace(settings, zero_motion="drop")
    maps = make_maps(record, settings, read)
    facts: dict[str, Any] = {
        **{"where": f"'{source.path.name}'", "dataset": DATABASE, "every_clip": True},
        **{"class_names": tuple(class_names), "provenance": settings.provenance()},
    }
    if layout == face_frames.LAYOUT:
        row = from_frames.face_row(record, maps, face_film.make(record, maps, read))
        return Made(maps, from_frames.faces_of([row], **facts), spotted)
    form, whole = FORMS[layout], maps
    if form.phases == 2:
        whole = from_frames.with_second(maps, second_phase.make(record, settings, maps, read))
    one = from_frames.sample_of(record, whole, form)
    return Made(maps, sample.to_clips([one], layout=layout, **facts), spotted)


def _record(window: Window, apex: int) -> ClipRecord:
    """The window as a reader of a database would give it; paths are the frames' numbers."""
    return ClipRecord(
        database=DATABASE,
        subject="own",
        clip="clip",
        onset=window.onset,
        apex=apex,
        offset=window.last,
        emotion="",
        label=-1,
        frames=tuple((number, pathlib.Path(str(number))) for number in window.numbers),
    )
