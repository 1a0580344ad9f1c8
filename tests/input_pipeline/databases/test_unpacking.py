"""Databases as people unpack them: doubled subjects, links, archives, a folder one level off.

Modules tried here without being imported:
input_pipeline.databases.source_folder.
"""

import shutil

import pytest
import small_releases as small
from small_releases import casme2_row, casme3_row, codes, keys, samm_row, write_frames

from input_pipeline.core.errors import InputError
from input_pipeline.databases.reading import read_databases

# One archive for each subject, each unpacked into a folder of its own.


def doubled(tree):
    """spNO.1/... becomes spNO.1/spNO.1/..."""
    for subject in sorted(tree.iterdir()):
        inner = subject.rename(subject.with_name("moving"))
        subject.mkdir()
        inner.rename(subject / subject.name)


def test_doubled_subjects_of_casme2(tmp_path):
    root = small.casme2(tmp_path / "db", [casme2_row(), casme2_row("02")])
    plain = read_databases("casme2", root)
    doubled(root / "CASME2-RAW" / "CASME2-RAW")
    result = read_databases("casme2", root)
    assert keys(result) == keys(plain) == ["sub01/EP02_01f", "sub02/EP02_01f"]
    assert result.clips[0].frames[0][1].parts[-4:-1] == ("sub01", "sub01", "EP02_01f")


def test_doubled_subjects_of_samm(tmp_path):
    root = small.samm(tmp_path / "db", [samm_row()])
    doubled(root / "SAMM" / "SAMM")
    assert keys(read_databases("samm", root)) == ["006/006_1_2"]


def test_doubled_subjects_of_casme3(tmp_path):
    rows = [casme3_row(), casme3_row("spNO.12", "h", emotion="happy")]
    root = small.casme3(tmp_path / "db", rows)
    tree = root / "part_A/data/part_A_split/part_A"
    doubled(tree)
    (tree / "spNO.12").rename(tree / "spNo12")
    assert keys(read_databases("casme3", root)) == ["spNO.1/b_266", "spNO.12/h_266"]


def test_doubled_subjects_of_smic(tmp_path):
    root = small.smic(tmp_path / "db", [("s1_ne_01", "negative", 5)])
    doubled(root / "SMIC_all_raw" / "HS")
    assert keys(read_databases("smic", root)) == ["s01/s01_ne_01"]


def test_casme3_frames_that_were_taken_out_anew(tmp_path):
    root = small.casme3(tmp_path / "db", [casme3_row("spNO.1", "b", "166", "170", "175")])
    folder = root / "part_A/data/part_A_split/part_A/spNO.1/b/color"
    for path in sorted(folder.iterdir()):
        path.rename(folder / f"img_{int(path.stem):05d}.jpg")
    result = read_databases("casme3", root)
    (clip,) = result.clips
    assert [number for number, _ in clip.frames] == list(range(166, 176))
    assert clip.frames[-1][1].name == "img_00175.jpg"
    told = "frames named like img_00166.jpg are taken for those of their numbers"
    assert told in result.notes
    # Both at once cannot be told apart.
    (folder / "170.jpg").write_bytes(b"x")
    assert codes(read_databases("casme3", root)) == {"spNO.1/b_166": "duplicate_frame"}


# Links.


def test_a_database_made_of_links(tmp_path):
    disk = small.casme2(tmp_path / "disk", [casme2_row(), casme2_row("02")])
    plain = read_databases("casme2", disk)
    root = tmp_path / "db"
    root.mkdir()
    (root / "coding.xlsx").symlink_to(disk / "CASME2-coding-20140508.xlsx")
    (root / "CASME2-RAW").symlink_to(disk / "CASME2-RAW")
    linked = read_databases("casme2", root)
    assert keys(linked) == keys(plain)
    assert not linked.faults
    # Subject by subject, clip by clip.
    (root / "CASME2-RAW").unlink()
    tree = disk / "CASME2-RAW/CASME2-RAW"
    (root / "raw" / "sub02").mkdir(parents=True)
    (root / "raw" / "sub01").symlink_to(tree / "sub01")
    (root / "raw" / "sub02" / "EP02_01f").symlink_to(tree / "sub02" / "EP02_01f")
    assert keys(read_databases("casme2", root)) == keys(plain)


# Archives and a folder one level off.


def test_archives_are_named_where_nothing_was_unpacked(tmp_path):
    root = small.casme3(tmp_path / "db", [casme3_row()])
    data = root / "part_A" / "data"
    for name in ("part_A_split.zip", "part_A_split.z01", "part_A_split.z02", "x.7z"):
        (data / name).write_bytes(b"PK")
    result = read_databases("casme3", root)
    assert keys(result) == ["spNO.1/b_266"]
    told = "not unpacked: part_A_split.z01, part_A_split.z02, part_A_split.zip and 1 more"
    assert told in result.notes
    shutil.rmtree(data / "part_A_split")
    with pytest.raises(InputError, match=r"no raw frames.*not unpacked \(part_A_split.z01, part"):
        read_databases("casme3", root)
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "CASME2.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"was not found.*not unpacked \(CASME2.zip\)"):
        read_databases("casme2", tmp_path / "packed")


