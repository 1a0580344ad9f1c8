"""Made-up motion of faces: maps of action units (FACS) at random, to train on before real clips.

No real clip is read. Units, their frequencies and the noise are those of action_units.csv and the
constants below; they were fixed before the first run here and stay (docs/choices.md).

Letters in array names: N clips, U units, P Gaussian parts of units, H rows, W columns, C channels.
"""

import csv
import functools
import pathlib
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

SIZE = 28
_TABLE = "action_units.csv"
# Of random deviations: n is a standard normal number.
_STRENGTH, _SIDES, _SPREAD, _DIRECTION = 0.5, 0.25, 0.15, 0.15  # exp(a n), but direction a n
_CENTRE_X, _CENTRE_Y = 0.7, 1.0  # pixels
_HEAD_SHIFT, _HEAD_TURN, _HEAD_SCALE = 0.25, 0.012, 0.012  # pixels, radians, share
_HEAD_MIDDLE = (13.5, 14.0)
_NOISE = ((1.0, 0.25), (3.0, 0.5))  # smoothed by so many pixels, with this deviation
_NOISE_STRENGTH, _NOISE_SPREAD = 0.35, 0.6


class Part(NamedTuple):
    """One Gaussian of a unit in the image-left half of a face, in pixels: place, spread, motion."""

    unit: str
    frequency: float
    one_sided: float
    x: float
    y: float
    spread_x: float
    spread_y: float
    du: float
    dv: float


@functools.cache
def parts() -> tuple[Part, ...]:
    """The packaged table, a unit's parts after each other."""
    path = pathlib.Path(__file__).with_name(_TABLE)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    return tuple(
        Part(row["unit"], *(float(row[name]) for name in Part._fields[1:])) for row in rows
    )


def units() -> tuple[str, ...]:
    """Numbers of the units, in the order of the table: the targets of `made_up`."""
    return tuple(dict.fromkeys(part.unit for part in parts()))


