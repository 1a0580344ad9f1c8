"""The clips of a database from what its build cached: maps in a form, or the frames themselves."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from input_pipeline.core import face_frames
from input_pipeline.core.clips import MAP_SIZE, Clips, sorted_and_checked
from input_pipeline.core.errors import InputError
from input_pipeline.core.map_form import MapForm
from input_pipeline.databases.rows import ClipRecord
from input_pipeline.flow import normalisations
from input_pipeline.flow.cache import MapCache
from input_pipeline.flow.clip_maps import ClipMaps
from input_pipeline.flow.face_film import Film
from input_pipeline.flow.second_phase import SecondPhase
from input_pipeline.maps import from_faces
from input_pipeline.maps.sample import MapSample, to_clips


def cached(cache: MapCache, record: ClipRecord, phases: int) -> ClipMaps:
    """A clip's maps as the build stored them, the flow of a second phase behind the first.

    Raises InputError where the cache lost them.
    """
    found = cache.load(record)
    if found is not None and phases == 2:
        second = cache.load_second(record)
        found = None if second is None else with_second(found, second)
    if found is None:
        raise _gone(record)
    return found


def with_second(first: ClipMaps, second: SecondPhase) -> ClipMaps:
    """The maps with the way back's flow behind their own."""
    both = np.concatenate([first.flow_SxSxC, second.flow_SxSxC], -1)
    return dataclasses.replace(first, flow_SxSxC=both)


def _gone(record: ClipRecord) -> InputError:
    return InputError(
        f"the stored maps of {record.key} are gone or damaged; run the same command again."
    )


def in_form(
    records: Sequence[ClipRecord], cache: MapCache, form: MapForm, *, where: str, **facts: Any
) -> Clips:
    """The clips' maps in a form; `facts` are further fields of Clips, `where` names their origin.

    Normalised over the whole face, so that regions keep their size to each other.
    """

    def sample(record: ClipRecord) -> MapSample:
        return sample_of(record, cached(cache, record, form.phases), form)

    return to_clips(map(sample, records), where=where, layout=form.layout, **facts)


def sample_of(record: ClipRecord, maps: ClipMaps, form: MapForm) -> MapSample:
    """A clip's whole face, normalised as the form says; `maps` has all phases' flow."""
    return MapSample(
        database=record.database,
        subject=record.subject,
        clip=record.clip,
        label=record.label,
        map_HxWxC=normalisations.RULES[form.normalise](maps.flow_SxSxC),
        landmarks_5x2=maps.landmarks_5x2,
        extras=_extras(record, maps),
    )


def _extras(record: ClipRecord, maps: ClipMaps) -> dict[str, Any]:
    return {
        "emotion": record.emotion,
        "label7": record.label7,
        "objective_class": record.objective_class,
        "flow_max": np.float32(maps.quality.flow_max_px),
        "detector_score": np.float32(maps.quality.detector_score),
    }


def as_faces(records: Sequence[ClipRecord], cache: MapCache, *, where: str, **facts: Any) -> Clips:
    """The clips with frames and flow as a data set of faces holds them; arguments as `in_form`."""
    rows: list[dict[str, Any]] = []
    for record in records:
        maps, film = cached(cache, record, 1), cache.load_film(record)
        if film is None:
            raise _gone(record)
        rows.append(face_row(record, maps, film))
    return faces_of(rows, where=where, **facts)


def face_row(record: ClipRecord, maps: ClipMaps, film: Film) -> dict[str, Any]:
    """A clip of a data set of faces: each column's value."""
    landmarks_5x2 = maps.landmarks_5x2 * (MAP_SIZE / face_frames.SIDE)
    return {
        "frames": film.frames_FxSxSx3,
        "frame_numbers": film.numbers_F,
        "flow_px": maps.flow_SxSxC.astype(np.float16),
        "label": record.label,
        "database": record.database,
        "subject": record.subject,
        "clip": record.clip,
        "landmarks": landmarks_5x2.astype(np.float32),
        **_extras(record, maps),
    }


def faces_of(rows: Sequence[dict[str, Any]], *, where: str, **facts: Any) -> Clips:
    """The clips of a data set of faces from their rows; arguments as `in_form`."""
    columns = {name: np.stack([np.asarray(row[name]) for row in rows]) for name in rows[0]}
    columns |= dict.fromkeys(("flow", "flow_whole"), from_faces.maps_of(columns))
    clips = Clips.of_columns(columns, layout=face_frames.LAYOUT, **facts)
    return sorted_and_checked(clips, where=where, stored=clips.every_clip)
