"""The five landmarks that place the face regions, from MediaPipe's face mesh on the aligned apex.

Points are x right, y down, in pixels of the face crop, left and right as seen in the image.
Letters in array names: S side of the face crop.
"""

import contextlib
import functools
import os
import sys
from collections.abc import Iterator

import numpy as np

from input_pipeline.core import extras
from input_pipeline.core.clip_faults import ClipFault

# Points of the canonical face mesh, in the order of regions.LANDMARKS. An eye's centre is midway
# between its corners. MediaPipe counts from the subject's side: its right eye is the image's left
# one. Point 4 is the foremost of the nose; point 1, often called the tip, lies on its underside.
_POINTS = ((33, 133), (362, 263), (4,), (61,), (291,))
# The alignment has levelled the eyes; what is left after it is a failed alignment.
_MOST_TILT_DEGREES = 15.0


def five_landmarks(apex: np.ndarray) -> np.ndarray:
    """Both eye centres, nose tip and mouth corners of an aligned face, 5x2 float32.

    `apex` is SxS grey or SxSx3 RGB uint8; the order is regions.LANDMARKS. Raises ClipFault
    no_face_mesh where MediaPipe finds no face, mesh_implausible where a point lies outside the
    crop, the eyes are not level or eyes, nose and mouth do not stand in their order.
    """
    image_SxSx3 = np.repeat(apex[..., None], 3, axis=2) if apex.ndim == 2 else apex
    height, width = image_SxSx3.shape[:2]
    with _quiet_stderr():
        found = _mesh().process(np.ascontiguousarray(image_SxSx3)).multi_face_landmarks
    if not found:
        raise ClipFault("no_face_mesh", "MediaPipe finds no face in the aligned apex frame.")
    # MediaPipe's unit square spans the picture's edges: a pixel's centre lies half a pixel in.
    points_Px2 = np.array([(p.x, p.y) for p in found[0].landmark]) * (width, height) - 0.5
    landmarks_5x2 = np.array([points_Px2[list(group)].mean(axis=0) for group in _POINTS])
    _check(landmarks_5x2, height, width)
    return landmarks_5x2.astype(np.float32)


def _check(landmarks_5x2: np.ndarray, height: int, width: int) -> None:
    eye_left_2, eye_right_2, nose_2, lip_left_2, lip_right_2 = landmarks_5x2
    is_inside = ((landmarks_5x2 >= 0) & (landmarks_5x2 <= (width - 1, height - 1))).all()
    in_order = (
        eye_left_2[0] < eye_right_2[0]
        and lip_left_2[0] < lip_right_2[0]
        and max(eye_left_2[1], eye_right_2[1]) < nose_2[1] < max(lip_left_2[1], lip_right_2[1])
    )
    across_2 = eye_right_2 - eye_left_2
    is_level = abs(across_2[1]) < np.tan(np.radians(_MOST_TILT_DEGREES)) * across_2[0]
    if not (is_inside and in_order and is_level):
        at = ", ".join(f"({x:.0f}, {y:.0f})" for x, y in landmarks_5x2)
        raise ClipFault(
            "mesh_implausible",
            f"eyes, nose and mouth corners lie at {at} of {width}x{height} pixels; they must lie "
            f"inside, eyes level to {_MOST_TILT_DEGREES:.0f} degrees and above the nose above the "
            "mouth, left before right.",
        )


@functools.cache
def _mesh():
    solutions = extras.library("mediapipe").solutions
    # Static: every picture on its own, so that a clip's result does not depend on the one before.
    return solutions.face_mesh.FaceMesh(
        static_image_mode=True, max_num_faces=1, refine_landmarks=False
    )


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """MediaPipe's C++ code writes notes to descriptor 2 that no setting silences."""
    sys.stderr.flush()
    kept = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)
