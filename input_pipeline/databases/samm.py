"""Reads SAMM (Davison et al., 2018): FACS code sheet and frames, as unzipped."""

import pathlib
import re

from input_pipeline.core.errors import InputError
from input_pipeline.databases import frame_choice, records, sheet_files
from input_pipeline.databases.database import Database
from input_pipeline.databases.rows import ReadResult
from input_pipeline.databases.sheet_files import GivenSheets
from input_pipeline.databases.source_folder import LeftOut, SourceFolder
from input_pipeline.databases.trees import FrameName

NAME = "samm"
SUBJECT_FOLDER = re.compile(r"\d{3}", re.ASCII)
# Numbers are those of the long recording, with four digits or five.
_FRAME_NAME = FrameName(r"\d{1,3}_(\d+)", "006_05588.jpg")
# The long videos hold the same numbers, one folder for each recording.
_OTHER_TREES = LeftOut(re.compile(r"long", re.IGNORECASE), "the long videos")
_SUBJECT = re.compile(r"0*(\d{1,3})", re.ASCII)
_CLIP = re.compile(r"\d{1,3}_\d_\d{1,2}", re.ASCII)

CODES = sheet_files.SheetForm(
    what="the SAMM code sheet (SAMM_Micro_FACS_Codes_v2.xlsx)",
    columns=sheet_files.CODING_COLUMNS,
    optional=sheet_files.OBJECTIVE_CLASS,
    names=(r"SAMM_Micro_FACS_Codes_v2.*", r".*SAMM.*(FACS|Micro).*"),
    clip=_CLIP,
)


def read(raw_dir: pathlib.Path, given: GivenSheets, frames: str) -> ReadResult:
    """The clips of SAMM; raises InputError where sheet or frames are not to be found."""
    source = SourceFolder(raw_dir, SUBJECT_FOLDER.fullmatch, DATABASE.left_out)
    sheet = source.sheet(CODES, given)
    try:
        found_trees = source.trees(frames)
    except InputError as error:
        if frames == "raw":
            raise
        raise InputError(
            f"{str(error).removesuffix('.')}; SAMM has no official crop: in the composite give "
            f"--frames={frame_choice.EXAMPLE}."
        ) from error
    layout = records.SheetLayout(NAME, _names, DATABASE.frame_names[frames], found_trees)
    return source.noted(records.read_rows(sheet.rows, layout), (sheet,), found_trees)


def _names(cells: dict[str, str]) -> tuple[str, str]:
    subject = records.safe_name(cells["subject"], _SUBJECT, "subject")
    clip = records.safe_name(cells["clip"], _CLIP, "clip")
    return DATABASE.spelling.format(int(subject[1])), clip[0]


DATABASE = Database(
    name=NAME,
    doi="10.1109/TAFFC.2016.2573832",
    publication="SAMM (Davison et al. 2018)",
    subject=_SUBJECT,
    spelling="{:03d}",
    frame_names={"raw": _FRAME_NAME, "cropped": _FRAME_NAME},
    frames_per_second=200,
    read=read,
    sheet_forms=(CODES,),
    left_out=_OTHER_TREES,
)
