"""Pretend data: three databases of made-up facial motion, for trying and testing without a licence.

A clip's flow is a sum of a few motions of the face (brow raise, lip-corner pull, ...) that its
expression mixes, a motion the subject is in the habit of making, small head motion, and noise.
Strain, normalisation and layout come from the same functions as for real clips.
"""

import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from input_pipeline.core import face_frames
from input_pipeline.core.clips import CLASS_NAMES, MAP_SIZE, Clips
from input_pipeline.core.errors import InputError
from input_pipeline.core.map_form import FORMS, MapForm
from input_pipeline.flow import normalisations, strain
from input_pipeline.maps import layouts
from input_pipeline.maps.sample import MapSample, to_clips

SIZES = ("small", "composite", "casme3")
DATASET = "synthetic"
# Clips per subject. The composite's are those of MEGC 2019 (SMIC-HS, CASME II, SAMM); casme3 has
# as many subjects and clips as the published sheet of CAS(ME)^3, made-up ones per subject.
_SUBJECT_SIZES: dict[str, dict[str, tuple[int, ...]]] = {
    "small": {
        "synthetic-a": (25, 14, 9, 6, 4, 3, 2, 1),
        "synthetic-b": (17, 11, 8, 5, 4, 3, 2, 1),
        "synthetic-c": (14, 10, 7, 5, 4, 3, 1, 1),
    },
    "composite": {
        "synthetic-a": (39, 22, 19, 13, 10, 10, 9, 7, 7, 6, 6, 4, 4, 4, 2, 2),
        "synthetic-b": (31, 11, 11, 11, 10, 9, 8, 6, 5, 5, 5, 4, 4, *(3,) * 5, *(2,) * 4, 1, 1),
        "synthetic-c": (20, 11, 10, 9, 8, 8, 6, 5, 5, 5, *(4,) * 5, *(3,) * 6, 2, *(1,) * 6),
    },
    "casme3": {
        "synthetic-a": (
            *(36, 31, 28, 26, 24, 22, 20, 19, 18, 17, 16, 15, 14, 14, 14, *(12,) * 5),
            *(*(10,) * 8, *(8,) * 10, *(7,) * 8, *(6,) * 8, *(2,) * 27, *(1,) * 7),
        ),
    },
}
# Clips per class, in label order, as in MEGC 2019 and in the published sheet of CAS(ME)^3.
_CLASS_SIZES = {"small": (91, 39, 30), "composite": (250, 109, 83), "casme3": (457, 55, 187)}
_FACE_SIZE = 56
# Pixel centres along one side of the face, in pixels of a 28-pixel face.
_GRID_S = (np.arange(_FACE_SIZE) + 0.5) * (MAP_SIZE / _FACE_SIZE) - 0.5
_SEED = 20190514


class _Bump(NamedTuple):
    """A smooth local motion: centre relative to a landmark, spread, and direction.

    In pixels of a 28-pixel face, for the left side of the image; the right side mirrors it.
    """

    anchor: str
    offset: tuple[float, float]
    spread: tuple[float, float]
    direction: tuple[float, float]


# Facial Action Coding System motions, much simplified; y points down, so raising is negative.
_MOTIONS = {
    "brow_raise": _Bump("eye", (0.0, -3.6), (3.2, 1.7), (0.0, -1.0)),
    "brow_lower": _Bump("eye", (1.6, -3.2), (2.6, 1.7), (0.4, 0.9)),
    "cheek_raise": _Bump("eye", (-0.6, 4.2), (2.8, 1.9), (0.1, -0.8)),
    "nose_wrinkle": _Bump("nose", (-1.6, -2.6), (1.6, 2.2), (0.3, -0.9)),
    "lip_corner_pull": _Bump("lip", (-0.6, -0.4), (2.3, 2.0), (-0.8, -0.7)),
    "lip_corner_depress": _Bump("lip", (-0.3, 0.9), (2.2, 1.8), (-0.2, 0.9)),
    "lip_press": _Bump("lip", (2.0, 0.0), (2.4, 1.4), (0.5, 0.3)),
    "jaw_drop": _Bump("lip", (3.6, 3.4), (3.4, 2.4), (0.0, 1.0)),
    "blink": _Bump("eye", (0.0, -0.6), (2.3, 1.1), (0.0, 0.8)),
}
# What an expression is called, its class, and the motions it mixes.
_EXPRESSIONS = {
    "frown": ("negative", ("brow_lower", "lip_press")),
    "sadness": ("negative", ("lip_corner_depress", "brow_lower")),
    "disgust": ("negative", ("nose_wrinkle", "cheek_raise")),
    "contempt": ("negative", ("lip_press", "lip_corner_depress")),
    "happiness": ("positive", ("lip_corner_pull", "cheek_raise")),
    "suppressed smile": ("positive", ("lip_corner_pull", "lip_press")),
    "surprise": ("surprise", ("brow_raise", "jaw_drop")),
    "startle": ("surprise", ("brow_raise", "blink")),
}
# Strengths relative to an expression's mean of 1, set so that a support vector machine under
# leave-one-subject-out reaches a UF1 between 0.6 and 0.8.
_HABIT, _HEAD, _SMOOTH_NOISE, _WHITE_NOISE = 0.55, 0.30, 0.30, 0.05


