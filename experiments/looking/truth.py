"""Where the faces of pretend clips really move: the place that the maps should show.

Letters in array names: N clips, S side of the face that the maps lie on.
"""

import pathlib
from collections.abc import Mapping

import numpy as np

from input_pipeline.core.clips import Clips
from input_pipeline.core.errors import InputError
from input_pipeline.maps import layouts, synthetic
from input_pipeline.pretend import true_motion

# A point moves where it does so by at least this share of the clip's largest motion.
MOVING_SHARE = 0.5


def moving(motion_SxS: np.ndarray) -> np.ndarray:
    """Where a face moves by at least half its largest motion, bool (S, S)."""
    most = motion_SxS.max()
    return (motion_SxS >= MOVING_SHARE * most) & (most > 0)


def of_synthetic(clips: Clips, size: str) -> np.ndarray:
    """Where each clip of the synthetic data set moves by its expression, bool (N, S, S)."""
    return _of_clips(clips, synthetic.true_motion(size))


def of_pretend(clips: Clips, raw_dir: pathlib.Path) -> np.ndarray:
    """The same of clips built from a pretend database, which `raw_dir` holds.

    Raises InputError where it is none, or does not know a clip.
    """
    motions = true_motion.motions_of(raw_dir)
    unknown = [key for key in clips.clip_key_N if key not in motions]
    if unknown:
        raise InputError(
            f"--raw_dir='{raw_dir}' does not say how {unknown[0]} moves ({len(unknown)} of "
            f"{len(clips)} clips); name the pretend database that the data set was built from."
        )
    wanted = {key: motions[key] for key in clips.clip_key_N}
    return _of_clips(clips, {key: true_motion.magnitude(one) for key, one in wanted.items()})


def _of_clips(clips: Clips, motion_of: Mapping[str, np.ndarray]) -> np.ndarray:
    side = clips.flow_NxHxWxC.shape[1]
    return np.stack(
        [
            moving(layouts.area_average(motion_of[key][..., None], side, side)[..., 0])
            for key in clips.clip_key_N
        ]
    )
