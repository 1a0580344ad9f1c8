"""Finds the subject's face in the onset frame and says how to cut it out of every frame alike.

dlib's frontal detector and 68 landmarks; the crop is turned so that the eyes are level. Points
are x right, y down, left and right as seen in the image. Letters in array names: H rows,
W columns, S side of the face crop.
"""

import dataclasses
import functools
import hashlib
import pathlib
from typing import NamedTuple

import numpy as np

from input_pipeline.core import extras
from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.core.errors import InputError
from input_pipeline.faces.frames import grey

FACE_SIZE = 224
# The crop's side relative to the landmarks' extent, and how much of the spare height lies above
# the brows: so the eyes come to about 0.3 and the mouth to 0.65 of the height and the chin stays
# inside. The published maps' faces, squeezed to a square, have 0.31 and 0.73.
_CROP_SHARE, _SPARE_ABOVE = 1.2, 0.9
# A crop may reach this share of its side beyond the frame's border.
_MOST_BEYOND = 0.1
_LEAST_SIDE, _LEAST_EYE_DISTANCE = 64, 24.0
_WEAK_SHARE, _CLEARLY_LARGER = 0.25, 2.0
_MOST_ROLL_DEGREES = 35.0
# Doubling a larger frame would cost more memory than a worker has.
_MOST_DOUBLED_PIXELS = 1280 * 1024
_EYE_LEFT, _EYE_RIGHT, _EYES = slice(36, 42), slice(42, 48), slice(36, 48)
_MOUTH, _INNER = slice(48, 68), slice(17, 68)

LANDMARK_MODEL = "shape_predictor_68_face_landmarks.dat"
LANDMARK_MODEL_SHA256 = "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f"


class Detection(NamedTuple):
    """The detector's box (left, top, right, bottom), its score, and the rules applied."""

    box_4: np.ndarray
    score: float
    rules: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Face:
    """A face found in a frame, and the transform that brings its crop to FACE_SIZE pixels.

    landmarks_68x2 is in pixels of the frame; transform_2x3 takes frame points (x, y, 1) to face
    points; `score` is the detector's; `rules` names what was decided on the way.
    """

    landmarks_68x2: np.ndarray
    transform_2x3: np.ndarray
    frame_size: tuple[int, int]
    score: float
    rules: tuple[str, ...] = ()

    def to_face(self, points_Px2: np.ndarray) -> np.ndarray:
        """Points of the frame in pixels of the face crop, Px2 float64."""
        points_Px2 = np.asarray(points_Px2, np.float64)
        return points_Px2 @ self.transform_2x3[:, :2].T + self.transform_2x3[:, 2]


def find_face(frame: np.ndarray) -> Face:
    """The one face of a frame (HxW or HxWx3 uint8): detected and placed."""
    return place(frame, detect(frame))


def detect(frame: np.ndarray) -> Detection:
    """Where the one face of a frame (HxW or HxWx3 uint8) is.

    Rules: searched in the frame as it is, else in the frame doubled, for the detector sees no
    face below 80 pixels. A detection scoring below a quarter of the best is background. Of
    several faces the largest is taken if it is at least twice as wide as every other. Raises
    ClipFault frame_small, no_face or several_faces.
    """
    grey_HxW = grey(frame)
    if min(grey_HxW.shape) < _LEAST_SIDE:
        raise ClipFault(
            "frame_small",
            f"the frame has {grey_HxW.shape[1]}x{grey_HxW.shape[0]} pixels; at least "
            f"{_LEAST_SIDE} a side are needed.",
        )
    return _clear_one(*_searched(grey_HxW))


def place(frame: np.ndarray, detection: Detection) -> Face:
    """Landmarks and crop of a detected face.

    Rules: brows, eyes, nose and mouth must lie inside the frame, the mouth beneath the eyes and
    the head rolled by at most 35 degrees; the crop may reach beyond the frame by a tenth of its
    side. Raises ClipFault face_at_border, face_small or landmarks_implausible.
    """
    grey_HxW = np.ascontiguousarray(grey(frame))
    size = (grey_HxW.shape[0], grey_HxW.shape[1])
    landmarks_68x2 = _landmarks(grey_HxW, detection.box_4)
    _check_landmarks(landmarks_68x2, size)
    transform_2x3 = _crop_transform(landmarks_68x2)
    filled = ("border_filled",) if _reaches_beyond(transform_2x3, size) else ()
    return Face(landmarks_68x2, transform_2x3, size, detection.score, detection.rules + filled)


