"""Databases in their native layout with made-up names and empty-looking frames, for the readers.

Readers decode no picture, so that a frame here is a few bytes, other ones in every file.
"""

import csv
import io
import pathlib
from collections.abc import Iterable, Sequence

import openpyxl

CASME2_HEADER = ["Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None]
CASME2_HEADER += ["Action Units", "Estimated Emotion"]
SAMM_HEADER = ["Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame"]
SAMM_HEADER += ["Offset Frame", "Duration", "Micro", "Action Units", "Estimated Emotion"]
SAMM_HEADER += ["Objective Classes", "Notes"]
CASME3_HEADER = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class"]
CASME3_HEADER += ["emotion"]


def write_xlsx(path: pathlib.Path, rows: Sequence[Sequence[object]], name: str = "Sheet1") -> None:
    book = openpyxl.Workbook()
    book.active.title = name
    for row in rows:
        book.active.append(list(row))
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)


def write_csv(path: pathlib.Path, rows: Sequence[Sequence[object]]) -> None:
    """As a spreadsheet program exports it: byte order mark and CRLF."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows([["" if c is None else c for c in row] for row in rows])
    path.write_bytes(b"\xef\xbb\xbf" + buffer.getvalue().encode())


def write_frames(folder: pathlib.Path, names: Iterable[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        # The subject's and the clip's folder, so that no two clips share a picture.
        (folder / name).write_bytes("/".join((*folder.parts[-3:], name)).encode())


def write_counts(
    root: pathlib.Path, database: str, counts: dict[str, tuple[int, int, int]]
) -> None:
    """The counts that a pretend database brings along; none stand for a real one."""
    lines = ["database,subject,subjects,negative,positive,surprise,source"]
    lines += [f"{database},{s},1,{a},{b},{c},test" for s, (a, b, c) in counts.items()]
    (root / "pretend_database.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def casme2_row(
    subject="01", clip="EP02_01f", onset=97, apex=101, offset=104, emotion="happiness"
) -> list[object]:
    return [subject, clip, None, onset, apex, offset, None, "4+7", emotion]


def casme2(root: pathlib.Path, rows: Sequence[list[object]], frames: bool = True) -> pathlib.Path:
    """CASME II with these rows, and frames from onset - 1 to offset + 1 where rows are sound."""
    write_xlsx(root / "CASME2-coding-20140508.xlsx", [CASME2_HEADER, *rows])
    for row in rows if frames else ():
        name = f"CASME2-RAW/CASME2-RAW/sub{row[0]}/{row[1]}"
        write_frames(root / name, [f"img{n}.jpg" for n in range(row[3] - 1, row[5] + 2)])
    return root


def samm_row(
    subject="006", clip="006_1_2", onset=5540, apex=5544, offset=5548, emotion="Anger"
) -> list[object]:
    numbers = [onset, apex, offset, offset - onset + 1]
    return [subject, clip, 1, *numbers, "Micro - 1/2", "4+7", emotion, 3, None]


def samm(root: pathlib.Path, rows: Sequence[list[object]], digits: int = 5) -> pathlib.Path:
    preamble = [["citation"], [], ["/", "or"], *[[]] * 10]
    sheet = [*preamble, SAMM_HEADER, *rows]
    write_xlsx(root / "SAMM_Micro_FACS_Codes_v2.xlsx", sheet, "MICRO_ONLY")
    for row in rows:
        names = [f"{row[0]}_{n:0{digits}d}.jpg" for n in range(row[3], row[5] + 1)]
        write_frames(root / "SAMM" / "SAMM" / row[0] / row[1], names)
    return root


def casme3_row(
    subject="spNO.1", video="b", onset="266", apex="270", offset="273", emotion="disgust"
) -> list[object]:
    return [subject, video, onset, apex, offset, "4", "III", emotion]


def casme3(root: pathlib.Path, rows: Sequence[list[object]], frames: bool = True) -> pathlib.Path:
    part = root / "part_A"
    write_xlsx(
        part / "annotation" / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", [CASME3_HEADER, *rows]
    )
    for row in rows if frames else ():
        folder = part / "data" / "part_A_split" / "part_A" / row[0] / row[1] / "color"
        write_frames(folder, [f"{n}.jpg" for n in range(int(row[2]), int(row[4]) + 1)])
    return root


def smic(root: pathlib.Path, clips: Iterable[tuple[str, str, int]]) -> pathlib.Path:
    """SMIC-HS with (clip, class folder, first frame); three frames each."""
    for clip, folder, first in clips:
        inside = root / "SMIC_all_raw" / "HS" / clip.split("_")[0] / "micro" / folder / clip
        write_frames(inside, [f"image{n:06d}.bmp" for n in range(first, first + 3)])
    return root


def codes(result) -> dict[str, str]:
    """Reason code of each faulty clip by `subject/clip`."""
    return {fault.key.split("/", 1)[1]: fault.code for fault in result.faults}


def keys(result) -> list[str]:
    """`subject/clip` of the usable clips of the protocol, in order."""
    return [clip.key.split("/", 1)[1] for clip in result.clips if clip.label >= 0]


def outside(result) -> list[str]:
    """`subject/clip` of the usable clips outside the protocol, in order."""
    return [clip.key.split("/", 1)[1] for clip in result.clips if clip.label < 0]
