"""Clips under the name of a stored data set, for tests."""

import dataclasses
import functools

import numpy as np

from input_pipeline.core.clips import Clips
from input_pipeline.maps import synthetic


@functools.cache
def made() -> Clips:
    """160 synthetic clips that pass for SAMM's."""
    clips = synthetic.make("five", "small")
    return dataclasses.replace(clips, dataset="samm", database_N=np.full(len(clips), "samm"))


def few(count: int = 6) -> Clips:
    """The first clips of `made`, which build in no time."""
    clips = made()
    arrays = {
        field.name: getattr(clips, field.name)[:count]
        for field in dataclasses.fields(clips)
        if isinstance(getattr(clips, field.name), np.ndarray)
    }
    extras = {name: column[:count] for name, column in clips.extras.items()}
    return dataclasses.replace(clips, **arrays, extras=extras)


def shifted(clips: Clips) -> Clips:
    """The same clips with other maps."""
    return dataclasses.replace(clips, flow_NxHxWxC=clips.flow_NxHxWxC * np.float32(0.5))