def crop(frame: np.ndarray, face: Face) -> np.ndarray:
    """The aligned crop of a frame, SxS or SxSx3 uint8 with S = FACE_SIZE, by the face's transform.

    The same transform serves onset and apex: one of its own per frame would add motion that is
    not there. Shrinking is preceded by a blur that removes what the crop cannot show; beyond the
    border the edge pixels are repeated. Raises ClipFault size_differs on another frame size.
    """
    if frame.shape[:2] != face.frame_size:
        raise ClipFault(
            "size_differs",
            f"a frame has {frame.shape[1]}x{frame.shape[0]} pixels, the onset "
            f"{face.frame_size[1]}x{face.frame_size[0]}.",
        )
    cv2 = extras.opencv()
    scale = float(np.hypot(*face.transform_2x3[0, :2]))
    interpolation = cv2.INTER_CUBIC
    if scale < 1:
        # The blur of averaging over 1/scale pixels, less that of the pixel itself.
        sigma = 0.5 * float(np.sqrt(scale**-2 - 1))
        if sigma > 0.1:
            frame = cv2.GaussianBlur(frame, (0, 0), sigma)
        interpolation = cv2.INTER_LINEAR
    return cv2.warpAffine(
        frame,
        face.transform_2x3,
        (FACE_SIZE, FACE_SIZE),
        flags=interpolation,
        borderMode=cv2.BORDER_REPLICATE,
    )


def face_mask(face: Face) -> np.ndarray:
    """SxS bool, true inside the convex hull of the face's landmarks in the crop."""
    cv2 = extras.opencv()
    hull_Px2 = cv2.convexHull(np.rint(face.to_face(face.landmarks_68x2)).astype(np.int32))
    return cv2.fillConvexPoly(np.zeros((FACE_SIZE, FACE_SIZE), np.uint8), hull_Px2, 1) > 0