def make(layout: str, size: str) -> Clips:
    """The synthetic data set: `small` has 24 subjects and 160 clips, `composite` 68 and 442,
    `casme3` 88 and 699.

    The same bytes on every call. Raises InputError on an unknown layout or size.
    """
    if layout not in FORMS:
        if layout == face_frames.LAYOUT:
            raise InputError(
                "the synthetic data set is made of flow and has no frames; build a pretend "
                "database of input_pipeline.fake_database with --faces."
            )
        raise InputError(f"unknown layout '{layout}'; allowed are {', '.join(FORMS)}.")
    if size not in SIZES:
        raise InputError(f"unknown synthetic size '{size}'; allowed are {', '.join(SIZES)}.")
    return to_clips(
        (drawn.sample for drawn in _drawn(FORMS[layout], size)),
        where=f"the synthetic data set ({size})",
        dataset=DATASET,
        layout=layout,
        provenance={"source": f"synthetic motion fields, size {size}, seed {_SEED}"},
        pretend=True,
        every_clip=True,
    )


def true_motion(size: str) -> dict[str, np.ndarray]:
    """How far each point of the face is moved by its clip's expression alone, by the clip's key.

    28x28 float32, in pixels of the 28-pixel face. Habits, passing and head motion are left out:
    they say nothing of the class. `size` is one of SIZES.
    """
    return {
        drawn.sample.key: layouts.area_average(
            np.hypot(drawn.own_SxSx2[..., :1], drawn.own_SxSx2[..., 1:]), MAP_SIZE, MAP_SIZE
        )[..., 0]
        for drawn in _drawn(FORMS["whole"], size)
    }


class _Drawn(NamedTuple):
    """A clip, and the flow of its expression alone."""

    sample: MapSample
    own_SxSx2: np.ndarray


def _drawn(form: MapForm, size: str) -> Iterator[_Drawn]:
    """All clips of a size in the order in which they are drawn, whatever the form."""
    rng = np.random.Generator(np.random.PCG64([_SEED, SIZES.index(size)]))
    label_N = rng.permutation(np.repeat(np.arange(len(CLASS_NAMES)), _CLASS_SIZES[size]))
    labels = iter(label_N.tolist())
    for database, subject_sizes in _SUBJECT_SIZES[size].items():
        for number, clips_of_subject in enumerate(subject_sizes, start=1):
            subject_name = f"{database[-1]}{number:02d}"
            landmarks_5x2 = layouts.MEAN_LANDMARKS_5x2 + rng.normal(0.0, 0.5, (5, 2))
            habit = (tuple(_MOTIONS)[rng.integers(len(_MOTIONS))], rng.normal(0.0, _HABIT))
            for clip_number in range(1, clips_of_subject + 1):
                ids = (database, subject_name, f"{subject_name}_{clip_number:02d}")
                yield _new_clip(rng, landmarks_5x2, habit, ids, next(labels), form)


