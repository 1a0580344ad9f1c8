"""From the full-resolution maps of a build to the clips of a data set in one layout."""

from collections.abc import Iterator, Sequence

import numpy as np

from input_pipeline.core.clips import MAP_SIZE, Clips, sorted_and_checked
from input_pipeline.databases.rows import ClipRecord
from input_pipeline.flow import strain
from input_pipeline.flow.clip_maps import ClipMaps
from input_pipeline.maps import layouts


def to_clips(
    records: Sequence[ClipRecord],
    maps: Iterator[ClipMaps],
    *,
    dataset: str,
    layout: str,
    provenance: dict[str, str],
    pretend: bool,
) -> Clips:
    """Normalise over the whole face, then cut and join: checked and in key order.

    `maps` yields each record's maps in turn, so that one is in memory at a time.
    """
    flow, whole, landmarks, flow_max, score = [], [], [], [], []
    for _, found in zip(records, maps, strict=True):
        # Before any crop: regions of one clip keep their size relative to each other.
        face_SxSxC, _ = strain.normalise_to_255(found.flow_SxSxC)
        flow.append(layouts.compose(layout, face_SxSxC, found.landmarks_5x2))
        whole.append(layouts.area_average(face_SxSxC, MAP_SIZE, MAP_SIZE))
        landmarks.append(found.landmarks_5x2 * (MAP_SIZE / face_SxSxC.shape[0]))
        flow_max.append(found.quality.flow_max_px)
        score.append(found.quality.detector_score)
    clips = Clips(
        dataset=dataset,
        layout=layout,
        flow_NxHxWxC=np.stack(flow),
        flow_whole_NxHxWxC=np.stack(whole),
        label_N=np.array([record.label for record in records]),
        database_N=np.array([record.database for record in records]),
        subject_N=np.array([record.subject for record in records]),
        clip_N=np.array([record.clip for record in records]),
        extras={
            "emotion": np.array([record.emotion for record in records]),
            "label7": np.array([record.label7 for record in records], np.int64),
            "objective_class": np.array([record.objective_class for record in records], np.int64),
            "landmarks": np.stack(landmarks).astype(np.float32),
            "flow_max": np.array(flow_max, np.float32),
            "detector_score": np.array(score, np.float32),
        },
        provenance=provenance,
        pretend=pretend,
        every_clip=True,
    )
    return sorted_and_checked(clips, where=f"the build of {dataset}", stored=True)
