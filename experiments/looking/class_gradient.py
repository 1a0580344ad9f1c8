"""What the gradients of a class have in common: their mean with signs over its clips and networks.

A clip's own gradient is mostly what its network's random start and training left in it. Over many
networks and clips of a class that cancels out, and what all of them learned stays.

Letters in array names: N clips, H rows, W columns, C channels, K classes.
"""

import dataclasses

import numpy as np

from experiments.looking import gradients
from experiments.looking.seen_maps import SeenMaps, on_faces
from input_pipeline.core.clips import Clips

CLASS_GRADIENT = "class_gradient"


def added(seen: SeenMaps, clips: Clips) -> SeenMaps:
    """The same with a map of this kind for each clip, that of its class, on the clip's own face.

    The class is the one asked for. Networks of frames have none.
    """
    if seen.derivative_NxHxWxC is None:
        return seen
    class_K, place_N = np.unique(seen.class_N, return_inverse=True)
    mean_KxHxWxC = np.stack(
        [seen.derivative_NxHxWxC[seen.class_N == one].mean(axis=0) for one in class_K]
    )
    map_NxSxS = on_faces(gradients.strength(mean_KxHxWxC)[place_N], clips)
    return dataclasses.replace(seen, map_of=seen.map_of | {CLASS_GRADIENT: map_NxSxS})
