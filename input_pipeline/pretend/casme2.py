"""A pretend CASME II: three trees, three sheets, and the dirt of the real release."""

import pathlib
from collections.abc import Sequence

from input_pipeline.pretend import film, regular, workbooks
from input_pipeline.pretend.film import Film, PretendClip

DATABASE = "casme2"
# Sadness in the sheet of 2014, surprise in that of 2019.
_MOVED = PretendClip("24", "EP07_01", "sadness", 96, 100, 104, action_units=1)
CLIPS = (
    # Across 99 -> 100, where text order fails.
    PretendClip("01", "EP02_01", "happiness", 97, 101, 104, action_units=12),
    PretendClip("01", "EP03_04f", "disgust", 46, 50, 53, action_units="4+7"),
    # The same clip name under two subjects; an odd name.
    PretendClip("03", "EP02_01", "repression", 61, 65, 68, action_units="L14"),
    PretendClip("03", "EP01_2", "surprise", 33, 37, 40, action_units="1+2"),
    PretendClip("04", "EP12_01f", "disgust", 151, 154, 157, {"apex": "/"}, action_units="4+7"),
    PretendClip("04", "EP04_05", "happiness", 13, 17, 20, action_units="R6+R12"),
    PretendClip("05", "EP09_05f", "disgust", 58, 58, 65, action_units=4),
    PretendClip("05", "EP16_04f", "surprise", 24, 29, 29, action_units="1+2"),
    # The frames run on beyond the sheet's offset.
    PretendClip("07", "EP06_01", "disgust", 63, 66, 68, last=93, action_units="?"),
    PretendClip("07", "EP06_02_01", "repression", 8, 12, 15, action_units=14),
    PretendClip("07", "EP06_02_02", "happiness", 998, 1001, 1004, action_units="6+12"),
    PretendClip("09", "EP09f", "happiness", 51, 55, 58, action_units="?"),
    PretendClip("10", "EP01_01", "others", 20, 23, 25, action_units="L1"),
    # Its cropped folder is empty.
    PretendClip("16", "EP01_08", "disgust", 40, 44, 47, action_units="4+9"),
    _MOVED,
    PretendClip("24", "EP05_02", "surprise", 72, 76, 79, action_units="1+2+25"),
    PretendClip("26", "EP11_03", "fear", 34, 37, 39, action_units="20"),
)
_LEAD_IN = 2
_DROPPED = ("others", "sadness", "fear")
_BY_NAME = (("04", "EP12_01f"), ("05", "EP09_05f"))


def regular_clips(subjects: int) -> tuple[PretendClip, ...]:
    """Clips without dirt, each class once a subject."""
    return regular.clips(
        subjects,
        ("disgust", "happiness", "surprise"),
        lambda subject, number, _: (f"{subject:02d}", f"EP{number:02d}_01"),
    )


def write(root: pathlib.Path, clips: Sequence[PretendClip] = CLIPS, first_face: int = 0) -> None:
    """Write the pretend database into `root`."""
    drawn = Film(DATABASE, clips, first_face)
    for clip in clips:
        _write_clip(root, drawn, clip)
    _write_sheets(root, clips)
    in_protocol = [
        clip
        for clip in clips
        if clip.emotion not in _DROPPED and (clip.subject, clip.clip) not in _BY_NAME
    ]
    drawn.write_tables(root, in_protocol, lambda clip: (f"sub{clip.subject}", clip.clip))


def _write_clip(root: pathlib.Path, drawn: Film, clip: PretendClip) -> None:
    name = f"sub{clip.subject}/{clip.clip}"
    frames = list(drawn.frames(clip))
    # The whole recording: a neutral lead-in before the onset, a tail after the offset.
    lead_in = [(number, frames[0][1]) for number in range(clip.onset - _LEAD_IN, clip.onset)]
    tail = [(frames[-1][0] + 1, frames[-1][1])]
    raw = root / "CASME2-RAW" / "CASME2-RAW" / name
    film.write_frames(raw, [*lead_in, *frames, *tail], "img{}.jpg")
    selected = root / "CASME2_RAW_selected" / "CASME2_RAW_selected" / name
    film.write_frames(selected, frames, "img{}.jpg", stray=False)
    cropped = [(number, film.cropped(picture, clip)) for number, picture in frames]
    if clip.clip == "EP01_08":
        cropped = []
    film.write_frames(root / "Cropped" / name, cropped, "reg_img{}.jpg")


def _write_sheets(root: pathlib.Path, clips: Sequence[PretendClip]) -> None:
    header = ["Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None]
    header += ["Action Units", "Estimated Emotion"]
    rows = [
        [c.subject, c.clip, None, c.onset, c.cell("apex"), c.offset, None, c.action_units]
        for c in clips
    ]
    old = [[*row, clip.emotion] for row, clip in zip(rows, clips, strict=True)]
    workbooks.write_xlsx(
        root / "CASME2-coding-20140508.xlsx", {"Sheet1": [header, *old], "Sheet2": [], "Sheet3": []}
    )
    new = [
        [*row, "surprise" if clip is _MOVED else clip.emotion, 1 + place % 7]
        for place, (row, clip) in enumerate(zip(rows, clips, strict=True))
    ]
    workbooks.write_xlsx(
        root / "CASME2-coding-20190701.xlsx", {"Sheet1": [[*header, "Objective Classes"], *new]}
    )
    classes = [[c.subject, c.clip, 7 - place % 7] for place, c in enumerate(clips)]
    workbooks.write_xlsx(
        root / "CASME2-ObjectiveClasses.xlsx",
        {"Sheet1": [["Subject", "Filename", "Objective Class"], *classes]},
    )
