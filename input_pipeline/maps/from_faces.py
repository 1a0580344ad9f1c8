"""The 28x28 maps that go with frames: what methods without frames see of a data set of faces."""

from collections.abc import Mapping

import numpy as np

from input_pipeline.core.clips import MAP_SIZE
from input_pipeline.flow import normalisations
from input_pipeline.maps import layouts


def maps_of(faces: Mapping[str, np.ndarray]) -> np.ndarray:
    """The whole faces' maps (N, 28, 28, 3) float32 in 0..255, min-max, of the stored flow.

    Up to float16's rounding those of the layout `whole`.
    """
    flow_NxSxSxC = faces["flow_px"]
    maps = [
        layouts.area_average(normalisations.minmax(one), MAP_SIZE, MAP_SIZE) for one in flow_NxSxSxC
    ]
    return np.stack(maps)
