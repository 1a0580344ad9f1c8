"""Reads SMIC-HS (Li et al., 2013), short clips: without a sheet, by its folders alone."""

import collections
import pathlib
import re
from collections.abc import Iterator, Sequence

from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.core.clips import CLASS_NAMES
from input_pipeline.core.errors import InputError
from input_pipeline.databases import expected_counts, known_defects, labels, records, trees
from input_pipeline.databases.database import Database
from input_pipeline.databases.rows import ClipRecord, FaultyClip, ReadResult
from input_pipeline.databases.sheet_files import GivenSheets
from input_pipeline.databases.source_folder import LeftOut, SourceFolder
from input_pipeline.databases.trees import FrameName

NAME = "smic"
SUBJECT_FOLDER = re.compile(r"s\d{1,2}", re.ASCII | re.IGNORECASE)
# The extended clips lack two of the protocol's in the original sheet, s01_ne_02 and s02_sur_05.
_OTHER_TREES = LeftOut(
    re.compile(r"(^|/)(VIS|NIR|[^/]*long|SMIC.(HS|VIS|NIR).E)(/|$)", re.IGNORECASE),
    "of other cameras (VIS, NIR) or the extended clips (SMIC-E), which lack clips of the protocol",
)
_CLIP = re.compile(r"s0*(\d{1,2})_(ne|po|sur)_0*(\d{1,2})", re.ASCII | re.IGNORECASE)
# Of the classes, in label order.
_CODES = ("ne", "po", "sur")


def read(raw_dir: pathlib.Path, given: GivenSheets, frames: str) -> ReadResult:
    """The clips of SMIC-HS, onset at the first frame, offset at the last, no apex.

    Raises InputError where frames are not to be found, or a sheet is named: it would be of the
    extended clips.
    """
    if given.named:
        raise InputError(
            f"SMIC-HS needs no annotation sheet, got '{given.named[0].name}'; its classes are "
            "those of the folders; leave --annotations out."
        )
    source = SourceFolder(raw_dir, SUBJECT_FOLDER.fullmatch, DATABASE.left_out)
    found_trees = source.trees(frames)
    _check_own_name(raw_dir.resolve().name, found_trees)
    clips: list[ClipRecord] = []
    all_places = _places(found_trees)
    faults = _lost(raw_dir, frames, {f"{NAME}/{s}/{c}" for s, c in all_places})
    for (subject, clip), places in sorted(all_places.items()):
        label = list(_CODES).index(clip.split("_")[1])
        try:
            clips.append(_record(subject, clip, label, places, frames))
        except ClipFault as fault:
            key = f"{NAME}/{subject}/{clip}"
            faults.append(FaultyClip(key, fault.code, fault.detail, label))
    return source.noted(ReadResult(clips=tuple(clips), faults=tuple(faults)), (), found_trees)


def _lost(raw_dir: pathlib.Path, frames: str, found: set[str]) -> list[FaultyClip]:
    """The clips whose folder itself the release has lost: no sheet tells that they belong to it."""
    label_of = clips_by_counts(expected_counts.expected(NAME, raw_dir))
    lost = known_defects.without_frames(NAME, frames) - found
    return [
        FaultyClip(key, "no_frames", "the clip has no folder.", label_of[key])
        for key in sorted(lost & label_of.keys())
    ]


def clips_by_counts(wanted: expected_counts.Expected) -> dict[str, int]:
    """Key and class of every clip: those of a subject's class are numbered without gaps."""
    return {
        f"{NAME}/{subject}/{subject}_{code}_{number:02d}": label
        for subject, counts in wanted.per_subject.items()
        for label, (code, count) in enumerate(zip(_CODES, counts, strict=True))
        for number in range(1, count + 1)
    }


def _check_own_name(name: str, found_trees: Sequence[trees.OuterFolder]) -> None:
    """Raise InputError where the raw folder itself is one of those that are left out."""
    is_hs = any(part.casefold() == "hs" for tree in found_trees for part in tree.path.parts[-3:])
    if _OTHER_TREES.pattern.fullmatch(name) and not is_hs:
        raise InputError(
            f"the folder '{name}' is left out on purpose: its clips are {_OTHER_TREES.why}; name "
            "the folder that holds HS, the short clips of the high-speed camera, such as "
            "SMIC_all_raw."
        )


def _places(found_trees: Sequence[trees.OuterFolder]) -> dict[tuple[str, str], list[pathlib.Path]]:
    """The folders of each clip, best tree first."""
    places = collections.defaultdict(list)
    for tree in found_trees:
        for name in tree.subjects:
            for folder in _clip_folders(tree.path / name):
                found = _CLIP.fullmatch(folder.name)
                assert found is not None, folder.name
                subject = DATABASE.spelling.format(int(found[1]))
                clip = f"{subject}_{found[2].lower()}_{int(found[3]):02d}"
                places[subject, clip].append(folder)
    return places


def _clip_folders(subject: pathlib.Path) -> Iterator[pathlib.Path]:
    """<subject>/micro/<class>/<clip>, with or without the two levels between, or doubled."""
    level = [subject]
    for _ in range(4):
        inner = [folder / name for folder in level for name in trees.listed(folder).folders]
        yield from (path for path in inner if _CLIP.fullmatch(path.name))
        others = [path for path in inner if not _CLIP.fullmatch(path.name)]
        level = [path for path in others if path.name.casefold() != "non_micro"]


def _record(
    subject: str, clip: str, label: int, places: list[pathlib.Path], frames: str
) -> ClipRecord:
    classes = {path.parent.name.casefold() for path in places} & set(CLASS_NAMES)
    if classes - {CLASS_NAMES[label]}:
        raise ClipFault(
            "label_conflict",
            f"the clip's name says {CLASS_NAMES[label]}, its folder {', '.join(sorted(classes))}.",
        )
    found = records.first_with_frames(places, DATABASE.frame_names[frames], None, clip)
    return ClipRecord(
        database=NAME,
        subject=subject,
        clip=clip,
        onset=found[0][0],
        apex=None,
        offset=found[-1][0],
        emotion=CLASS_NAMES[label],
        label=label,
        label7=labels.classes_of(NAME, CLASS_NAMES[label]).label7,
        frames=found,
    )


DATABASE = Database(
    name=NAME,
    doi="10.1109/FG.2013.6553717",
    publication="SMIC-HS (Li et al. 2013)",
    subject=re.compile(r"s0*(\d{1,2})", re.ASCII | re.IGNORECASE),
    spelling="s{:02d}",
    # Six digits or more, the index in the whole recording.
    frame_names={
        "raw": FrameName(r"(?:image)?(\d+)", "image034208.bmp"),
        "cropped": FrameName(r"reg_(?:image)?(\d+)", "reg_image034208.bmp"),
    },
    # Its high-speed camera.
    frames_per_second=100,
    read=read,
    has_apex=False,
    left_out=_OTHER_TREES,
    clips_by_counts=clips_by_counts,
)
