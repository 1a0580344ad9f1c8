"""CASME II, SAMM and SMIC as unzipped: what their readers take from sheets and folders.

Modules tried here without being imported:
input_pipeline.databases.casme2, input_pipeline.databases.samm, input_pipeline.databases.smic,
input_pipeline.databases.composite, input_pipeline.databases.records,
input_pipeline.databases.database, input_pipeline.databases.corrections.
"""

import shutil

import pytest
import small_releases as small
from small_releases import casme2_row, codes, keys, samm_row, write_frames

from input_pipeline.core.errors import InputError
from input_pipeline.databases.reading import read_databases

# CASME II.


def test_casme2_rows_and_their_classes(tmp_path):
    rows = [
        casme2_row("01", "EP02_01f", 97, 101, 104, "happiness"),
        casme2_row("03", "EP02_01f", 60, 63, 66, "Repression "),
        casme2_row("03", "EP01_2", 60, 63, 66, "DISGUST"),
        casme2_row("07", "EP06_02_01", 998, 1000, 1003, "surprise"),
        casme2_row("09", "EP09f", 60, 66, 66, "others"),
        casme2_row("09", "EP01_01", 60, 63, 66, "sadness"),
        casme2_row("10", "EP01_01", 60, 63, 66, "fear"),
    ]
    result = read_databases("casme2", small.casme2(tmp_path / "db", rows))
    assert keys(result) == ["sub01/EP02_01f", "sub03/EP01_2", "sub03/EP02_01f", "sub07/EP06_02_01"]
    assert [clip.label for clip in result.clips] == [1, 0, 0, 2, -1, -1, -1]
    assert [clip.label7 for clip in result.clips] == [1, 4, 6, 2, 3, 7, 5]
    assert result.clips[2].emotion == "Repression"
    assert small.outside(result) == ["sub09/EP01_01", "sub09/EP09f", "sub10/EP01_01"]
    assert [clip.emotion for clip in result.clips[4:]] == ["sadness", "others", "fear"]
    assert result.outside_protocol == {"emotion fear": 1, "emotion others": 1, "emotion sadness": 1}
    first = result.clips[0]
    assert (first.onset, first.apex, first.offset) == (97, 101, 104)
    assert [number for number, _ in first.frames] == list(range(96, 106))
    assert first.frames[4][1].name == "img100.jpg"
    assert result.faults == ()


def test_casme2_leaves_out_what_the_protocol_leaves_out_by_name(tmp_path):
    rows = [
        casme2_row("04", "EP12_01f", 260, 263, 266, "disgust"),
        casme2_row("05", "EP09_05f", 58, 58, 65, "disgust"),
        casme2_row("05", "EP12_03f", 69, 71, 75, "surprise"),
    ]
    rows[0][4] = "/"
    result = read_databases("casme2", small.casme2(tmp_path / "db", rows))
    assert keys(result) == ["sub05/EP12_03f"]
    assert result.outside_protocol == {"left out of the protocol by name": 2}
    assert [(c.field, c.old, c.new) for c in result.corrections] == [("protocol", "in", "out")] * 2
    # Both are clips of the database; the first one's apex is to be spotted.
    assert small.outside(result) == ["sub04/EP12_01f", "sub05/EP09_05f"]
    assert [clip.apex for clip in result.clips] == [None, 58, 71]
    assert result.faults == ()


def test_casme2_rows_of_other_copies_are_no_clips(tmp_path):
    rows = [casme2_row("09", "EP02_02f"), casme2_row("24", "EP02_07", 5, 7, 9)]
    result = read_databases("casme2", small.casme2(tmp_path / "db", rows))
    assert (result.clips, result.faults) == ((), ())
    assert result.outside_protocol == {"no clip of the database": 2}


def test_a_fault_outside_the_protocol_stops_no_build(tmp_path):
    rows = [
        casme2_row("01", "EP02_01f"),
        casme2_row("01", "EP03_01", 200, 204, 207, "others"),
        casme2_row("01", "EP03_02", 300, 304, 307, "fear"),
        casme2_row("01", "EP03_02", 300, 304, 307, "fear"),
    ]
    root = small.casme2(tmp_path / "db", rows)
    shutil.rmtree(root / "CASME2-RAW/CASME2-RAW/sub01/EP03_01")
    result = read_databases("casme2", root)
    assert small.codes(result) == {"sub01/EP03_01": "no_frames", "sub01/EP03_02": "duplicate_key"}
    assert all(fault.outside and not fault.stops_build for fault in result.faults)
    assert result.outside_protocol == {"emotion fear": 2, "emotion others": 1}


