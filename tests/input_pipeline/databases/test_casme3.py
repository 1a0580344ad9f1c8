"""CAS(ME)^3 as unzipped: what its reader takes, and what is known of its release.

Modules tried here without being imported:
input_pipeline.databases.casme3.
"""

import shutil

import pytest
import small_releases as small
from small_releases import casme3_row, codes, keys, write_frames

from input_pipeline.core.errors import InputError
from input_pipeline.databases import known_defects, packaged_table
from input_pipeline.databases.reading import read_databases
from input_pipeline.databases.rows import FaultyClip


def test_casme3_several_clips_in_one_video_and_odd_spellings(tmp_path):
    rows = [
        casme3_row("spNO.1", "b", "97", "99", "101", "disgust"),
        casme3_row("spNO.1", "b", "266", "270", "273", "sad"),
        casme3_row("spNO.3", "J", "188.0", "189", "190", "happy"),
        casme3_row("spNo.12", "h", "812", "816", "819", "surprise"),
        casme3_row("spNO.12", "h", "912", "916", "919", "Others"),
    ]
    rows[2][2] = "188"
    root = small.casme3(tmp_path / "db", rows)
    videos = root / "part_A/data/part_A_split/part_A"
    # An empty folder beside it, spelled otherwise.
    shutil.rmtree(videos / "spNO.12" / "h")
    (videos / "spNo.12").rename(videos / "spNO12")
    (videos / "spNO.3" / "J").rename(videos / "spNO.3" / "j")
    result = read_databases("casme3", root)
    assert keys(result) == ["spNO.1/b_266", "spNO.1/b_97", "spNO.12/h_812", "spNO.3/j_188"]
    assert [clip.label for clip in result.clips] == [0, 0, 2, 1]
    assert [clip.label7 for clip in result.clips] == [3, 4, 2, 1]
    assert {clip.objective_class for clip in result.clips} == {3}
    # Of a long video only the clip's own frames.
    assert [number for number, _ in result.clips[1].frames] == list(range(97, 102))


def test_casme3_clip_folders_without_depth_and_macro_expressions(tmp_path):
    rows = [casme3_row("spNO.1", "a", "355", "357", "360", "happy")]
    root = small.casme3(tmp_path / "db", rows, frames=False)
    for inside in ("Part_A_ME_clip/Part_A_ME_clip/depth", "Part_A_MaE_clip/frame"):
        write_frames(root / inside / "spNO.1_a_355", [f"{n}.png" for n in range(355, 361)])
    with pytest.raises(InputError, match="no raw frames"):
        read_databases("casme3", root)
    frames = root / "Part_A_ME_clip/Part_A_ME_clip/frame"
    write_frames(frames / "spNo.1_a_355", [f"{n}.jpg" for n in range(355, 361)])
    (clip,) = read_databases("casme3", root).clips
    assert {path.suffix for _, path in clip.frames} == {".jpg"}


def test_casme3_depth_pictures_never_stand_in_for_colour(tmp_path):
    root = small.casme3(tmp_path / "db", [casme3_row("spNO.1", "a", "5", "7", "9")])
    video = root / "part_A/data/part_A_split/part_A/spNO.1/a"
    shutil.rmtree(video / "color")
    write_frames(video, [f"{n}.png" for n in range(5, 10)])
    assert codes(read_databases("casme3", root)) == {"spNO.1/a_5": "no_frames"}
    write_frames(video, [f"{n}.jpg" for n in range(5, 10)])
    assert keys(read_databases("casme3", root)) == ["spNO.1/a_5"]


def test_casme3_row_errors_of_the_release(tmp_path):
    rows = [
        casme3_row("spNO.149", "d", "112", "160", "165", "fear"),
        casme3_row("spNO.214", "c", "5", "8", "40", "disgust"),
        casme3_row("spNO.216", "e", "1", "1", "25", "happy"),
        casme3_row("spNO.40", "e", "1812", "1819", "1850", "surprise"),
    ]
    root = small.casme3(tmp_path / "db", rows)
    rows[0][3], rows[1][4], rows[3][4] = "83", "3460", "0"
    rows[2][2] = rows[2][3] = "0"
    result = read_databases("casme3", small.casme3(root, rows, frames=False))
    assert result.faults == ()
    found = {clip.clip: (clip.onset, clip.apex, clip.offset) for clip in result.clips}
    assert found == {
        "c_5": (5, 8, 34),
        "d_112": (112, 160, 165),
        "e_0": (1, 1, 25),
        "e_1812": (1812, 1819, 1845),
    }
    assert len(result.corrections) == 5


RAW = {"casme3": "raw"}


