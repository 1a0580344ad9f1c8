"""Rows of an annotation sheet to clips: names, corrections, classes, frame numbers, frames.

Databases with a sheet differ in names and folders (`SheetLayout`); what may be wrong with
a row is the same for all.
"""

import collections
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.databases import labels, trees
from input_pipeline.databases.corrections import Corrections, Part
from input_pipeline.databases.rows import ClipRecord, FaultyClip, ReadResult
from input_pipeline.databases.trees import NEAREST

# xls files store whole numbers with a decimal point.
_NUMBER = re.compile(r"(\d{1,9})(?:\.0+)?", re.ASCII)
_NOT_ANNOTATED = ("", "/")


class AnnotatedClip(NamedTuple):
    """One row, its names as stored already, and its cells as written."""

    row: int
    subject: str
    clip: str
    cells: dict[str, str]


def subject_and_clip_folders(
    clip: AnnotatedClip, found_trees: Iterable[trees.OuterFolder]
) -> Iterator[pathlib.Path]:
    """<tree>/<subject>/<clip> in each tree that has it, upper and lower case aside."""
    for tree in found_trees:
        for subject in trees.subject_folders(tree.path, clip.subject):
            yield from trees.folders_named(subject, clip.clip)


FoldersOf = Callable[[AnnotatedClip, Iterable[trees.OuterFolder]], Iterable[pathlib.Path]]


class SheetLayout(NamedTuple):
    """How a database names and stores its clips.

    `names` turns subject and clip as written into what is stored, or raises ClipFault
    (bad_name, annotation_number). `folders` lists where in the trees found a clip's frames may
    lie, best first. The offset frame must exist where `offset_needed`.
    """

    database: str
    names: Callable[[dict[str, str]], tuple[str, str]]
    frame_name: trees.FrameName
    found_trees: Sequence[trees.OuterFolder]
    folders: FoldersOf = subject_and_clip_folders
    offset_needed: bool = True


def read_rows(rows: Iterable[tuple[int, dict[str, str]]], layout: SheetLayout) -> ReadResult:
    """The clips of a sheet's rows, whose cells are named as in sheet_files.CODING_COLUMNS.

    Each faulty clip is reported once, with the first fault that it shows.
    """
    corrections = Corrections(layout.database)
    faults: list[FaultyClip] = []
    not_counted: collections.Counter[str] = collections.Counter()
    records: list[ClipRecord] = []
    for clips in _by_key(rows, layout, faults).values():
        clip = clips[0]
        part = corrections.part_of(clip.subject, clip.clip)
        if part is Part.NO_CLIP:
            not_counted["no clip of the database"] += len(clips)
            continue
        key, label = f"{layout.database}/{clip.subject}/{clip.clip}", -1
        objective = labels.objective_class(clip.cells.get("objective_class", ""))
        why_outside = "left out of the protocol by name" if part is Part.OUTSIDE else ""
        try:
            emotions = [_corrected(c, "emotion", corrections) for c in clips]
            classes = [labels.classes_of(layout.database, emotion) for emotion in emotions]
            in_protocol = [c.label for c in classes if c.label is not None]
            if not in_protocol:
                why_outside = why_outside or f"emotion {emotions[0].casefold()}"
            elif not why_outside:
                label = in_protocol[0]
            if len(clips) > 1:
                where = ", ".join(str(c.row) for c in clips)
                raise ClipFault("duplicate_key", f"the rows {where} of the sheet name this clip.")
            records.append(_record(clip, layout, corrections, label, classes[0].label7))
        except ClipFault as fault:
            outside = bool(why_outside)
            faults.append(FaultyClip(key, fault.code, fault.detail, label, "", outside, objective))
        if why_outside:
            not_counted[why_outside] += len(clips)
    return ReadResult(
        clips=tuple(records),
        faults=tuple(faults),
        corrections=tuple(corrections.applied),
        outside_protocol=dict(sorted(not_counted.items())),
    )