def test_a_damaged_sheet_beside_an_archive_is_told_as_damaged(tmp_path):
    root = small.casme2(tmp_path / "db", [casme2_row()])
    (root / "CASME2-coding-20140508.xlsx").write_bytes(b"PK no workbook")
    (root / "Cropped.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match="cannot be read as a spreadsheet") as caught:
        read_databases("casme2", root)
    assert "unpacked" not in str(caught.value)


@pytest.mark.parametrize("inside", ["sub01", "sub01/EP02_01f"])
def test_a_subject_s_own_folder(tmp_path, inside):
    root = small.casme2(tmp_path / "db", [casme2_row()])
    sheet = root / "CASME2-coding-20140508.xlsx"
    tree = root / "CASME2-RAW" / "CASME2-RAW"
    with pytest.raises(InputError, match=rf"belongs to one subject, sub01.*'{tree}'"):
        read_databases("casme2", tree / inside, [sheet])
    with pytest.raises(InputError, match=r"was not found.*belongs to one subject, sub01"):
        read_databases("casme2", tree / inside)


def test_a_folder_below_the_sheet(tmp_path):
    root = small.casme3(tmp_path / "db", [casme3_row()])
    frames = root / "part_A/data/part_A_split/part_A"
    with pytest.raises(InputError, match=rf"_v2.xlsx' lies in '{root}/part_A/annotation': name"):
        read_databases("casme3", frames)
    sheet = next((root / "part_A/annotation").iterdir())
    assert len(read_databases("casme3", frames, [sheet]).clips) == 1
    root = small.casme2(tmp_path / "other", [casme2_row()])
    with pytest.raises(InputError, match=rf"lies in '{root}': name '{root}' with --raw_dir"):
        read_databases("casme2", root / "CASME2-RAW")


def test_the_folder_beside_the_right_one(tmp_path):
    root = small.casme3(tmp_path / "db", [casme3_row()])
    annotation = root / "part_A" / "annotation"
    (root / "part_A" / "data" / "part_A_split" / "part_A").rename(root / "part_A" / "videos")
    with pytest.raises(InputError, match=rf"folders of subjects lie in '{root}/part_A/videos'"):
        read_databases("casme3", annotation)


def test_a_composite_one_level_off_or_packed(tmp_path):
    top = tmp_path / "top"
    small.casme2(top / "inner" / "casme2", [casme2_row()])
    small.samm(top / "inner" / "SAMM", [samm_row()])
    small.smic(top / "inner" / "smic", [("s1_ne_01", "negative", 5)])
    assert len(read_databases("megc2019", top / "inner").clips) == 3
    for wrong in (top, top / "inner" / "casme2"):
        with pytest.raises(InputError, match=rf"lie in '{top}/inner': name that folder"):
            read_databases("megc2019", wrong)
    shutil.rmtree(top / "inner" / "smic")
    (top / "inner" / "SMIC_all_raw.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"lacks the folder smic.*not unpacked \(SMIC_all_raw.zip"):
        read_databases("megc2019", top / "inner")


# What SMIC's release lost, and what is no part of it.


def test_smic_cropped_without_the_folder_that_the_release_lost(tmp_path):
    root = small.smic(tmp_path / "db", [("s18_sur_01", "surprise", 5)])
    cropped = root / "SMIC_all_cropped/HS/s18/micro/surprise"
    for number in (1, 2):
        names = [f"reg_image{n:06d}.bmp" for n in (7, 8)]
        write_frames(cropped / f"s18_sur_{number:02d}", names)
    small.write_counts(root, "smic", {"s18": (0, 0, 3)})
    result = read_databases("smic", root, frames="cropped")
    assert keys(result) == ["s18/s18_sur_01", "s18/s18_sur_02"]
    assert [(f.key, f.code) for f in result.faults] == [("smic/s18/s18_sur_03", "no_frames")]
    assert result.faults[0].known.startswith("the cropped folder is empty or was lost")
    assert not any(fault.stops_build for fault in result.faults)
    assert result.deviations == ()
    # Of the raw frames nothing is known to be lost.
    assert "smic/s18/s18_sur_03 is missing." in read_databases("smic", root).deviations
    small.write_counts(root, "smic", {"s18": (0, 0, 2)})
    assert read_databases("smic", root, frames="cropped").faults == ()


@pytest.mark.parametrize(
    "inside", ["SMIC_all_raw/VIS", "SMIC-E_raw image/HS_long/SMIC-HS-E", "SMIC-E_raw image/HS_long"]
)
def test_other_parts_of_smic_are_left_out_on_purpose(tmp_path, inside):
    root = small.smic(tmp_path / "db", [("s1_ne_01", "negative", 5)])
    write_frames(root / "SMIC_all_raw/VIS/s2/micro/negative/s2_ne_01", ["image034000.bmp"])
    write_frames(root / "SMIC-E_raw image/HS_long/SMIC-HS-E/s01/s1_ne_01", ["image034000.jpg"])
    result = read_databases("smic", root)
    assert keys(result) == ["s01/s01_ne_01"]
    left = [note for note in result.notes if note.startswith("frames left out on purpose")]
    assert [note.split(": ")[1].split(" (of")[0] for note in left] == [
        "db/SMIC_all_raw/VIS",
        "db/SMIC-E_raw image/HS_long/SMIC-HS-E",
    ]
    assert all("extended clips (SMIC-E), which lack clips of the protocol" in n for n in left)
    with pytest.raises(InputError, match=r"left out on purpose.* of other cameras"):
        read_databases("smic", root / inside)
    with pytest.raises(InputError, match="left out on purpose, for these are of other cameras"):
        read_databases(
            "smic", root / inside.split("/")[0] if "E_raw" in inside else _vis_only(root)
        )


def _vis_only(root):
    shutil.rmtree(root / "SMIC_all_raw" / "HS")
    return root / "SMIC_all_raw"
