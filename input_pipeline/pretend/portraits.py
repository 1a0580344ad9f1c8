"""Pretend subjects and their motions: a free portrait, changed and warped by known smooth fields.

The portrait is scikit-image's `astronaut` (NASA, public domain). Detection, landmarks, flow and
regions run on these frames as on real ones, and the true flow is known. Points are x right,
y down, in pixels of the 640x480 frame; letters in array names: H rows, W columns.
"""

import functools
from typing import NamedTuple

import numpy as np

from input_pipeline.core import extras

WIDTH, HEIGHT = 640, 480
# Where the face lies in every identity's frame, give or take 20 pixels.
FACE_CENTRE = (320.0, 240.0)
# The part of the portrait that is shown, enlarged by two: left, top, in portrait pixels.
_WINDOW, _ENLARGED = (65, 10), 2.0
_SEED = 68


class Motion(NamedTuple):
    """A smooth local motion: its centre, its spread and its direction, in pixels of the frame.

    Given for the left side of the image; where `mirrored`, the right side moves likewise.
    """

    centre: tuple[float, float]
    spread: tuple[float, float]
    direction: tuple[float, float]
    mirrored: bool = True


# Facial Action Coding System motions, much simplified; y points down, so raising is negative.
MOTIONS = {
    "brow_raise": Motion((272.0, 160.0), (24.0, 14.0), (0.0, -1.0)),
    "brow_lower": Motion((284.0, 160.0), (20.0, 14.0), (0.4, 0.9)),
    "cheek_raise": Motion((268.0, 222.0), (22.0, 16.0), (0.1, -1.0)),
    "nose_wrinkle": Motion((302.0, 226.0), (11.0, 18.0), (0.3, -0.9)),
    "lip_corner_pull": Motion((274.0, 260.0), (20.0, 16.0), (-0.8, -0.7)),
    "lip_corner_depress": Motion((276.0, 264.0), (18.0, 15.0), (-0.2, 0.9)),
    "lip_press": Motion((298.0, 270.0), (18.0, 12.0), (0.6, 0.2)),
    "jaw_drop": Motion((320.0, 306.0), (40.0, 20.0), (0.0, 1.0), mirrored=False),
}
# The motions of each class (in label order), each with its strength relative to the strongest.
MOTIONS_OF = {
    "negative": {"brow_lower": 1.0, "lip_corner_depress": 0.8},
    "positive": {"lip_corner_pull": 1.0, "cheek_raise": 0.7},
    "surprise": {"brow_raise": 1.0, "jaw_drop": 0.8},
}


def identity(number: int) -> np.ndarray:
    """The neutral face of pretend subject `number`, 480x640x3 uint8 RGB; always the same bytes.

    0 is the portrait as it is; every other number turns, stretches, bends and tones it, odd
    numbers mirror it. The face stays at FACE_CENTRE, give or take 20 pixels. Raises ValueError on
    a negative number.
    """
    if number < 0:
        raise ValueError(f"identities are numbered from 0, got {number}")
    rng = np.random.Generator(np.random.PCG64([_SEED, number]))
    y_HxW, x_HxW = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    if number:
        x_HxW, y_HxW = _bent(rng, x_HxW, y_HxW)
        if number % 2:
            x_HxW = 2 * FACE_CENTRE[0] - x_HxW
    face_HxWx3 = _sharpened(
        _sampled(_portrait(), x_HxW / _ENLARGED + _WINDOW[0], y_HxW / _ENLARGED + _WINDOW[1])
    )
    return _toned(rng, face_HxWx3) if number else face_HxWx3


def moved(
    face_HxWx3: np.ndarray, motions: dict[str, float], steps: int = 12
) -> tuple[np.ndarray, np.ndarray]:
    """The face after some motions; returns (frame HxWx3 uint8, true flow HxWx2 float32).

    `motions` maps a name of MOTIONS to its largest displacement in pixels of the frame. The flow
    is in (x, y) pixels: where a point of `face_HxWx3` is found in the frame, to a hundredth of a
    pixel after 4 `steps` where motions stay below 4 pixels. No motions give the face itself. Raises
    ValueError on an unknown motion or another frame size.
    """
    unknown = sorted(set(motions) - set(MOTIONS))
    if unknown:
        raise ValueError(f"unknown motion {unknown[0]!r}; allowed are {', '.join(MOTIONS)}")
    if face_HxWx3.shape != (HEIGHT, WIDTH, 3):
        raise ValueError(f"the face must be {HEIGHT}x{WIDTH}x3, got {face_HxWx3.shape}")
    y_HxW, x_HxW = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    flow_HxWx2 = _flow_at(motions, x_HxW, y_HxW)
    if not flow_HxWx2.any():
        return face_HxWx3.copy(), flow_HxWx2
    # A frame's pixel q shows the face's point p with p + flow(p) = q; the fields are smooth and
    # small against their spread, so that the fixed point is reached in a few steps.
    from_x_HxW, from_y_HxW = x_HxW, y_HxW
    for _ in range(steps):
        back_HxWx2 = _flow_at(motions, from_x_HxW, from_y_HxW)
        from_x_HxW, from_y_HxW = x_HxW - back_HxWx2[..., 0], y_HxW - back_HxWx2[..., 1]
    return _sampled(face_HxWx3, from_x_HxW, from_y_HxW), flow_HxWx2


