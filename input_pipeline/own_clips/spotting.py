"""The apex of an own clip: the frame whose face has moved the most against the onset.

The head's own motion, the median of the flow inside the face, is taken off first: a head that
drifts would else make the last frame the apex. Farneback at 112 pixels takes some milliseconds a
frame, and the pair alone is asked for; its flow is then computed as the build does. Letters in
array names: F frames behind the onset, P pixels inside the face.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.faces import detection
from input_pipeline.flow import optical
from input_pipeline.own_clips.source import Source
from input_pipeline.own_clips.windows import Window

_SHRINK = 2
_METHOD = "farneback"


class Spotted(NamedTuple):
    """Frame numbers (F,), mean flow inside the face (F,), and the apex.

    The flow is in pixels of the crop, less its median over the face.
    """

    numbers_F: np.ndarray
    flow_px_F: np.ndarray
    apex: int


def spot(source: Source, window: Window, tell: Callable[[], object] = lambda: None) -> Spotted:
    """Compare every frame of the window with its onset; the first of equal ones is the apex.

    `tell` is called after each frame. Raises ClipFault as the build does on frames and faces, and
    no_motion where every frame holds the onset's pixels.
    """
    onset_HxW = _grey(source, window.onset, "onset")
    face = detection.find_face(onset_HxW)
    onset_SxS = detection.crop(onset_HxW, face)
    is_face_hxw = detection.face_mask(face)[::_SHRINK, ::_SHRINK]
    found = []
    for number in window.numbers[1:]:
        crop_SxS = detection.crop(_grey(source, number, "candidate"), face)
        found.append(_mean_flow(onset_SxS, crop_SxS, is_face_hxw))
        tell()
    flow_px_F = np.array(found)
    if flow_px_F.max() <= 0:
        raise ClipFault(
            "no_motion", f"all {len(found)} frames after the onset {window.onset} hold its pixels."
        )
    numbers_F = np.array(window.numbers[1:])
    return Spotted(numbers_F, flow_px_F, int(numbers_F[flow_px_F.argmax()]))


def _mean_flow(onset_SxS: np.ndarray, crop_SxS: np.ndarray, is_face_hxw: np.ndarray) -> float:
    if np.array_equal(onset_SxS, crop_SxS):
        return 0.0
    onset_hxw, crop_hxw = (optical.shrunk(crop, _SHRINK) for crop in (onset_SxS, crop_SxS))
    flow_hxwx2 = optical.optical_flow(onset_hxw, crop_hxw, _METHOD)
    inside_Px2 = flow_hxwx2[is_face_hxw]
    own_Px2 = inside_Px2 - np.median(inside_Px2, axis=0)
    return _SHRINK * float(np.hypot(own_Px2[:, 0], own_Px2[:, 1]).mean())


def _grey(source: Source, number: int, role: str) -> np.ndarray:
    return optical.usable_grey(source.read(number), role)