def safe_name(text: str, pattern: re.Pattern[str], what: str) -> re.Match[str]:
    """The match of a subject's or clip's name; raises ClipFault (bad_name) on any other text."""
    found = pattern.fullmatch(text)
    if found is None:
        shown = ascii(text[:40]) + ("..." if len(text) > 40 else "")
        raise ClipFault("bad_name", f"the {what} reads {shown} ({len(text)} characters).")
    return found


def _by_key(
    rows: Iterable[tuple[int, dict[str, str]]], layout: SheetLayout, faults: list[FaultyClip]
) -> dict[tuple[str, str], list[AnnotatedClip]]:
    by_key: dict[tuple[str, str], list[AnnotatedClip]] = {}
    for number, cells in rows:
        try:
            subject, clip = layout.names(cells)
        except ClipFault as fault:
            # The name itself is not fit to be part of a key.
            key = f"{layout.database}/?/row {number}"
            faults.append(FaultyClip(key, fault.code, fault.detail))
            continue
        # Two spellings of one clip are the same clip.
        annotated = AnnotatedClip(number, subject, clip, cells)
        by_key.setdefault((subject, clip.casefold()), []).append(annotated)
    return by_key


def _record(
    clip: AnnotatedClip, layout: SheetLayout, corrections: Corrections, label: int, label7: int
) -> ClipRecord:
    def number(name: str) -> int:
        return frame_number(name, _corrected(clip, name, corrections))

    onset, offset = number("onset"), number("offset")
    # Outside the protocol the apex may be unknown.
    apex = None if clip.cells["apex"] in _NOT_ANNOTATED and label < 0 else number("apex")
    if not onset <= (onset if apex is None else apex) <= offset:
        raise ClipFault(
            "annotation_order",
            f"onset {onset}, apex {apex}, offset {offset}: the apex must lie between the others.",
        )
    within = (onset - NEAREST, offset + NEAREST)
    shown = f"{clip.subject}/{clip.clip}"
    frames = first_with_frames(
        layout.folders(clip, layout.found_trees), layout.frame_name, within, shown
    )
    needed = {"onset": onset, "apex": apex, "offset": offset if layout.offset_needed else None}
    for name, wanted in needed.items():
        if wanted is not None:
            trees.near(frames, wanted, name)
    return ClipRecord(
        database=layout.database,
        subject=clip.subject,
        clip=clip.clip,
        onset=onset,
        apex=apex,
        offset=offset,
        emotion=clip.cells["emotion"],
        label=label,
        label7=label7,
        objective_class=labels.objective_class(clip.cells.get("objective_class", "")),
        frames=frames,
    )


def _corrected(clip: AnnotatedClip, field: str, corrections: Corrections) -> str:
    return corrections.apply(clip.subject, clip.clip, field, clip.cells[field])


def frame_number(name: str, text: str) -> int:
    """The frame number in a cell; `name` is onset, apex or offset.

    Raises ClipFault (annotation_number, annotation_missing, apex_missing).
    """
    found = _NUMBER.fullmatch(text)
    if found:
        return int(found[1])
    if text in _NOT_ANNOTATED:
        code = "apex_missing" if name == "apex" else "annotation_missing"
        raise ClipFault(code, f"the {name} reads {text!a}.")
    raise ClipFault("annotation_number", f"the {name} reads {text[:40]!a}.")


def first_with_frames(
    folders: Iterable[pathlib.Path],
    name: trees.FrameName,
    numbers: tuple[int, int] | None,
    shown: str,
) -> trees.Frames:
    """The frames of the first folder that holds any; `shown` names the clip in faults.

    Raises ClipFault as trees.numbered_frames.
    """
    fault = ClipFault("no_frames", f"no folder of the clip '{shown}' is there.")
    for folder in folders:
        try:
            return trees.numbered_frames(folder, name, numbers)
        except ClipFault as found:
            if found.code != "no_frames":
                raise
            fault = found
    raise fault
