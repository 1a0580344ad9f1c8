"""The arrays that a network reads of a data set, prepared clip by clip as the settings say."""

import numpy as np

from ahmsa_jax.config import TrainConfig
from ahmsa_jax.inputs.input_norm import normalised
from input_pipeline.core.clips import Clips


def inputs(clips: Clips, training: TrainConfig) -> dict[str, np.ndarray]:
    """The network's inputs by name, (N, ...) each."""
    whole = clips.flow_whole_NxHxWxC
    return {"flow": normalised(training.input_norm, clips.flow_NxHxWxC, whole)}