def test_a_clip_is_not_lost_to_one_outside_the_protocol_with_its_pictures(tmp_path):
    rows = [casme2_row("01", "EP02_01f"), casme2_row("01", "EP03_01", emotion="others")]
    root = small.casme2(tmp_path / "db", rows)
    folder = root / "CASME2-RAW/CASME2-RAW/sub01"
    shutil.rmtree(folder / "EP03_01")
    shutil.copytree(folder / "EP02_01f", folder / "EP03_01")
    result = read_databases("casme2", root)
    assert keys(result) == ["sub01/EP02_01f"]
    assert small.codes(result) == {"sub01/EP03_01": "shared_frames"}
    assert not any(fault.stops_build for fault in result.faults)


@pytest.mark.parametrize("year", ["20140508", "20190701"])
def test_casme2_sheets_of_both_years_give_the_same_clips(tmp_path, year):
    emotion = {"20140508": "sadness", "20190701": "surprise"}[year]
    rows = [casme2_row("24", "EP07_01", emotion=emotion), casme2_row("24", "EP18_03", 5, 7, 9)]
    root = small.casme2(tmp_path / "db", rows)
    (root / "CASME2-coding-20140508.xlsx").rename(root / f"CASME2-coding-{year}.xlsx")
    result = read_databases("casme2", root)
    assert keys(result) == ["sub24/EP18_03"]
    assert small.outside(result) == ["sub24/EP07_01"]
    assert [clip.label7 for clip in result.clips] == [3, 1]
    assert result.outside_protocol == {"emotion sadness": 1}
    assert len(result.corrections) == (year == "20190701")


def test_casme2_prefers_the_sheet_of_2014(tmp_path):
    root = small.casme2(tmp_path / "db", [casme2_row("01", "EP02_01f", emotion="happiness")])
    newer = [small.CASME2_HEADER, casme2_row("01", "EP02_01f", emotion="surprise")]
    small.write_xlsx(root / "CASME2-coding-20190701.xlsx", newer)
    result = read_databases("casme2", root)
    assert [clip.label for clip in result.clips] == [1]
    told = "annotation sheet not used: CASME2-coding-20190701.xlsx (another sheet comes first)"
    assert told in result.notes
    named = read_databases("casme2", root, [root / "CASME2-coding-20190701.xlsx"])
    assert [clip.label for clip in named.clips] == [2]


def test_casme2_objective_classes_from_their_own_sheet(tmp_path):
    rows = [casme2_row("01", "EP02_01f"), casme2_row("02", "EP02_01f", 5, 7, 9)]
    root = small.casme2(tmp_path / "db", rows)
    assert [c.objective_class for c in read_databases("casme2", root).clips] == [-1, -1]
    classes = [["Subject", "Filename", "Objective Class"], ["01", "EP02_01f", 3]]
    small.write_xlsx(root / "CASME2-ObjectiveClasses.xlsx", classes)
    assert [c.objective_class for c in read_databases("casme2", root).clips] == [3, -1]


def test_casme2_corrected_offset_needs_its_frames(tmp_path):
    row = casme2_row("07", "EP06_01", 60, 64, 68, "disgust")
    root = small.casme2(tmp_path / "db", [row])
    assert codes(read_databases("casme2", root)) == {"sub07/EP06_01": "frame_missing"}
    folder = root / "CASME2-RAW/CASME2-RAW/sub07/EP06_01"
    write_frames(folder, [f"img{n}.jpg" for n in range(60, 94)])
    result = read_databases("casme2", root)
    assert result.clips[0].offset == 91
    assert result.clips[0].frames[-1][0] == 93
    assert [(c.key, c.new) for c in result.corrections] == [("casme2/sub07/EP06_01", "91")]


def test_casme2_without_the_zeros_and_with_prefixes(tmp_path):
    rows = [casme2_row("01", "EP02_01f"), casme2_row("02", "EP02_01f"), casme2_row("03", "EP1_1")]
    root = small.casme2(tmp_path / "db", rows)
    for row, written in zip(rows, (1, "sub02", 3.0), strict=True):
        row[0] = written
    sheet = root / "CASME2-coding-20140508.xlsx"
    small.write_xlsx(sheet, [small.CASME2_HEADER, *rows])
    assert [clip.subject for clip in read_databases("casme2", root).clips] == [
        "sub01",
        "sub02",
        "sub03",
    ]


def test_the_raw_tree_before_the_selected_one(tmp_path):
    root = small.casme2(tmp_path / "db", [casme2_row(), casme2_row("02")])
    shutil.copytree(root / "CASME2-RAW/CASME2-RAW", root / "CASME2_RAW_selected")
    shutil.rmtree(root / "CASME2-RAW/CASME2-RAW/sub02/EP02_01f")
    first, second = read_databases("casme2", root).clips
    assert "CASME2-RAW" in first.frames[0][1].parts
    assert "CASME2_RAW_selected" in second.frames[0][1].parts


def test_cropped_frames_only_when_asked_for(tmp_path):
    root = small.casme2(tmp_path / "db", [casme2_row()])
    with pytest.raises(InputError, match="no cropped frames"):
        read_databases("casme2", root, frames="cropped")
    cropped = root / "Cropped" / "sub01" / "EP02_01f"
    write_frames(cropped, [f"reg_img{n}.jpg" for n in range(97, 105)])
    (clip,) = read_databases("casme2", root, frames="cropped").clips
    assert [path.name for _, path in clip.frames][:2] == ["reg_img97.jpg", "reg_img98.jpg"]
    with pytest.raises(InputError, match="unknown frames 'face'"):
        read_databases("casme2", root, frames="face")