def with_noise(frame_HxWx3: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    """The frame with grey camera noise of standard deviation `sigma`, the same in all channels."""
    rng = np.random.Generator(np.random.PCG64([_SEED, seed]))
    noise_HxW = rng.normal(0.0, sigma, frame_HxWx3.shape[:2])
    return np.clip(np.rint(frame_HxWx3 + noise_HxW[..., None]), 0, 255).astype(np.uint8)


@functools.cache
def _portrait() -> np.ndarray:
    return extras.library("skimage.data").astronaut()


def _sampled(image_HxWx3: np.ndarray, x_HxW: np.ndarray, y_HxW: np.ndarray) -> np.ndarray:
    opencv = extras.opencv()
    return opencv.remap(
        image_HxWx3,
        x_HxW.astype(np.float32),
        y_HxW.astype(np.float32),
        opencv.INTER_LANCZOS4,
        borderMode=opencv.BORDER_REFLECT_101,
    )


def _sharpened(face_HxWx3: np.ndarray) -> np.ndarray:
    """Gives the enlarged portrait back the contrast of its details, as a camera's frame has it.

    Without this the flow, which lives on details, errs 1.4 times as much.
    """
    opencv = extras.opencv()
    soft_HxWx3 = opencv.GaussianBlur(face_HxWx3.astype(np.float32), (0, 0), _ENLARGED)
    return np.clip(np.rint(2.0 * face_HxWx3 - soft_HxWx3), 0, 255).astype(np.uint8)


def _flow_at(motions: dict[str, float], x_HxW: np.ndarray, y_HxW: np.ndarray) -> np.ndarray:
    flow_HxWx2 = np.zeros((*x_HxW.shape, 2), np.float32)
    for name, strength in sorted(motions.items()):
        motion = MOTIONS[name]
        direction_2 = np.array(motion.direction) / np.hypot(*motion.direction)
        for side in (1.0, -1.0) if motion.mirrored else (1.0,):
            centre_x = FACE_CENTRE[0] + side * (motion.centre[0] - FACE_CENTRE[0])
            bump_HxW = np.exp(
                -0.5 * ((x_HxW - centre_x) / motion.spread[0]) ** 2
                - 0.5 * ((y_HxW - motion.centre[1]) / motion.spread[1]) ** 2
            )
            flow_HxWx2[..., 0] += strength * side * direction_2[0] * bump_HxW
            flow_HxWx2[..., 1] += strength * direction_2[1] * bump_HxW
    return flow_HxWx2


def _bent(
    rng: np.random.Generator, x_HxW: np.ndarray, y_HxW: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel is taken from: turned, stretched, and bent by a smooth random field."""
    turn = np.deg2rad(rng.uniform(-4.0, 4.0))
    wider, taller = rng.uniform(0.93, 1.07, 2)
    x_HxW, y_HxW = x_HxW - FACE_CENTRE[0], y_HxW - FACE_CENTRE[1]
    turned_x_HxW = (np.cos(turn) * x_HxW + np.sin(turn) * y_HxW) / wider
    turned_y_HxW = (-np.sin(turn) * x_HxW + np.cos(turn) * y_HxW) / taller
    for _ in range(3):
        wave_2 = 2 * np.pi * rng.uniform(-1.0, 1.0, 2) / 180.0
        phase, shift_x, shift_y = rng.uniform(-1.0, 1.0, 3)
        wave_HxW = np.sin(wave_2[0] * x_HxW + wave_2[1] * y_HxW + np.pi * phase)
        turned_x_HxW = turned_x_HxW + 3.0 * shift_x * wave_HxW
        turned_y_HxW = turned_y_HxW + 3.0 * shift_y * wave_HxW
    return turned_x_HxW + FACE_CENTRE[0], turned_y_HxW + FACE_CENTRE[1]


def _toned(rng: np.random.Generator, face_HxWx3: np.ndarray) -> np.ndarray:
    """Another exposure, another skin tone, and a light that comes a little from one side."""
    unit_HxWx3 = face_HxWx3.astype(np.float32) / 255.0
    unit_HxWx3 = unit_HxWx3 ** np.float32(rng.uniform(0.75, 1.35))
    unit_HxWx3 = unit_HxWx3 * rng.uniform(0.85, 1.0, 3).astype(np.float32)
    side_W = 1.0 + rng.uniform(-0.12, 0.12) * np.linspace(-1.0, 1.0, WIDTH, dtype=np.float32)
    unit_HxWx3 = unit_HxWx3 * side_W[None, :, None]
    return np.clip(np.rint(255.0 * unit_HxWx3), 0, 255).astype(np.uint8)
