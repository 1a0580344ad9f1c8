"""Reads SMIC-HS (Li et al., 2013), short clips: there is no sheet, folders tell everything."""

import collections
import pathlib
import re
from collections.abc import Iterator, Sequence

from input_pipeline import frame_files, labels, sheet_clips
from input_pipeline.annotation_files import GivenSheets
from input_pipeline.clip_faults import ClipFault
from input_pipeline.clip_table import ClipRecord, FaultyClip, ReadResult
from input_pipeline.clips import CLASS_NAMES
from input_pipeline.errors import InputError
from input_pipeline.frame_files import FrameName
from input_pipeline.source_folder import SourceFolder

DATABASE = "smic"
SUBJECT_FOLDER = re.compile(r"s\d{1,2}", re.ASCII | re.IGNORECASE)
# Six digits or more, the index in the whole recording.
_FRAME_NAMES = {
    "raw": FrameName(re.compile(r"(?:image)?(\d+)", re.ASCII | re.IGNORECASE), "image034208.bmp"),
    "cropped": FrameName(
        re.compile(r"reg_(?:image)?(\d+)", re.ASCII | re.IGNORECASE), "reg_image034208.bmp"
    ),
}
# Other cameras, and the extended clips, which lack seven of the protocol's.
_OTHER_TREES = re.compile(r"(^|/)(VIS|NIR|[^/]*long|SMIC.(HS|VIS|NIR).E)(/|$)", re.IGNORECASE)
_CLIP = re.compile(r"s0*(\d{1,2})_(ne|po|sur)_0*(\d{1,2})", re.ASCII | re.IGNORECASE)
_CODES = dict(zip(("ne", "po", "sur"), CLASS_NAMES, strict=True))
_NEUTRAL = "non_micro"


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
    source = SourceFolder(raw_dir, SUBJECT_FOLDER.fullmatch)
    trees = source.trees(frames, _OTHER_TREES)
    records: list[ClipRecord] = []
    faults: list[FaultyClip] = []
    for (subject, clip), places in sorted(_places(trees).items()):
        label = list(_CODES.values()).index(_CODES[clip.split("_")[1]])
        try:
            records.append(_record(subject, clip, label, places, raw_dir, frames))
        except ClipFault as fault:
            key = f"{DATABASE}/{subject}/{clip}"
            faults.append(FaultyClip(key, fault.code, fault.detail, label))
    return source.noted(ReadResult(clips=tuple(records), faults=tuple(faults)), (), trees)


def _places(
    trees: Sequence[frame_files.OuterFolder],
) -> dict[tuple[str, str], list[pathlib.Path]]:
    """The folders of each clip, best tree first."""
    places = collections.defaultdict(list)
    for tree in trees:
        for name in tree.subjects:
            for folder in _clip_folders(tree.path / name):
                found = _CLIP.fullmatch(folder.name)
                assert found is not None, folder.name
                subject = f"s{int(found[1]):02d}"
                clip = f"{subject}_{found[2].lower()}_{int(found[3]):02d}"
                places[subject, clip].append(folder)
    return places


def _clip_folders(subject: pathlib.Path) -> Iterator[pathlib.Path]:
    """<subject>/micro/<class>/<clip>, with or without the two levels between."""
    level = [subject]
    for _ in range(3):
        named = [frame_files.folders_by_name(folder) for folder in level]
        inner = [path for by_name in named for paths in by_name.values() for path in paths]
        yield from (path for path in inner if _CLIP.fullmatch(path.name))
        level = [
            path
            for path in inner
            if path.name.casefold() != _NEUTRAL and not _CLIP.fullmatch(path.name)
        ]


def _record(
    subject: str,
    clip: str,
    label: int,
    places: list[pathlib.Path],
    raw_dir: pathlib.Path,
    frames: str,
) -> ClipRecord:
    classes = {path.parent.name.casefold() for path in places} & set(CLASS_NAMES)
    if classes - {CLASS_NAMES[label]}:
        raise ClipFault(
            "label_conflict",
            f"the clip's name says {CLASS_NAMES[label]}, its folder {', '.join(sorted(classes))}.",
        )
    found = sheet_clips.first_with_frames(places, _FRAME_NAMES[frames], raw_dir, None, clip)
    return ClipRecord(
        database=DATABASE,
        subject=subject,
        clip=clip,
        onset=found[0][0],
        apex=None,
        offset=found[-1][0],
        emotion=CLASS_NAMES[label],
        label=label,
        label7=labels.classes_of(DATABASE, CLASS_NAMES[label]).label7,
        objective_class=-1,
        frames=found,
    )