def made_up(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Maps (N, 28, 28, 3) in 0..255, as a data set holds them, and the units (N, U) as 0 and 1.

    Flow is made in pixels; optical strain follows from it by MFDAN's equation 3 with central
    differences; then each clip's channels are stretched to 0..255 as the build does, so that every
    --input_norm can follow. The same count and seed give the same maps.
    """
    rng = np.random.Generator(np.random.PCG64([seed, count]))
    is_there_NxU, left_NxU, right_NxU = _strengths(rng, count)
    flow_NxHxWx2 = np.zeros((count, SIZE, SIZE, 2))
    for part in parts():
        place = units().index(part.unit)
        rows = np.flatnonzero(is_there_NxU[:, place])
        left_MxHxWx2 = _motion(rng, part, len(rows))
        # The other half of the face: columns and horizontal motion reversed.
        right_MxHxWx2 = left_MxHxWx2[:, :, ::-1] * np.array([-1.0, 1.0])
        flow_NxHxWx2[rows] += left_NxU[rows, place, None, None, None] * left_MxHxWx2
        flow_NxHxWx2[rows] += right_NxU[rows, place, None, None, None] * right_MxHxWx2
    flow_NxHxWx2 += _head(rng, count) + _noise(rng, count)
    maps_NxHxWxC = np.concatenate([flow_NxHxWx2, strain(flow_NxHxWx2)[..., None]], axis=-1)
    return _stretched(maps_NxHxWxC).astype(np.float32), is_there_NxU.astype(np.int32)


def strain(flow_NxHxWx2: np.ndarray) -> np.ndarray:
    """Optical strain (N, H, W): sqrt(u_x^2 + v_y^2 + (u_y + v_x)^2 / 2), MFDAN's equation 3."""
    du_dy, du_dx = np.gradient(flow_NxHxWx2[..., 0], axis=(1, 2))
    dv_dy, dv_dx = np.gradient(flow_NxHxWx2[..., 1], axis=(1, 2))
    return np.sqrt(du_dx**2 + dv_dy**2 + (du_dy + dv_dx) ** 2 / 2)


def _strengths(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which units each clip has, and their strength in the left and right half, (N, U) each."""
    first = {part.unit: part for part in reversed(parts())}
    frequency_U = np.array([first[unit].frequency for unit in units()])
    one_sided_U = np.array([first[unit].one_sided for unit in units()])
    shape = (count, len(frequency_U))
    is_there_NxU = rng.random(shape) < frequency_U
    strength_NxU = np.exp(_STRENGTH * rng.standard_normal(shape)) * is_there_NxU
    sides_2xNxU = strength_NxU * np.exp(_SIDES * rng.standard_normal((2, *shape)))
    is_one_sided_NxU = rng.random(shape) < one_sided_U
    is_left_NxU = rng.random(shape) < 0.5
    left_NxU = np.where(is_one_sided_NxU & ~is_left_NxU, 0.0, sides_2xNxU[0])
    right_NxU = np.where(is_one_sided_NxU & is_left_NxU, 0.0, sides_2xNxU[1])
    return is_there_NxU, left_NxU, right_NxU


def _motion(rng: np.random.Generator, part: Part, count: int) -> np.ndarray:
    """The part's flow in the image-left half for so many clips, each a little different."""
    x_M = part.x + _CENTRE_X * rng.standard_normal(count)
    y_M = part.y + _CENTRE_Y * rng.standard_normal(count)
    spread_Mx2 = np.exp(_SPREAD * rng.standard_normal((count, 2))) * (part.spread_x, part.spread_y)
    motion_Mx2 = (part.du, part.dv) + _DIRECTION * rng.standard_normal((count, 2))
    place = np.arange(SIZE)
    across_MxW = ((place - x_M[:, None]) / spread_Mx2[:, :1]) ** 2
    down_MxH = ((place - y_M[:, None]) / spread_Mx2[:, 1:]) ** 2
    size_MxHxW = np.exp(-(down_MxH[:, :, None] + across_MxW[:, None]) / 2)
    return size_MxHxW[..., None] * motion_Mx2[:, None, None]


def _head(rng: np.random.Generator, count: int) -> np.ndarray:
    """Flow (N, H, W, 2) of a head that shifts, turns and comes nearer."""
    x_HxW, y_HxW = np.meshgrid(np.arange(SIZE) - _HEAD_MIDDLE[0], np.arange(SIZE) - _HEAD_MIDDLE[1])
    shift_Nx2 = _HEAD_SHIFT * rng.standard_normal((count, 2))
    turn_Nx1x1 = _HEAD_TURN * rng.standard_normal((count, 1, 1))
    scale_Nx1x1 = _HEAD_SCALE * rng.standard_normal((count, 1, 1))
    u_NxHxW = shift_Nx2[:, :1, None] + scale_Nx1x1 * x_HxW - turn_Nx1x1 * y_HxW
    v_NxHxW = shift_Nx2[:, 1:, None] + scale_Nx1x1 * y_HxW + turn_Nx1x1 * x_HxW
    return np.stack([u_NxHxW, v_NxHxW], axis=-1)


def _noise(rng: np.random.Generator, count: int) -> np.ndarray:
    """Smooth random flow (N, H, W, 2), stronger in some clips than in others."""
    total_NxHxWx2 = np.zeros((count, SIZE, SIZE, 2))
    for width, deviation in _NOISE:
        white = rng.standard_normal((count, SIZE, SIZE, 2))
        smooth = gaussian_filter(white, (0, width, width, 0), mode="wrap")
        # Smoothing leaves white noise this deviation.
        total_NxHxWx2 += deviation * smooth * (2 * width * np.sqrt(np.pi))
    size_N = _NOISE_STRENGTH * np.exp(_NOISE_SPREAD * rng.standard_normal(count))
    return total_NxHxWx2 * size_N[:, None, None, None]


def _stretched(maps_NxHxWxC: np.ndarray) -> np.ndarray:
    least = maps_NxHxWxC.min(axis=(1, 2), keepdims=True)
    return (maps_NxHxWxC - least) / (maps_NxHxWxC.max(axis=(1, 2), keepdims=True) - least) * 255
