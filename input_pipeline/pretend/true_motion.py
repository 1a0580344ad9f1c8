"""Where the faces of a pretend database really move, as its table of motions says.

Letters in array names: H rows and W columns of the 640x480 frame, S side of the face crop.
"""

import csv
import functools
import io
import pathlib

import numpy as np

from input_pipeline.core.errors import InputError
from input_pipeline.core.files import read_text
from input_pipeline.faces import detection
from input_pipeline.pretend import portraits
from input_pipeline.pretend.accuracy import in_crop
from input_pipeline.pretend.film import MOTION_COLUMNS, MOTION_TABLE

_MOST_BYTES = 16 * 2**20
_MOST_IDENTITY, _MOST_PIXELS = 10**6, 100.0

# A clip's identity and the pixels of its motions by name.
Moved = tuple[int, dict[str, float]]


def motions_of(raw_dir: pathlib.Path) -> dict[str, Moved]:
    """Identity and motions of each clip of a pretend database, by the clip's key.

    `raw_dir` is the folder that fake_database wrote, of one database or of a composite. Raises
    InputError where there is no table of motions, or a damaged one.
    """
    paths = sorted([*raw_dir.glob(MOTION_TABLE), *raw_dir.glob(f"*/{MOTION_TABLE}")])
    if not paths:
        raise InputError(
            f"--raw_dir='{raw_dir}' holds no {MOTION_TABLE}; name the folder that "
            "input_pipeline.fake_database wrote: nobody knows where real faces move."
        )
    found: dict[str, Moved] = {}
    for path in paths:
        rows = list(csv.reader(io.StringIO(read_text(path, _MOST_BYTES), newline="")))
        try:
            if not rows or tuple(rows[0]) != MOTION_COLUMNS:
                raise ValueError(f"its header is not {','.join(MOTION_COLUMNS)}")
            for database, subject, clip, identity, motion, pixels in rows[1:]:
                number, far = int(identity), float(pixels)
                if motion not in portraits.MOTIONS:
                    raise ValueError(f"unknown motion {motion!a:.40}")
                if not 0 <= number <= _MOST_IDENTITY or not 0 <= far <= _MOST_PIXELS:
                    raise ValueError(f"identity {number} or {far:g} pixels is out of range")
                key = f"{database}/{subject}/{clip}"
                found.setdefault(key, (number, {}))[1][motion] = far
        except (ValueError, csv.Error) as error:
            raise InputError(
                f"'{path}' is damaged ({error}); write the pretend database again."
            ) from None
    return found


def magnitude(moved: Moved) -> np.ndarray:
    """How far each point of the face crop moves, SxS float32 in pixels of the crop (224 a side).

    The crop is that of the neutral face as a build finds it; a clip's own differs by its noise,
    below a pixel.
    """
    identity, motions = moved
    neutral_HxWx3, face = _neutral(identity)
    # Of the two results the flow alone is asked for, which needs no step.
    _, flow_HxWx2 = portraits.moved(neutral_HxWx3, motions, steps=0)
    flow_SxSx2 = in_crop(flow_HxWx2, face)
    return np.hypot(flow_SxSx2[..., 0], flow_SxSx2[..., 1]).astype(np.float32)


@functools.lru_cache(maxsize=4)
def _neutral(identity: int) -> tuple[np.ndarray, detection.Face]:
    neutral_HxWx3 = portraits.identity(identity)
    return neutral_HxWx3, detection.find_face(neutral_HxWx3)