def _searched(grey_HxW: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """All detections: boxes Kx4 (left, top, right, bottom), scores K, and how they were found."""
    boxes_Kx4, score_K = _detections(grey_HxW)
    if len(score_K):
        return boxes_Kx4, score_K, ()
    if grey_HxW.size <= _MOST_DOUBLED_PIXELS:
        boxes_Kx4, score_K = _detections(grey_HxW.repeat(2, axis=0).repeat(2, axis=1))
    if len(score_K):
        return boxes_Kx4 / 2, score_K, ("found_enlarged",)
    raise ClipFault(
        "no_face",
        f"the onset frame of {grey_HxW.shape[1]}x{grey_HxW.shape[0]} pixels shows no upright "
        "frontal face.",
    )


def _clear_one(boxes_Kx4: np.ndarray, score_K: np.ndarray, rules: tuple[str, ...]) -> Detection:
    is_strong_K = score_K >= _WEAK_SHARE * score_K.max()
    if not is_strong_K.all():
        rules = (*rules, "weak_detection_ignored")
    boxes_Kx4, score_K = boxes_Kx4[is_strong_K], score_K[is_strong_K]
    width_K = boxes_Kx4[:, 2] - boxes_Kx4[:, 0]
    taken = int(np.argmax(width_K))
    if len(width_K) > 1:
        second = float(np.sort(width_K)[-2])
        if width_K[taken] < _CLEARLY_LARGER * second:
            raise ClipFault(
                "several_faces",
                f"the onset frame shows {len(width_K)} faces, {width_K[taken]:.0f} and "
                f"{second:.0f} px wide; the subject's must be twice as wide as any other.",
            )
        rules = (*rules, "largest_face_taken")
    return Detection(boxes_Kx4[taken], float(score_K[taken]), rules)


def _detections(grey_HxW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found, scores, _ = _detector().run(np.ascontiguousarray(grey_HxW), 0, 0.0)
    boxes = [(box.left(), box.top(), box.right(), box.bottom()) for box in found]
    return np.array(boxes, np.float64).reshape(-1, 4), np.array(scores, np.float64)


def _landmarks(grey_HxW: np.ndarray, box_4: np.ndarray) -> np.ndarray:
    box = extras.library("dlib").rectangle(*(round(float(value)) for value in box_4))
    points = _predictor()(grey_HxW, box).parts()
    return np.array([(point.x, point.y) for point in points], np.float64)


def _check_landmarks(landmarks_68x2: np.ndarray, shape: tuple[int, ...]) -> None:
    limit_2 = np.array([shape[1] - 1, shape[0] - 1])
    inner_Px2 = landmarks_68x2[_INNER]
    outside = ((inner_Px2 < 0) | (inner_Px2 > limit_2)).any(axis=1)
    if outside.any():
        raise ClipFault(
            "face_at_border",
            f"{outside.sum()} of the 51 points on brows, eyes, nose and mouth lie outside the "
            f"frame of {shape[1]}x{shape[0]} pixels.",
        )
    turn_2x2, distance = _levelling(landmarks_68x2)
    if distance < _LEAST_EYE_DISTANCE:
        raise ClipFault(
            "face_small",
            f"the eyes are {distance:.0f} px apart; at least {_LEAST_EYE_DISTANCE:.0f} px are "
            "needed.",
        )
    roll = float(np.degrees(np.arctan2(turn_2x2[0, 1], turn_2x2[0, 0])))
    # Along the line across the eyes: the mouth lies beneath it, about as far as the eyes apart.
    to_mouth_2 = landmarks_68x2[_MOUTH].mean(axis=0) - landmarks_68x2[_EYES].mean(axis=0)
    aside, below = turn_2x2 @ to_mouth_2
    if abs(roll) > _MOST_ROLL_DEGREES or not 0.5 < below / distance < 2 or abs(aside) > below:
        raise ClipFault(
            "landmarks_implausible",
            f"the head is rolled by {roll:.0f} degrees and the mouth lies {below / distance:.1f} "
            f"eye distances below the eyes; allowed are {_MOST_ROLL_DEGREES:.0f} degrees and 0.5 "
            "to 2.",
        )


def _levelling(landmarks_68x2: np.ndarray) -> tuple[np.ndarray, float]:
    """The turn that makes the eyes level, 2x2, and the distance between them."""
    left_2, right_2 = (landmarks_68x2[eye].mean(axis=0) for eye in (_EYE_LEFT, _EYE_RIGHT))
    distance = float(np.hypot(*(right_2 - left_2)))
    x, y = (right_2 - left_2) / distance
    return np.array([[x, y], [-y, x]]), distance


def _crop_transform(landmarks_68x2: np.ndarray) -> np.ndarray:
    """Turn until the eyes are level, cut a square around the landmarks, scale to FACE_SIZE."""
    turn_2x2, _ = _levelling(landmarks_68x2)
    turned_68x2 = landmarks_68x2 @ turn_2x2.T
    low_2, high_2 = turned_68x2.min(axis=0), turned_68x2.max(axis=0)
    side = _CROP_SHARE * float((high_2 - low_2).max())
    left = (low_2[0] + high_2[0] - side) / 2
    top = low_2[1] - _SPARE_ABOVE * (side - (high_2[1] - low_2[1]))
    scale = FACE_SIZE / side
    # The crop's corner lies half a pixel before the middle of its first pixel.
    shift_2 = -scale * np.array([left, top]) - 0.5
    return np.concatenate([scale * turn_2x2, shift_2[:, None]], axis=1)


def _reaches_beyond(transform_2x3: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether the crop leaves the frame; raises ClipFault where it does by more than a tenth."""
    corners_4x2 = np.array([(0, 0), (1, 0), (0, 1), (1, 1)]) * (FACE_SIZE - 1.0)
    turn_2x2, shift_2 = transform_2x3[:, :2], transform_2x3[:, 2]
    in_frame_4x2 = np.linalg.solve(turn_2x2, (corners_4x2 - shift_2).T).T
    limit_2 = np.array([shape[1] - 1, shape[0] - 1])
    beyond = float(np.maximum(-in_frame_4x2, in_frame_4x2 - limit_2).max())
    side = FACE_SIZE / float(np.hypot(*turn_2x2[0]))
    if beyond > _MOST_BEYOND * side:
        raise ClipFault(
            "face_at_border",
            f"the crop of {side:.0f} px reaches {beyond:.0f} px beyond the frame; allowed is a "
            "tenth of its side.",
        )
    return beyond > 0


@functools.cache
def _detector():
    return extras.library("dlib").get_frontal_face_detector()


@functools.cache
def _predictor():
    return extras.library("dlib").shape_predictor(str(landmark_model()))


def landmark_model() -> pathlib.Path:
    """dlib's 68-point model in the face_recognition_models package, checked by its SHA-256.

    The package is found but not imported: its import needs pkg_resources. The model was trained
    on the iBUG 300-W data, whose licence excludes commercial use. Raises InputError where it is
    missing or holds other bytes.
    """
    path = extras.folder_of("face_recognition_models") / "models" / LANDMARK_MODEL
    if not path.is_file():
        raise InputError(
            f"the package face_recognition_models lacks {LANDMARK_MODEL}; install it again."
        )
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != LANDMARK_MODEL_SHA256:
        raise InputError(
            f"{LANDMARK_MODEL} has the SHA-256 {found[:16]}... instead of "
            f"{LANDMARK_MODEL_SHA256[:16]}...; install face_recognition_models again."
        )
    return path
