"""Reads CAS(ME)^3 Part A (Li et al., 2023): JpgIndex sheet and colour frames, as unzipped."""

import dataclasses
import pathlib
import re
from collections.abc import Iterable, Iterator

from input_pipeline.core.errors import InputError
from input_pipeline.databases import records, sheet_files, trees
from input_pipeline.databases.database import Database
from input_pipeline.databases.rows import ReadResult
from input_pipeline.databases.sheet_files import GivenSheets
from input_pipeline.databases.source_folder import LeftOut, SourceFolder
from input_pipeline.databases.trees import FrameName

NAME = "casme3"
# A subject's folder of the long videos (spNO.1), or a clip's own folder (spNO.1_a_355).
SUBJECT_FOLDER = re.compile(r"spno\.?\d{1,4}(_[a-z]_\d+)?", re.ASCII | re.IGNORECASE)
# Depth pictures are PNG and may lie where some copies have the colour frames.
# Frames taken out of the videos anew are commonly called img_00175.jpg.
_FRAME_NAME = FrameName(r"(?:img_?)?(\d+)", "175.jpg", (".jpg", ".jpeg"))
# Depth pictures have the colour frames' names; macro-expressions are other clips.
_OTHER_TREES = LeftOut(
    re.compile(r"(^|/)(depth|video|[^/]*MaE[^/]*)(/|$)", re.IGNORECASE),
    "depth pictures, videos or macro-expressions",
)
_SUBJECT = re.compile(r"spno\.?0*(\d{1,4})", re.ASCII | re.IGNORECASE)
_VIDEO = re.compile(r"[a-z]", re.ASCII | re.IGNORECASE)

LABELS = sheet_files.SheetForm(
    what="the CAS(ME)^3 sheet (cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx)",
    columns={
        "subject": ("Subject",),
        "clip": ("Filename",),
        "onset": ("Onset",),
        "apex": ("Apex",),
        "offset": ("Offset",),
        "emotion": ("emotion",),
    },
    # The sheets of all expressions have macro-expressions as well.
    optional={"objective_class": ("Objective class",), "expression": ("Expression type",)},
    names=(r".*ME_label_JpgIndex_v2.*", r".*ME_label_JpgIndex.*", r".*part_A_v\d.*"),
    clip=_VIDEO,
    never=r".*(error_list|wrongly_labeled|MaE_label|part_C).*",
)
_OLDER_SHEET = (
    "the sheet {} is the older one of CAS(ME)^3 (755 clips of 89 subjects in the 3 classes), which "
    "its authors have corrected; name cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx (699 of 88)."
)


def read(raw_dir: pathlib.Path, given: GivenSheets, frames: str) -> ReadResult:
    """The clips of CAS(ME)^3; raises InputError where sheet or frames are not to be found.

    Both forms of the release are read, long videos and clip folders. A clip is named by the
    video's letter and the onset as written in the sheet: `b_166`.
    """
    if frames not in DATABASE.frame_names:
        raise InputError(f"CAS(ME)^3 has no {frames} frames; give --frames=raw.")
    source = SourceFolder(raw_dir, SUBJECT_FOLDER.fullmatch, DATABASE.left_out)
    sheet = source.sheet(LABELS, given)
    found_trees = source.trees(frames)
    # Clips run on in the long videos, and single frames were dropped all over.
    layout = records.SheetLayout(
        NAME, _names, _FRAME_NAME, found_trees, folders=_folders, offset_needed=False
    )
    # The others are macro-expressions, MaE.
    micro = [r for r in sheet.rows if not r.cells.get("expression", "").casefold().startswith("ma")]
    result = records.read_rows(micro, layout)
    left_out = len(sheet.rows) - len(micro)
    macro = {"no micro-expression": left_out} if left_out else {}
    is_older = sheet_files.is_named(sheet.path.name, r".*_v1\.\w+")
    renamed = [p.name for clip in result.clips for _, p in clip.frames if not p.stem.isdigit()]
    note = f"frames named like {renamed[0]} are taken for those of their numbers" if renamed else ""
    result = dataclasses.replace(
        result,
        outside_protocol=result.outside_protocol | macro,
        deviations=(_OLDER_SHEET.format(sheet.path.name),) if is_older else (),
        notes=(note,) if note else (),
    )
    return source.noted(result, (sheet,), found_trees)


def _names(cells: dict[str, str]) -> tuple[str, str]:
    subject = records.safe_name(cells["subject"], _SUBJECT, "subject")
    video = records.safe_name(cells["clip"], _VIDEO, "video")
    # One video holds several clips: the onset tells them apart.
    onset = records.frame_number("onset", cells["onset"])
    return DATABASE.spelling.format(int(subject[1])), f"{video[0].lower()}_{onset}"


def _spelling(name: str) -> str:
    """Folders come as spNO.1, spNo.1 and spNO1."""
    return name.casefold().replace(".", "")


def _folders(
    clip: records.AnnotatedClip, found_trees: Iterable[trees.OuterFolder]
) -> Iterator[pathlib.Path]:
    for tree in found_trees:
        yield from trees.folders_named(tree.path, f"{clip.subject}_{clip.clip}", _spelling)
        for subject in trees.subject_folders(tree.path, clip.subject, _spelling):
            for video in trees.folders_named(subject, clip.clip.split("_")[0], _spelling):
                # Beside the colour frames lie depth pictures; some copies have frames right here.
                yield from trees.folders_named(video, "color")
                yield video


DATABASE = Database(
    name=NAME,
    doi="10.1109/TPAMI.2022.3174895",
    publication="CAS(ME)^3, Part A (Li et al. 2023)",
    subject=_SUBJECT,
    spelling="spNO.{:d}",
    frame_names={"raw": _FRAME_NAME},
    frames_per_second=30,
    read=read,
    sheet_forms=(LABELS,),
    left_out=_OTHER_TREES,
)
