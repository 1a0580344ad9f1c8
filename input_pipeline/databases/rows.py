"""The table of clips that every reader returns: annotation, labels and frame files, no pixels."""

import collections
import dataclasses
import operator
import pathlib
from typing import Any

from input_pipeline.core.clips import CLASS_NAMES


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipRecord:
    """One clip as annotated and as found on disk.

    Frame numbers are those of the file names. `frames` ascends and may have holes; it reaches
    two frames beyond the annotated range where the database holds them.
    """

    database: str
    subject: str
    clip: str
    onset: int
    # None where no apex is annotated: all of SMIC, single clips outside the protocol.
    apex: int | None
    offset: int
    # As written in the sheet, or the name of the clip's folder.
    emotion: str
    # Index into the classes of the data set's protocol, the usual three of most; -1 outside it.
    label: int
    # -1 where the database has none.
    label7: int = -1
    objective_class: int = -1
    # Whether an apex that is not annotated is no fault though the clip has a class.
    apex_optional: bool = False
    frames: tuple[tuple[int, pathlib.Path], ...]

    @property
    def key(self) -> str:
        """`database/subject/clip`."""
        return f"{self.database}/{self.subject}/{self.clip}"


# Codes of clips that are not there at all, as against those that are and cannot be used.
_ABSENT = ("no_frames", "not_found")


@dataclasses.dataclass(frozen=True)
class FaultyClip:
    """A clip that cannot be used; `code` is a key of clip_faults.REASONS.

    `known` says where the defect is described if it belongs to the release. `label` is -1 where
    the class is unknown or the clip is `outside` the protocol.
    """

    key: str
    code: str
    detail: str
    label: int = -1
    known: str = ""
    outside: bool = False
    objective_class: int = -1

    @property
    def stops_build(self) -> bool:
        """Whether a build ends here unless bad clips are skipped."""
        return not (self.known or self.outside)

    @property
    def is_missing(self) -> bool:
        """Whether nothing of the clip is on the disk, and the release is not known for that."""
        return self.code in _ABSENT and not self.known


@dataclasses.dataclass(frozen=True)
class AppliedCorrection:
    """One cell of a sheet that was replaced, with the reason and where it was published."""

    key: str
    field: str
    old: str
    new: str
    reason: str
    source: str


@dataclasses.dataclass(frozen=True)
class ReadResult:
    """What a reader found: usable clips in key order, and everything that was not taken as is.

    Labels are indices into `class_names`, -1 outside the protocol. `outside_protocol` counts the
    rows outside it, and those that are no clips, by reason; `deviations` says how the protocol's
    clips (those that are there, usable or not) differ from the published counts; `notes` names
    the sheets and folders that were read, relative to the raw folder; `frames` says for each
    database whether its raw or its cropped frames were read; `pretend` is set where one of the
    databases was made by fake_database.
    """

    clips: tuple[ClipRecord, ...] = ()
    faults: tuple[FaultyClip, ...] = ()
    corrections: tuple[AppliedCorrection, ...] = ()
    outside_protocol: dict[str, int] = dataclasses.field(default_factory=dict)
    deviations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    frames: dict[str, str] = dataclasses.field(default_factory=dict)
    pretend: bool = False
    class_names: tuple[str, ...] = CLASS_NAMES

    def __post_init__(self) -> None:
        for name in ("clips", "faults"):
            in_order = tuple(sorted(getattr(self, name), key=operator.attrgetter("key")))
            object.__setattr__(self, name, in_order)

    def labels(self) -> dict[str, int]:
        """Key and class of every clip of the protocol, faulty ones included."""
        labels = {clip.key: clip.label for clip in self.clips if clip.label >= 0}
        return labels | {fault.key: fault.label for fault in self.faults if fault.label >= 0}


def merged(results: list[ReadResult]) -> ReadResult:
    """Several databases as one table, clips and faults in key order."""
    outside: collections.Counter[str] = collections.Counter()
    joined: dict[str, Any] = {}
    for result in results:
        outside.update(result.outside_protocol)
        for name in ("clips", "faults", "corrections", "deviations", "notes"):
            joined[name] = (*joined.get(name, ()), *getattr(result, name))
    return ReadResult(**joined, outside_protocol=dict(sorted(outside.items())))