def of_casme3(count: int, code: str = "frame_missing") -> list[FaultyClip]:
    return [FaultyClip(f"casme3/spNO.{n:03d}/a_1", code, "x") for n in range(count)]


def test_casme3_frames_dropped_by_the_recorder_are_known_up_to_a_tenth():
    assert all(fault.known for fault in known_defects.marked(of_casme3(86), RAW))
    # What exceeds the number stops a build, not all that came before it.
    found = known_defects.marked(of_casme3(88), RAW)
    assert [fault.key for fault in found if not fault.known] == [
        "casme3/spNO.086/a_1",
        "casme3/spNO.087/a_1",
    ]
    # Marking again, with further faults, judges anew.
    again = known_defects.marked(
        [*found, FaultyClip("casme3/spNO.000/b", "frame_missing", "")], RAW
    )
    assert [fault.key for fault in again if not fault.known] == [
        "casme3/spNO.085/a_1",
        "casme3/spNO.086/a_1",
        "casme3/spNO.087/a_1",
    ]


def test_it_is_said_what_unnamed_known_defects_are_worth():
    assert known_defects.worth([], RAW) == ()
    (told,) = known_defects.worth(of_casme3(88), RAW)
    assert told.startswith("casme3: at most 86 clips without a name (frames dropped")
    assert told.endswith("issue 3): 88 met, 2 more than that")
    covered = [*of_casme3(6, "no_face"), FaultyClip("casme3/spNO.2/e_138", "no_face", "x")]
    # The named clip takes none of the five places.
    assert sum(bool(fault.known) for fault in known_defects.marked(covered, RAW)) == 6
    assert known_defects.worth(covered, RAW)[0].endswith("6 met, 1 more than that")


def test_missing_folders_are_never_a_known_defect_of_casme3():
    assert not any(fault.known for fault in known_defects.marked(of_casme3(2, "no_frames"), RAW))


def test_an_incomplete_casme3_does_not_pass(tmp_path):
    emotions = ("disgust", "happy", "surprise")
    rows = [casme3_row(f"spNO.{n}", "b", emotion=emotions[n % 3]) for n in range(1, 13)]
    root = small.casme3(tmp_path / "db", rows)
    small.write_counts(root, "casme3", {"*": (4, 4, 4)})
    table = root / "pretend_database.csv"
    table.write_text(table.read_text().replace("*,1", "*,12"))
    assert read_databases("casme3", root).deviations == ()
    videos = root / "part_A/data/part_A_split/part_A"
    for number in (3, 7, 11):
        shutil.rmtree(videos / f"spNO.{number}")
    # Of this one the unpacking stopped in the middle of the video.
    (frame,) = (videos / "spNO.5/b/color").glob("266.jpg")
    for path in frame.parent.iterdir():
        path.unlink()
    (frame.parent / "8.jpg").write_bytes(b"x")
    result = read_databases("casme3", root)
    assert set(codes(result).values()) == {"no_frames"}
    assert sum(fault.stops_build for fault in result.faults) == 4
    assert result.deviations == (
        "casme3: 8 clips (3/3/2, 8 subjects) instead of 12 clips (4/4/4, 12 subjects) (test).",
        "casme3: nothing is there of 4 subjects: spNO.11, spNO.3, spNO.5, spNO.7.",
    )


def test_the_tables_are_true_to_the_sheet_of_casme3():
    # The authors' list of covered faces, as far as it is in the 3-class protocol.
    covered = {
        ("spNO.2", "e_138"),
        ("spNO.145", "g_150"),
        ("spNO.146", "a_530"),
        ("spNO.147", "d_1146"),
        ("spNO.179", "b_7"),
        ("spNO.200", "b_518"),
        ("spNO.204", "a_606"),
        ("spNO.214", "k_4"),
        ("spNO.215", "f_2183"),
    }
    rows = [r for r in packaged_table.rows("known_defects.csv") if r["database"] == "casme3"]
    assert {(row["subject"], row["clip"]) for row in rows if row["clip"] != "*"} == covered
    unnamed = [(row["codes"], row["most"]) for row in rows if row["clip"] == "*"]
    assert unnamed[0] == ("frame_missing", "86")
    others = {
        (row["subject"], row["clip"], row["field"])
        for row in packaged_table.rows("corrections.csv")
        if row["reason"].endswith("an others clip: outside the 3 classes")
    }
    assert others == {
        ("sub07", "EP06_01", "offset"),
        ("spNO.216", "d_3647", "onset"),
        ("spNO.216", "e_0", "onset"),
        ("spNO.216", "e_0", "apex"),
        ("spNO.40", "e_1812", "offset"),
        ("spNO.40", "e_2327", "offset"),
    }