def _new_clip(
    rng: np.random.Generator,
    subject_5x2: np.ndarray,
    habit: tuple[str, float],
    ids: tuple[str, str, str],
    label: int,
    form: MapForm,
) -> _Drawn:
    """A clip of a subject with these landmarks and a habitual motion of this strength."""
    wanted = CLASS_NAMES[label]
    names = [name for name, (class_name, _) in _EXPRESSIONS.items() if class_name == wanted]
    emotion = names[rng.integers(len(names))]
    landmarks_5x2 = subject_5x2 + rng.normal(0.0, 0.15, (5, 2))
    flow_SxSx2 = np.zeros((_FACE_SIZE, _FACE_SIZE, 2))
    intensity = rng.lognormal(-0.15, 0.55)
    for motion in _EXPRESSIONS[emotion][1]:
        flow_SxSx2 += _motion(rng, motion, landmarks_5x2, intensity * rng.uniform(0.3, 1.3))
    own_SxSx2 = flow_SxSx2.copy()
    motion, strength = habit
    flow_SxSx2 += _motion(rng, motion, landmarks_5x2, strength * rng.uniform(0.5, 1.5))
    passing = tuple(_MOTIONS)[rng.integers(len(_MOTIONS))]
    flow_SxSx2 += _motion(rng, passing, landmarks_5x2, rng.normal(0.0, _HABIT))
    flow_SxSx2 += _head_motion(rng) + _noise(rng)

    flows = [flow_SxSx2]
    if form.phases == 2:
        flows.append(_way_back(flow_SxSx2, ids))
    channels = [(f[..., 0], f[..., 1], strain.optical_strain(f[..., 0], f[..., 1])) for f in flows]
    moved_SxSxC = np.stack([channel for phase in channels for channel in phase], axis=-1)
    face_SxSxC = normalisations.RULES[form.normalise](moved_SxSxC)
    if form.normalise == "minmax":
        # Whole numbers, as in the published pictures: they also swallow the last bits in which
        # platforms' exponentials differ, and 2x2 means of them are exact.
        face_SxSxC = np.rint(face_SxSxC)
    landmarks_5x2 = np.round(landmarks_5x2, 3).astype(np.float32)
    flow_max = np.float32(np.round(np.hypot(*np.moveaxis(flow_SxSx2, -1, 0)).max(), 3))
    sample = MapSample(
        *ids,
        label=label,
        map_HxWxC=face_SxSxC,
        landmarks_5x2=landmarks_5x2 * (_FACE_SIZE / MAP_SIZE),
        extras={"emotion": emotion, "flow_max": flow_max},
    )
    return _Drawn(sample, own_SxSx2)


def _way_back(flow_SxSx2: np.ndarray, ids: tuple[str, str, str]) -> np.ndarray:
    """The flow from apex to offset: most of the motion undone, with noise of its own."""
    # Not from the clips' own stream, so that the first phase stays what it is without a second.
    rng = np.random.Generator(np.random.PCG64([_SEED, zlib.crc32("/".join(ids).encode())]))
    return -rng.uniform(0.5, 1.0) * flow_SxSx2 + _head_motion(rng) + _noise(rng)


def _motion(
    rng: np.random.Generator, name: str, landmarks_5x2: np.ndarray, strength: float
) -> np.ndarray:
    """Both sides of one facial motion, SxSx2 in pixels; the sides differ a little in strength."""
    bump = _MOTIONS[name]
    flow_SxSx2 = np.zeros((_FACE_SIZE, _FACE_SIZE, 2))
    for side, mirror in (("left", 1.0), ("right", -1.0)):
        landmark = bump.anchor if bump.anchor == "nose" else f"{bump.anchor}_{side}"
        x, y = landmarks_5x2[layouts.LANDMARKS.index(landmark)]
        x, y = x + mirror * bump.offset[0], y + bump.offset[1]
        column_S = np.exp(-0.5 * ((_GRID_S - x) / bump.spread[0]) ** 2)
        row_S = np.exp(-0.5 * ((_GRID_S - y) / bump.spread[1]) ** 2)
        direction_2 = np.array([mirror * bump.direction[0], bump.direction[1]])
        amount = strength * rng.uniform(0.7, 1.3)
        flow_SxSx2 += amount * np.multiply.outer(np.multiply.outer(row_S, column_S), direction_2)
    return flow_SxSx2


def _head_motion(rng: np.random.Generator) -> np.ndarray:
    """Translation, rotation and change of scale of the whole face, SxSx2 in pixels."""
    shift_x, shift_y, turn, growth = rng.normal(0.0, _HEAD, 4)
    unit_S = (_GRID_S - (MAP_SIZE - 1) / 2) / (MAP_SIZE / 2)
    y_SxS, x_SxS = np.meshgrid(unit_S, unit_S, indexing="ij")
    return np.stack(
        [shift_x - turn * y_SxS + growth * x_SxS, shift_y + turn * x_SxS + growth * y_SxS], axis=-1
    )


def _noise(rng: np.random.Generator) -> np.ndarray:
    """Smooth noise, as optical flow makes on plain skin, and white noise, SxSx2 in pixels."""
    knots = np.linspace(0.0, MAP_SIZE - 1.0, 8)
    blend_SxK = np.exp(-0.5 * ((_GRID_S[:, None] - knots[None, :]) / 2.2) ** 2)
    blend_SxK /= np.sqrt((blend_SxK**2).sum(axis=1, keepdims=True))
    coarse_2xKxK = rng.normal(0.0, _SMOOTH_NOISE, (2, len(knots), len(knots)))
    smooth_2xSxS = blend_SxK @ coarse_2xKxK @ blend_SxK.T
    white_SxSx2 = rng.normal(0.0, _WHITE_NOISE, (_FACE_SIZE, _FACE_SIZE, 2))
    return np.moveaxis(smooth_2xSxS, 0, -1) + white_SxSx2
