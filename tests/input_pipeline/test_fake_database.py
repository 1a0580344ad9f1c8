"""Pretend databases: native layout and dirt, readable by the readers, with known true motion.

Modules tried here without being imported:
input_pipeline.pretend.casme2, input_pipeline.pretend.casme3,
input_pipeline.pretend.samm, input_pipeline.pretend.smic.
"""

import csv
import hashlib
import pathlib

import numpy as np
import openpyxl
import pytest
from command_runner import assert_mistake, run_command
from native_builds import pretend_database
from PIL import Image

from input_pipeline.databases import expected_counts
from input_pipeline.databases.reading import read_databases
from input_pipeline.pretend import database, film, portraits, regular

NAME = "input_pipeline.fake_database"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The composite and CAS(ME)^3."""
    root = tmp_path_factory.mktemp("made")
    for name in ("megc2019", "casme3"):
        (root / name).symlink_to(pretend_database(name))
    return root


def rows(path: pathlib.Path) -> list[list[object]]:
    return [list(row) for row in openpyxl.load_workbook(path).worksheets[0].values]


def picture(path: pathlib.Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.parametrize("frames", ["raw", "cropped"])
def test_the_composite_reads_without_unknown_faults(made, frames):
    result = read_databases("megc2019", made / "megc2019", frames=frames)
    assert not any(fault.stops_build for fault in result.faults)
    assert result.deviations == ()
    assert {clip.database for clip in result.clips} == {"casme2", "samm", "smic"}
    assert {clip.label for clip in result.clips} == {-1, 0, 1, 2}
    assert "composite list: combined_3class_gt.csv" in result.notes
    assert sum("PRETEND" in note for note in result.notes) == 3
    left_out = [fault.key for fault in result.faults]
    cropped = ["casme2/sub16/EP01_08", "smic/s18/s18_sur_03"]
    assert left_out == (cropped if frames == "cropped" else [])


@pytest.mark.parametrize(("pretend", "marked"), [(("samm",), True), ((), False)])
def test_one_pretend_part_marks_the_whole(made, monkeypatch, pretend, marked):
    monkeypatch.setattr(expected_counts, "is_pretend", lambda folder: folder.name in pretend)
    assert read_databases("megc2019", made / "megc2019").pretend is marked


@pytest.mark.parametrize("database", ["casme2", "samm", "smic", "casme3"])
def test_each_database_reads_on_its_own(made, database):
    root = made / "casme3" if database == "casme3" else made / "megc2019" / database
    result = read_databases(database, root)
    assert not any(fault.stops_build for fault in result.faults)
    assert result.deviations == ()
    assert {clip.label for clip in result.clips} >= {0, 1, 2}
    assert any(clip.label < 0 for clip in result.clips) == (database != "smic")
    assert len({clip.subject for clip in result.clips}) >= 4


def test_the_dirt_is_met_and_counted(made):
    composite = read_databases("megc2019", made / "megc2019")
    fields = sorted((c.key.split("/")[-1], c.field) for c in composite.corrections)
    assert fields == [
        ("013_1_9", "offset"),
        ("028_4_1", "apex"),
        ("032_3_1", "apex"),
        ("EP06_01", "offset"),
        ("EP09_05f", "protocol"),
        ("EP12_01f", "protocol"),
    ]
    assert composite.outside_protocol["left out of the protocol by name"] == 2
    assert composite.outside_protocol["emotion sadness"] == 1
    casme3 = read_databases("casme3", made / "casme3")
    assert [(f.key, f.code) for f in casme3.faults] == [("casme3/spNO.166/c_2", "frame_missing")]
    assert len(casme3.corrections) == 4
    assert casme3.outside_protocol == {"emotion others": 2}


# The traps, one by one, as delivered.


def test_casme2_sheets_and_trees(made):
    root = made / "megc2019" / "casme2"
    header, *data = rows(root / "CASME2-coding-20140508.xlsx")
    assert (header[2], header[6]) == (None, None)
    assert all(isinstance(row[0], str) and row[0].startswith(("0", "1", "2")) for row in data)
    assert {type(row[7]) for row in data} == {int, str}
    assert [row[4] for row in data].count("/") == 1
    assert any(row[3] == row[4] for row in data)
    assert {"EP01_2", "EP09f", "EP06_02_01"} <= {row[1] for row in data}
    assert len({row[1] for row in data}) < len(data)
    newer = rows(root / "CASME2-coding-20190701.xlsx")[1:]
    differing = [old for old, new in zip(data, newer, strict=True) if old[8] != new[8]]
    assert [(row[0], row[1]) for row in differing] == [("24", "EP07_01")]
    clip = root / "CASME2-RAW" / "CASME2-RAW" / "sub01" / "EP02_01"
    assert {"img99.jpg", "img100.jpg", "Thumbs.db", "Desktop - Shortcut.lnk"} <= {
        path.name for path in clip.iterdir()
    }
    sizes = {picture(path).shape for path in (root / "Cropped").glob("*/*/*.jpg")}
    assert len(sizes) > 3


def test_samm_sheet_and_frames(made):
    root = made / "megc2019" / "samm"
    data = rows(root / "SAMM_Micro_FACS_Codes_v2.xlsx")
    assert data[13][:2] == ["Subject", "Filename"]
    assert data[14][6] == "=F15-D15+1"
    cached = openpyxl.load_workbook(root / "SAMM_Micro_FACS_Codes_v2.xlsx", data_only=True)
    assert cached.worksheets[0]["G15"].value == data[14][5] - data[14][3] + 1
    names = {len(path.stem) for path in (root / "SAMM").rglob("006_*.jpg")}
    assert names == {len("006_0180"), len("006_05562")}
    assert {picture(path).ndim for path in (root / "SAMM").rglob("*.jpg")} == {2}


def test_smic_folders(made):
    root = made / "megc2019" / "smic"
    assert not list(root.rglob("*.xls*"))
    raw = root / "SMIC_all_raw" / "SMIC_all_raw" / "HS"
    widths = {len(path.stem) - len("image") for path in raw.glob("*/micro/*/*/*.bmp")}
    assert widths == {6, 7, 8}
    assert list(raw.glob("*/non_micro/*/*.bmp"))
    empty = root / "SMIC_all_cropped" / "HS" / "s18" / "micro" / "surprise" / "s18_sur_03"
    assert not list(empty.glob("*.bmp"))


def test_casme3_sheet_and_folders(made):
    (sheet,) = (made / "casme3").rglob("*.xlsx")
    header, *data = rows(sheet)
    assert header[-2:] == ["Objective class", "emotion"]
    assert all(isinstance(cell, str) for row in data for cell in row)
    assert data == sorted(data, key=lambda row: row[0])
    assert {"Others", "others"} <= {row[7] for row in data}
    assert "J" in {row[1] for row in data}
    assert {"0"} == {row[2] for row in data if row[0] == "spNO.216"}
    assert len({(row[0], row[1]) for row in data}) < len(data)
    names = {path.name for path in (made / "casme3").rglob("spNo*")}
    assert "spNo.12" in names
    assert not list((made / "casme3").rglob("0.jpg"))


def test_the_composite_lists(made):
    first = (made / "megc2019" / "combined_3class_gt.csv").read_bytes()
    second = (made / "megc2019" / "combined_3class_gt-2.csv").read_bytes()
    lines = first.decode().split("\r\n")
    assert lines[0].startswith("casme2,sub01,")
    assert "samm,6,006_1_2,0" in lines
    assert "smic,s01,s01_ne_01,0" in lines
    assert second.count(b"\r\n,,,\r\n") == first.count(b"\r\n") - 1
    assert b"032_3_1" in first
    assert b"032_3_1" not in second


# The pictures.


def test_the_apex_shows_the_motion_that_the_table_tells(made):
    root = made / "megc2019" / "casme2"
    with (root / "pretend_motions.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    for clip in read_databases("casme2", root).clips[:4]:
        mine = [r for r in table if (r["subject"], r["clip"]) == (clip.subject, clip.clip)]
        motions = {row["motion"]: float(row["pixels"]) for row in mine}
        face = portraits.identity(int(mine[0]["identity"]))
        wanted, _ = portraits.moved(face, motions)
        path_of = dict(clip.frames)
        apex = picture(path_of[clip.apex]).astype(np.float64)
        onset = picture(path_of[clip.onset]).astype(np.float64)
        # Noise and compression apart, against the motion's own trace.
        assert np.abs(apex - wanted).mean() < 2.5
        assert np.abs(onset - face).mean() < 2.5
        moved = np.abs(wanted.astype(float) - face).max(axis=-1) > 25
        assert np.abs(apex - wanted)[moved].mean() < 0.5 * np.abs(apex - face)[moved].mean()


def test_every_subject_has_one_face_and_none_is_shared(made):
    from input_pipeline.faces import detection, frames

    clips = read_databases("megc2019", made / "megc2019").clips
    first_of = {(clip.database, clip.subject): clip for clip in reversed(clips)}
    for clip in first_of.values():
        assert detection.detect(frames.read_frame(dict(clip.frames)[clip.onset])).score > 0
    tables = [made / "megc2019" / d / "pretend_motions.csv" for d in ("casme2", "samm", "smic")]
    people = {
        (row["database"], row["subject"], row["identity"])
        for path in tables
        for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    }
    assert len({identity for *_, identity in people}) == len(people)


def digest(root: pathlib.Path) -> str:
    total = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.is_file():
            total.update(f"{path.relative_to(root)}".encode() + path.read_bytes())
    return total.hexdigest()


def test_the_same_bytes_on_every_call(made, tmp_path):
    database.write_database("samm", tmp_path / "again")
    assert digest(tmp_path / "again") == digest(made / "megc2019" / "samm")


# The command.


def test_the_command_writes_a_database(tmp_path):
    output = tmp_path / "fake"
    finished = run_command(NAME, "--database=casme3", f"--output={output}")
    assert (finished.status, finished.err) == (0, "")
    assert "all numbers are invented" in finished.out
    assert read_databases("casme3", output).deviations == ()
    assert_mistake(
        run_command(NAME, "--database=casme3", f"--output={output}"), "holds something already"
    )


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "--database is missing"),
        (("--database=samm",), "--output is missing"),
        (("--database=casme", "--output=x"), "casme3"),
        (("--database=samm", "--output=x", "y"), "unexpected argument"),
    ],
)
def test_mistakes_take_one_line(arguments, part):
    assert_mistake(run_command(NAME, *arguments), part)


def test_help():
    finished = run_command(NAME, "--help")
    assert finished.status == 0
    assert "--database" in finished.out


@pytest.mark.parametrize("name", ["casme2", "samm", "smic", "casme3"])
def test_so_many_subjects_as_asked_for_without_dirt(name, tmp_path, monkeypatch):
    # The pictures do not matter here, and take their time.
    face = np.full((480, 640, 3), 90, np.uint8)
    monkeypatch.setattr(film, "_identity", lambda number: face)
    monkeypatch.setattr(portraits, "moved", lambda face, motions: (face, None))
    database.write_database(name, tmp_path / "raw", subjects=3)
    result = read_databases(name, tmp_path / "raw")
    assert result.faults == ()
    assert result.deviations == ()
    assert sorted(clip.label for clip in result.clips) == [0] * 3 + [1] * 3 + [2] * 3
    assert len({clip.subject for clip in result.clips}) == 3
    # Onset, apex, offset and their frames are there.
    for clip in result.clips:
        numbers = {number for number, _ in clip.frames}
        assert {clip.onset, clip.offset} <= numbers


def test_the_release_s_odd_videos_are_no_regular_subject_s(tmp_path, monkeypatch):
    """spNO.12's folder is spelled otherwise in one video, and one of spNO.14's has empty files."""
    face = np.full((480, 640, 3), 90, np.uint8)
    monkeypatch.setattr(film, "_identity", lambda number: face)
    monkeypatch.setattr(portraits, "moved", lambda face, motions: (face, None))
    database.write_database("casme3", tmp_path / "raw", subjects=14)
    videos = tmp_path / "raw" / "part_A" / "data" / "part_A_split" / "part_A"
    assert {path.name for path in videos.iterdir()} == {f"spNO.{n}" for n in range(1, 15)}
    assert all(path.stat().st_size for path in videos.rglob("*.jpg"))
    assert len(read_databases("casme3", tmp_path / "raw").clips) == 42


def test_no_two_regular_databases_share_a_face(tmp_path, monkeypatch):
    seen: dict[str, set[int]] = {}

    def writer(name):
        def write(root, clips, first_face):
            drawn = film.Film(name, clips, first_face)
            seen[name] = set(drawn._identity_of.values())

        return write

    for name, pretend in database._PRETEND.items():
        monkeypatch.setattr(pretend, "write", writer(name))
        database.write_database(name, tmp_path / name, subjects=999)
    everyone = [number for faces in seen.values() for number in faces]
    assert len(everyone) == len(set(everyone)) == 4 * 999
    assert min(everyone) >= regular.FIRST_FACE


def test_mistakes_in_subjects_are_one_line(tmp_path):
    flags = ("--database=samm", f"--output={tmp_path / 'raw'}")
    for number in ("1", "1000", "x"):
        assert_mistake(run_command(NAME, *flags, f"--subjects={number}"), "--subjects")
