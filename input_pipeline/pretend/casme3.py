"""A pretend CAS(ME)^3 Part A: long videos with depth, clip folders, and a sheet all of text."""

import itertools
import pathlib
from collections.abc import Sequence

import numpy as np

from input_pipeline.pretend import film, regular, workbooks
from input_pipeline.pretend.film import Film, PretendClip

DATABASE = "casme3"
# `clip` is the video's letter as written in the sheet.
CLIPS = (
    PretendClip("spNO.1", "a", "sad", 455, 459, 462, action_units="4"),
    # Two expressions in one video; a frame dropped beside the apex, and the onset itself.
    PretendClip("spNO.1", "b", "disgust", 97, 101, 104, holes=(102,), action_units="4"),
    PretendClip("spNO.1", "b", "happy", 266, 270, 273, holes=(266,), action_units="12"),
    PretendClip("spNO.12", "h", "surprise", 812, 816, 819, action_units="R2+R1"),
    PretendClip("spNO.12", "h", "Others", 902, 905, 907, action_units="24+T18+16"),
    PretendClip("spNO.77", "e", "others", 1405, 1408, 1410, action_units="B23"),
    # The apex lies before the onset in the sheet.
    PretendClip(
        "spNO.149", "d", "fear", 112, 160, 163, {"apex": 83}, "T28+14", holes=tuple(range(120, 156))
    ),
    # Its first frames were dropped: nothing is near the onset.
    PretendClip("spNO.166", "c", "anger", 2, 7, 14, first=9, action_units="17"),
    PretendClip("spNO.210", "f", "happy", 61, 65, 68, action_units="L14"),
    # There is no 0.jpg, and the sheet's apex is the onset.
    PretendClip("spNO.216", "e", "happy", 1, 1, 8, {"onset": 0, "apex": 0}, "14"),
    # The release's one upper-case letter.
    PretendClip("spNO.14", "J", "happy", 1012, 1016, 1019, action_units="12"),
    PretendClip("spNO.40", "e", "surprise", 1812, 1819, 1828, {"offset": 0}, "18", first=1811),
)
_OBJECTIVE = ("III", "II", "I", "II", "VII", "IV", "VII", "V", "VI", "VII", "I", "II")
# By subject and video: folders that are spelled otherwise than the sheet.
_FOLDER_OF = {("spNO.12", "h"): "spNo.12", ("spNO.210", "f"): "spNO210"}
_IN_CLIP_FOLDERS = (("spNO.1", 455), ("spNO.12", 812))
# Files of a video that do not open; no clip needs them.
_UNREADABLE = (("spNO.14", "J"), range(1040, 1044))


def names(clip: PretendClip) -> tuple[str, str]:
    """Subject and clip as stored: letter and onset as written in the sheet."""
    return clip.subject, f"{clip.clip.lower()}_{clip.cell('onset')}"


def regular_clips(subjects: int) -> tuple[PretendClip, ...]:
    """Clips without dirt, each class once a subject."""
    return regular.clips(
        subjects,
        ("disgust", "happy", "surprise"),
        lambda subject, number, _: (f"spNO.{subject}", "abc"[number - 1]),
    )


def write(root: pathlib.Path, clips: Sequence[PretendClip] = CLIPS, first_face: int = 36) -> None:
    """Write the pretend database into `root`."""
    drawn = Film(DATABASE, clips, first_face)
    part = root / "part_A"
    videos = part / "data" / "part_A_split" / "part_A"
    for clip in clips:
        frames = list(drawn.frames(clip))
        folder = _FOLDER_OF.get((clip.subject, clip.clip), clip.subject)
        video = videos / folder / clip.clip.lower()
        film.write_frames(video / "color", frames, "{}.jpg")
        film.write_frames(video / "depth", _depth(frames), "{}.png", stray=False)
        if (clip.subject, clip.clip) == _UNREADABLE[0]:
            for number in _UNREADABLE[1]:
                (video / "color" / f"{number}.jpg").write_bytes(b"")
        if (clip.subject, clip.onset) in _IN_CLIP_FOLDERS:
            name = f"{clip.subject}_{clip.clip}_{clip.onset}"
            own = root / "Part_A_ME_clip" / "Part_A_ME_clip"
            film.write_frames(own / "frame" / name, frames, "{}.jpg")
            film.write_frames(own / "depth" / name, _depth(frames), "{}.png", stray=False)
    macro = root / "Part_A_MaE_clip" / "frame" / "spNO.1_b_97"
    film.write_frames(macro, _depth(list(drawn.frames(clips[1]))), "{}.png", stray=False)
    sheet = part / "annotation" / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
    _write_sheet(sheet, clips)
    in_protocol = [clip for clip in clips if clip.emotion.lower() != "others"]
    drawn.write_tables(root, in_protocol, names)


def _depth(frames: list[tuple[int, np.ndarray]]) -> list[tuple[int, np.ndarray]]:
    return [(n, picture[::8, ::8, 0].astype(np.uint16) * 16) for n, picture in frames]


def _write_sheet(path: pathlib.Path, clips: Sequence[PretendClip]) -> None:
    header = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion"]
    rows = [
        [
            *(clip.subject, clip.clip, *(str(clip.cell(n)) for n in ("onset", "apex", "offset"))),
            *(clip.action_units, objective, clip.emotion),
        ]
        for clip, objective in zip(clips, itertools.cycle(_OBJECTIVE), strict=False)
    ]
    # By subject as text, as delivered: 1, 12, 149, ..., 3, 40, 77.
    rows.sort(key=lambda row: (row[0], row[1], int(str(row[2]))))
    workbooks.write_xlsx(path, {"label": [header, *rows], "Sheet1": [], "Sheet3": []})