# SAMM.


@pytest.mark.parametrize("digits", [4, 5])
def test_samm_below_its_preamble_with_any_padding(tmp_path, digits):
    rows = [samm_row("006", "006_2_4", 180, 184, 188, "Contempt")]
    rows.append(samm_row("011", "011_2_1", 903, 906, 909, "Other"))
    result = read_databases("samm", small.samm(tmp_path / "db", rows, digits))
    clip, other = result.clips
    marks = (clip.key, clip.label, clip.label7, clip.objective_class)
    assert marks == ("samm/006/006_2_4", 0, 7, 3)
    assert (other.key, other.label, other.label7) == ("samm/011/011_2_1", -1, -1)
    assert clip.frames[0][1].name == f"006_{180:0{digits}d}.jpg"
    assert result.outside_protocol == {"emotion other": 1}


def test_samm_slips_are_corrected_and_counted(tmp_path):
    rows = [
        samm_row("028", "028_4_1", 1105, 1113, 1119, "Contempt"),
        samm_row("032", "032_3_1", 4926, 4930, 4935, "Fear"),
    ]
    root = small.samm(tmp_path / "db", rows)
    clean = read_databases("samm", root)
    rows[0][4], rows[1][4] = 1143, 1930
    slipped = read_databases("samm", small.samm(root, rows))
    assert clean.corrections == ()
    assert [(c.old, c.new) for c in slipped.corrections] == [("1143", "1113"), ("1930", "4930")]
    assert slipped.clips == clean.clips
    assert all(c.reason and c.source for c in slipped.corrections)


# SMIC.


def test_smic_from_its_folders_alone(tmp_path):
    clips = [("s1_ne_01", "negative", 34310), ("s3_sur_02", "surprise", 999998)]
    root = small.smic(tmp_path / "db", [*clips, ("s20_po_01", "positive", 17580123)])
    write_frames(root / "SMIC_all_raw/HS/s1/non_micro/s1_n1", ["image034000.bmp"])
    write_frames(root / "SMIC_all_raw/HS/s1/non_micro/s1_ne_07", ["image034000.bmp"])
    write_frames(root / "SMIC_all_raw/VIS/s2/micro/negative/s2_ne_01", ["image034000.bmp"])
    extended = root / "SMIC-E_raw image/HS_long/SMIC-HS-E/s09/s9_ne_01"
    write_frames(extended, ["image034000.jpg"])
    result = read_databases("smic", root)
    assert keys(result) == ["s01/s01_ne_01", "s03/s03_sur_02", "s20/s20_po_01"]
    assert [clip.label for clip in result.clips] == [0, 2, 1]
    middle = result.clips[1]
    assert (middle.onset, middle.apex, middle.offset) == (999998, None, 1000000)
    assert [path.name for _, path in middle.frames][-1] == "image1000000.bmp"
    assert (middle.label7, middle.objective_class, middle.emotion) == (-1, -1, "surprise")


def test_smic_name_against_folder(tmp_path):
    root = small.smic(tmp_path / "db", [("s1_ne_01", "positive", 5), ("s1_po_01", "positive", 9)])
    result = read_databases("smic", root)
    assert codes(result) == {"s01/s01_ne_01": "label_conflict"}
    assert keys(result) == ["s01/s01_po_01"]


def test_smic_takes_no_sheet(tmp_path):
    root = small.smic(tmp_path / "db", [("s1_ne_01", "negative", 5)])
    small.write_xlsx(tmp_path / "SMIC-HS-E_annotation.xlsx", [small.CASME2_HEADER, casme2_row()])
    with pytest.raises(InputError, match="no sheet of smic"):
        read_databases("smic", root, [tmp_path / "SMIC-HS-E_annotation.xlsx"])


def test_known_defects_belong_to_their_tree(tmp_path):
    root = small.smic(tmp_path / "db", [("s18_sur_03", "surprise", 5)])
    cropped = root / "SMIC_all_cropped/HS/s18/micro/surprise"
    write_frames(cropped / "s18_sur_03", ["Thumbs.db"])
    write_frames(cropped / "s18_sur_02", ["reg_image000007.bmp", "reg_image000008.bmp"])
    result = read_databases("smic", root, frames="cropped")
    (fault,) = result.faults
    assert (fault.code, bool(fault.known)) == ("no_frames", True)
    assert not any(fault.stops_build for fault in result.faults)
    for path in (root / "SMIC_all_raw/HS/s18/micro/surprise/s18_sur_03").iterdir():
        path.unlink()
    assert [f.code for f in read_databases("smic", root).faults if f.stops_build] == ["no_frames"]
