"""One whole-face map with its identifiers, and the step from many of them to Clips."""

import dataclasses
from collections.abc import Iterable

import numpy as np

from input_pipeline.core.clips import CLASS_NAMES, MAP_SIZE, Clips, sorted_and_checked
from input_pipeline.core.errors import Faults
from input_pipeline.core.map_form import FORMS
from input_pipeline.maps import layouts


@dataclasses.dataclass(frozen=True)
class MapSample:
    """A whole-face map, square and no smaller than the layout's: its channels as 0..255.

    landmarks_5x2 is in map pixels, or None where nobody names them; `extras` are further columns
    of the clip.
    """

    database: str
    subject: str
    clip: str
    label: int
    map_HxWxC: np.ndarray
    landmarks_5x2: np.ndarray | None = None
    extras: dict[str, str | int | np.float32] = dataclasses.field(default_factory=dict)

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
    samples: Iterable[MapSample],
    *,
    where: str,
    dataset: str,
    layout: str,
    provenance: dict[str, str],
    pretend: bool = False,
    class_names: tuple[str, ...] = CLASS_NAMES,
    every_clip: bool = False,
) -> Clips:
    """The samples composed in a layout, checked and in key order; `where` names them in messages.

    Only one sample's whole map is in memory at a time. Mean landmark positions stand in where a
    sample has none.
    """
    rows: list[dict[str, object]] = []
    form = FORMS[layout]
    for sample in samples:
        size = sample.map_HxWxC.shape[0]
        landmarks_5x2 = sample.landmarks_5x2
        if landmarks_5x2 is None:
            landmarks_5x2 = layouts.MEAN_LANDMARKS_5x2 * (size / MAP_SIZE)
        rows.append(
            {
                "flow": layouts.compose(form.cut, sample.map_HxWxC, landmarks_5x2, form.map_size),
                "flow_whole": layouts.area_average(sample.map_HxWxC, form.map_size, form.map_size),
                "label": sample.label,
                "database": sample.database,
                "subject": sample.subject,
                "clip": sample.clip,
                "landmarks": np.asarray(landmarks_5x2 * (MAP_SIZE / size), np.float32),
                **sample.extras,
            }
        )
    clips = Clips.of_columns(
        {name: np.stack([np.asarray(row[name]) for row in rows]) for name in rows[0]},
        dataset=dataset,
        layout=layout,
        provenance=provenance,
        pretend=pretend,
        class_names=class_names,
        every_clip=every_clip,
    )
    return sorted_and_checked(clips, where=where, stored=every_clip)
