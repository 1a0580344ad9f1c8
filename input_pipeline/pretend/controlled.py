"""Pretend clips whose motion, noise and annotation are known: what a build keeps can be measured.

A clip shows one of its class's expressions rising to the apex and fading, beside two passing
motions with times of their own, a slow drift of the head and the camera's noise. Expressions of
different classes share motions. All numbers are invented; they were set so that a linear machine on
28-pixel maps is right on most clips, not on all.
"""

import functools
import io
import pathlib
from typing import NamedTuple

import numpy as np
from PIL import Image

from input_pipeline.core import extras
from input_pipeline.core.clips import CLASS_NAMES
from input_pipeline.core.files import write_whole
from input_pipeline.databases.rows import ClipRecord
from input_pipeline.pretend import portraits

DATABASE = "controlled"
# Frames of every clip; the annotation errs by at most MOST_JITTER.
ONSET, APEX, OFFSET = 10, 18, 26
MOST_JITTER = 6
# Beyond those of the pretend databases, so that no face is one of theirs.
_FIRST_FACE = 200
_SEED = 20240920
# Pixels of the 640x480 frame, and frames.
_STRENGTH, _SPREAD_OF_STRENGTH = 0.8, 0.5
_PASSING, _PASSING_FRAMES = 0.9, 3.0
_PASSING_MOTIONS = 2
_DRIFT = 0.6
_STEPS = 4
_LEFT_AT_OFFSET = 0.25


# The motions that an expression mixes, by class.
EXPRESSIONS = {
    "negative": (
        ("brow_lower", "lip_press"),
        ("lip_corner_depress", "brow_lower"),
        ("nose_wrinkle", "cheek_raise"),
        ("lip_press", "lip_corner_depress"),
    ),
    "positive": (("lip_corner_pull", "cheek_raise"), ("lip_corner_pull", "lip_press")),
    "surprise": (("brow_raise", "jaw_drop"), ("brow_raise", "nose_wrinkle")),
}


class _Passing(NamedTuple):
    """A motion that comes and goes by itself: pixels at its height, and when that is."""

    name: str
    pixels: float
    frame: float


class _Course(NamedTuple):
    """What happens in one clip: its own motions in pixels at the apex, and what disturbs them."""

    own: dict[str, float]
    passing: tuple[_Passing, ...]
    drift_2: np.ndarray


def records(
    folder: pathlib.Path, subjects: int, *, noise: float, jitter: int
) -> tuple[ClipRecord, ...]:
    """The clips, one of each class a subject, with the frames that they name in `folder`.

    `noise` is the standard deviation of the camera's grey values; each clip's apex is annotated up
    to `jitter` frames too early or too late. Frames that are there are left as they are. The same
    bytes on every call. Raises ValueError on jitter beyond MOST_JITTER.
    """
    if not 0 <= jitter <= MOST_JITTER:
        raise ValueError(f"jitter is {jitter}; allowed are 0 to {MOST_JITTER} frames")
    found = []
    for number in range(subjects):
        for label in range(len(CLASS_NAMES)):
            found.append(_record(folder, number, label, noise, jitter))
    return tuple(found)


def _record(folder: pathlib.Path, number: int, label: int, noise: float, jitter: int) -> ClipRecord:
    subject, clip = f"c{number + 1:02d}", f"c{number + 1:02d}_{label + 1}"
    rng = _stream(number, label, 1)
    # The same clip errs in the same direction, the farther the larger the jitter.
    apex = APEX + round(rng.uniform(-1.0, 1.0) * jitter)
    place = folder / f"noise-{noise:g}" / subject / clip
    frames = []
    for frame in (ONSET, apex, OFFSET):
        path = place / f"{frame:03d}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, _png(_picture(number, label, frame, noise)))
        frames.append((frame, path))
    return ClipRecord(
        database=DATABASE,
        subject=subject,
        clip=clip,
        onset=ONSET,
        apex=apex,
        offset=OFFSET,
        emotion=CLASS_NAMES[label],
        label=label,
        frames=tuple(frames),
    )


def _png(picture_HxWx3: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture_HxWx3).save(buffer, "png", compress_level=1)
    return buffer.getvalue()


def _stream(*numbers: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([_SEED, *numbers]))


def _course(number: int, label: int) -> _Course:
    rng = _stream(number, label, 0)
    strength = _STRENGTH * rng.lognormal(0.0, _SPREAD_OF_STRENGTH)
    expressions = EXPRESSIONS[CLASS_NAMES[label]]
    mixed = expressions[rng.integers(len(expressions))]
    own = {name: strength * rng.uniform(0.3, 1.3) for name in mixed}
    names = rng.choice(list(portraits.MOTIONS), _PASSING_MOTIONS, replace=False)
    passing = [
        _Passing(str(name), _PASSING * rng.normal(), rng.uniform(ONSET, OFFSET)) for name in names
    ]
    return _Course(own, tuple(passing), _DRIFT * rng.normal(size=2))


def motions_at(number: int, label: int, frame: int) -> dict[str, float]:
    """The motions of a clip in one of its frames, in pixels of the 640x480 frame."""
    course = _course(number, label)
    if frame <= APEX:
        share = max(0.0, (frame - ONSET) / (APEX - ONSET))
    else:
        share = 1.0 - (1.0 - _LEFT_AT_OFFSET) * min(1.0, (frame - APEX) / (OFFSET - APEX))
    moved = {name: share * pixels for name, pixels in course.own.items()}
    for name, pixels, height in course.passing:
        away = (frame - height) / _PASSING_FRAMES
        moved[name] = moved.get(name, 0.0) + pixels * float(np.exp(-0.5 * away**2))
    return moved


def _picture(number: int, label: int, frame: int, noise: float) -> np.ndarray:
    """One frame, 480x640x3 uint8 RGB."""
    face_HxWx3 = _identity(_FIRST_FACE + number)
    moved_HxWx3, _ = portraits.moved(face_HxWx3, motions_at(number, label, frame), _STEPS)
    drift_2 = _course(number, label).drift_2 * (frame - ONSET) / (APEX - ONSET)
    cv2 = extras.opencv()
    shift_2x3 = np.array([[1, 0, drift_2[0]], [0, 1, drift_2[1]]], np.float32)
    size = (portraits.WIDTH, portraits.HEIGHT)
    shifted = cv2.warpAffine(
        moved_HxWx3, shift_2x3, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    if not noise:
        return shifted
    return portraits.with_noise(shifted, noise, 1000 * (3 * number + label) + frame)


_identity = functools.lru_cache(maxsize=2)(portraits.identity)
