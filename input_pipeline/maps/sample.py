"""One published map with its identifiers, and the step from many of them to Clips."""

import dataclasses

import numpy as np

from input_pipeline.core import progress_lines
from input_pipeline.core.clips import CLASS_NAMES, Clips, sorted_and_checked
from input_pipeline.core.errors import Faults
from input_pipeline.maps import layouts


@dataclasses.dataclass(frozen=True)
class MapSample:
    """A published whole-face map: map_HxWxC is 28x28x3 uint8 in (u, v, strain) order.

    landmarks_5x2 is in map pixels, or None where the publication names none.
    """

    database: str
    subject: str
    clip: str
    label: int
    map_HxWxC: np.ndarray
    landmarks_5x2: np.ndarray | None = None

    @property
    def key(self) -> str:
        """`database/subject/clip`."""
        return f"{self.database}/{self.subject}/{self.clip}"


def check_unshared(samples: list[MapSample]) -> None:
    """Raise InputError where clips of two subjects have the same map, unless it is constant.

    One person's motion never repeats another's in every pixel: one of the two is mislabelled.
    """
    first_of: dict[bytes, MapSample] = {}
    faults = Faults()
    for sample in samples:
        if (sample.map_HxWxC == sample.map_HxWxC[0, 0]).all():
            continue
        first = first_of.setdefault(sample.map_HxWxC.tobytes(), sample)
        if (first.database, first.subject) != (sample.database, sample.subject):
            faults.add(
                f"the clips {first.key} and {sample.key} of two subjects have the same map; every "
                "clip has one of its own; remove or replace the wrong one."
            )
    faults.raise_if_any()


def to_clips(
    samples: list[MapSample],
    dataset: str,
    layout: str,
    provenance: dict[str, str],
    class_names: tuple[str, ...] = CLASS_NAMES,
) -> Clips:
    """The samples composed in a layout, checked and in key order; their values stay as published.

    Mean landmark positions stand in where a sample has none.
    """
    landmarks_Nx5x2 = np.stack(
        [
            layouts.MEAN_LANDMARKS_5x2 if sample.landmarks_5x2 is None else sample.landmarks_5x2
            for sample in samples
        ]
    )
    whole_NxHxWxC = np.stack([sample.map_HxWxC for sample in samples]).astype(np.float32)
    pairs = list(zip(whole_NxHxWxC, landmarks_Nx5x2, strict=True))
    clips = Clips(
        dataset=dataset,
        layout=layout,
        flow_NxHxWxC=np.stack(
            [
                layouts.compose(layout, face, landmarks)
                for face, landmarks in progress_lines.over(pairs, "regions")
            ]
        ),
        flow_whole_NxHxWxC=whole_NxHxWxC,
        label_N=np.array([sample.label for sample in samples]),
        database_N=np.array([sample.database for sample in samples]),
        subject_N=np.array([sample.subject for sample in samples]),
        clip_N=np.array([sample.clip for sample in samples]),
        extras={"landmarks": landmarks_Nx5x2.astype(np.float32)},
        provenance=provenance,
        class_names=class_names,
    )
    return sorted_and_checked(clips, where="the source folder")
