"""Reads CASME II (Yan et al., 2014): coding sheet and frames, as unzipped."""

import pathlib
import re

from input_pipeline.databases import records, sheet_files
from input_pipeline.databases.database import Database
from input_pipeline.databases.rows import ReadResult
from input_pipeline.databases.sheet_files import GivenSheets
from input_pipeline.databases.source_folder import SourceFolder
from input_pipeline.databases.trees import FrameName

NAME = "casme2"
SUBJECT_FOLDER = re.compile(r"sub\d{1,2}", re.ASCII | re.IGNORECASE)
_SUBJECT = re.compile(r"(?:sub)?0*(\d{1,2})", re.ASCII | re.IGNORECASE)
_CLIP = re.compile(r"EP\w{1,30}", re.ASCII | re.IGNORECASE)

CODING = sheet_files.SheetForm(
    what="the CASME II coding sheet (CASME2-coding-20140508.xlsx)",
    columns=sheet_files.CODING_COLUMNS,
    optional=sheet_files.OBJECTIVE_CLASS,
    # The composite list follows the sheet of 2014.
    names=(r".*coding.*20140508.*", r".*coding.*"),
    clip=_CLIP,
)
OBJECTIVE = sheet_files.SheetForm(
    what="the sheet of objective classes of CASME II (CASME2-ObjectiveClasses.xlsx)",
    columns={"subject": ("Subject",), "clip": ("Filename",), **sheet_files.OBJECTIVE_CLASS},
    optional={},
    names=(r".*objective.*",),
    clip=_CLIP,
)


def read(raw_dir: pathlib.Path, given: GivenSheets, frames: str) -> ReadResult:
    """The clips of CASME II; raises InputError where sheet or frames are not to be found."""
    source = SourceFolder(raw_dir, SUBJECT_FOLDER.fullmatch)
    sheet = source.sheet(CODING, given)
    # Later coding sheets have such a column as well, but classes of another version.
    delivered = [path for path in source.possible_sheets if "objective" in path.name.lower()]
    objective = sheet_files.find(OBJECTIVE, [*given.named, *given.above, *delivered])
    sheets = (sheet, objective) if objective else (sheet,)
    with_classes = objective.rows if objective else []
    class_of = {_plain(row.cells): row.cells["objective_class"] for row in with_classes}
    found_trees = source.trees(frames)
    layout = records.SheetLayout(NAME, _names, DATABASE.frame_names[frames], found_trees)
    for _, cells in sheet.rows:
        # The sheet of 2019 has a column of its own, with other classes.
        cells["objective_class"] = class_of.get(_plain(cells)) or cells.get("objective_class", "")
    return source.noted(records.read_rows(sheet.rows, layout), sheets, found_trees)


def _names(cells: dict[str, str]) -> tuple[str, str]:
    subject = records.safe_name(cells["subject"], _SUBJECT, "subject")
    clip = records.safe_name(cells["clip"], _CLIP, "clip")
    return DATABASE.spelling.format(int(subject[1])), clip[0]


def _plain(cells: dict[str, str]) -> tuple[str, str]:
    return cells["subject"].lower().removeprefix("sub").lstrip("0"), cells["clip"].casefold()


DATABASE = Database(
    name=NAME,
    doi="10.1371/journal.pone.0086041",
    publication="CASME II (Yan et al. 2014)",
    subject=re.compile(r"sub0*(\d{1,2})", re.ASCII | re.IGNORECASE),
    spelling="sub{:02d}",
    # Numbers are those of the whole recording in all three trees.
    frame_names={
        "raw": FrameName(r"img(\d+)", "img59.jpg"),
        "cropped": FrameName(r"reg_img(\d+)", "reg_img59.jpg"),
    },
    frames_per_second=200,
    read=read,
    sheet_forms=(CODING, OBJECTIVE),
)
