"""The way back: flow from a clip's apex to its offset, under the onset's transform.

Letters in array names: S side of the face crop (224), C channels (u, v, strain).
"""

from typing import NamedTuple

import numpy as np

from input_pipeline.core.errors import InputError
from input_pipeline.databases import apex
from input_pipeline.databases.registry import DATABASES
from input_pipeline.databases.rows import ClipRecord
from input_pipeline.faces import detection, frames
from input_pipeline.flow import optical, strain
from input_pipeline.flow.clip_maps import ClipMaps, MapSettings, Read


class SecondPhase(NamedTuple):
    """Flow (S, S, C) float32 in pixels and pixels/pixel, the frame taken as offset, and rules."""

    flow_SxSxC: np.ndarray
    offset_frame: int
    rules: tuple[str, ...]


def make(
    record: ClipRecord, settings: MapSettings, first: ClipMaps, read: Read = frames.read_frame
) -> SecondPhase:
    """The flow from the apex that `first` took to the annotated offset.

    `read` gives the picture at a frame's path.

    It is zero, and counted, where the offset is not after the apex or holds its pixels. The result
    depends on the record's files and the settings alone. Raises ClipFault as clip_maps.make_maps.
    """
    offset = apex.nearest_frame(record, record.offset, "offset")
    if offset.number > first.quality.apex_frame:
        offset_SxS = _crop(record, first.quality.onset_frame, offset, read)
        if not np.array_equal(offset_SxS, first.apex_SxS):
            flow_SxSx2 = optical.optical_flow(first.apex_SxS, offset_SxS, settings.flow)
            u_SxS, v_SxS = flow_SxSx2[..., 0], flow_SxSx2[..., 1]
            strain_SxS = strain.optical_strain(u_SxS, v_SxS, settings.strain)
            flow_SxSxC = np.stack([u_SxS, v_SxS, strain_SxS], axis=-1).astype(np.float32)
            return SecondPhase(flow_SxSxC, offset.number, offset.rules)
    still_SxSxC = np.zeros_like(first.flow_SxSxC)
    return SecondPhase(still_SxSxC, offset.number, (*offset.rules, "second_phase_still"))


def _crop(record: ClipRecord, onset_frame: int, offset: apex.Chosen, read: Read) -> np.ndarray:
    """The aligned grey crop of the offset: the onset's face is found once more, which is quick."""
    onset_HxW = _grey(record, onset_frame, "onset", read)
    face = detection.find_face(onset_HxW)
    return detection.crop(_grey(record, offset.number, "offset", read), face)


def _grey(record: ClipRecord, number: int, role: str, read: Read = frames.read_frame) -> np.ndarray:
    return optical.usable_grey(read(dict(record.frames)[number]), role)


def check(record: ClipRecord) -> tuple[str, ...]:
    """Look at the offset without computing flow; returns the rules, raises ClipFault as `make`."""
    offset = apex.nearest_frame(record, record.offset, "offset")
    _grey(record, offset.number, "offset")
    return offset.rules


def refuse_offsets_as_apex(clips: tuple[ClipRecord, ...], smic_apex: str) -> None:
    """Raise InputError where the offset serves as apex: nothing would be left for the way back."""
    without = {c.database for c in clips if not DATABASES[c.database].has_apex}
    if without and smic_apex == "offset":
        raise InputError(
            f"--phases=2 needs an apex before the offset, and --smic_apex=offset takes the offset "
            f"as the apex of {', '.join(sorted(without))}; give --smic_apex=middle or spot."
        )
