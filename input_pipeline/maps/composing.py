"""From the full-resolution maps of a build to samples of a data set."""

from collections.abc import Iterable, Iterator

import numpy as np

from input_pipeline.databases.rows import ClipRecord
from input_pipeline.flow import strain
from input_pipeline.flow.clip_maps import ClipMaps
from input_pipeline.maps.sample import MapSample


def samples(clips: Iterable[tuple[ClipRecord, ClipMaps]]) -> Iterator[MapSample]:
    """Each clip's map normalised over the whole face: regions keep their size to each other."""
    for record, maps in clips:
        face_SxSxC, _ = strain.normalise_to_255(maps.flow_SxSxC)
        yield MapSample(
            database=record.database,
            subject=record.subject,
            clip=record.clip,
            label=record.label,
            map_HxWxC=face_SxSxC,
            landmarks_5x2=maps.landmarks_5x2,
            extras={
                "emotion": record.emotion,
                "label7": record.label7,
                "objective_class": record.objective_class,
                "flow_max": np.float32(maps.quality.flow_max_px),
                "detector_score": np.float32(maps.quality.detector_score),
            },
        )
