"""A pretend SAMM: grey frames with four or five digits, a sheet below its own preamble."""

import pathlib
from collections.abc import Sequence

from input_pipeline.pretend import film, regular, workbooks
from input_pipeline.pretend.film import Film, PretendClip

DATABASE = "samm"
CLIPS = (
    PretendClip("006", "006_1_2", "Anger", 9998, 10002, 10005, action_units="4+7"),
    PretendClip("006", "006_2_4", "Contempt", 98, 102, 105, action_units="A14C"),
    PretendClip("006", "006_5_10", "Surprise", 640, 644, 647, action_units="15A+17"),
    PretendClip("007", "007_6_1", "Happiness", 412, 416, 419, action_units=12),
    PretendClip("007", "007_3_1", "Disgust", 233, 237, 240, action_units="12+15 "),
    PretendClip("011", "011_2_1", "Other", 733, 736, 738, action_units="(R6 or R12)+R15"),
    # Digits swapped in older copies of the sheet.
    PretendClip("013", "013_1_9", "Sadness", 5731, 5735, 5739, {"offset": 5793}, "1+4"),
    PretendClip("018", "018_7_1", "Surprise", 12340, 12344, 12347, action_units="1+2"),
    # Apex after the offset, apex before the onset: typing slips of the release.
    PretendClip("028", "028_4_1", "Contempt", 1109, 1113, 1117, {"apex": 1143}, "A14C"),
    PretendClip("032", "032_3_1", "Fear", 4926, 4930, 4933, {"apex": 1930}, "R14+17+soft focus"),
)
# Recordings whose frames have five digits.
_WIDE = ("006_1", "013_1", "018_7")
_PREAMBLE: tuple[list[str], ...] = (
    ["SAMM: pretend copy with invented numbers"],
    [],
    ["Citation: none, this is no licensed data"],
    [],
    ["Key"],
    ["/", "one or the other"],
    ["?", "not certain"],
    ["L", "left"],
    ["R", "right"],
    ["A to E", "intensity"],
    [],
    ["Subject numbers are text"],
    [],
)
_HEADER = ("Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame")
_FURTHER = ("Duration", "Micro", "Action Units", "Estimated Emotion", "Objective Classes", "Notes")


def regular_clips(subjects: int) -> tuple[PretendClip, ...]:
    """Clips without dirt, each class once a subject."""
    return regular.clips(
        subjects,
        ("Anger", "Happiness", "Surprise"),
        lambda subject, number, _: (f"{subject:03d}", f"{subject:03d}_{number}_1"),
    )


def write(root: pathlib.Path, clips: Sequence[PretendClip] = CLIPS, first_face: int = 12) -> None:
    """Write the pretend database into `root`."""
    drawn = Film(DATABASE, clips, first_face)
    for clip in clips:
        grey = [(n, picture[..., 1]) for n, picture in drawn.frames(clip)]
        cropped = [(n, film.cropped(picture, clip)) for n, picture in grey]
        digits = 5 if clip.clip.rsplit("_", 1)[0] in _WIDE else 4
        name = f"{clip.subject}_{{:0{digits}d}}.jpg"
        inside = pathlib.Path(clip.subject, clip.clip)
        film.write_frames(root / "SAMM" / "SAMM" / inside, grey, name)
        film.write_frames(root / "SAMM_CROP" / inside, cropped, name, stray=False)
    _write_sheet(root, clips)
    in_protocol = [clip for clip in clips if clip.emotion != "Other"]
    drawn.write_tables(root, in_protocol, lambda clip: (clip.subject, clip.clip))


def _write_sheet(root: pathlib.Path, clips: Sequence[PretendClip]) -> None:
    rows: list[list[object]] = [list(row) for row in (*_PREAMBLE, (*_HEADER, *_FURTHER))]
    values = {}
    for place, clip in enumerate(clips):
        number = len(rows) + 1
        onset, apex, offset = (int(str(clip.cell(name))) for name in ("onset", "apex", "offset"))
        # A formula with the value that the spreadsheet program stored.
        values[f"G{number}"] = offset - onset + 1
        rows.append(
            [
                *(clip.subject, clip.clip, int(clip.clip.split("_")[1]), onset, apex, offset),
                *(f"=F{number}-D{number}+1", "Micro - 1/2", clip.action_units, clip.emotion),
                *(1 + place % 7, "Blinks" if place % 3 == 0 else None),
            ]
        )
    workbooks.write_xlsx(root / "SAMM_Micro_FACS_Codes_v2.xlsx", {"MICRO_ONLY": rows}, values)
