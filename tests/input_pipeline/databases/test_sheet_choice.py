"""Which sheet is read: by columns and name, whatever one cell says; all others are named.

Modules tried here without being imported:
input_pipeline.databases.sheet_files.
"""

import pytest
import small_releases as small
from small_releases import casme2_row, casme3_row, codes, keys, samm_row

from input_pipeline.core.errors import InputError
from input_pipeline.databases.reading import read_databases

CODING_2014 = "CASME2-coding-20140508.xlsx"
CODING_2019 = "CASME2-coding-20190701.xlsx"
V1 = "cas(me)3_part_A_ME_label_JpgIndex_v1.xlsx"
V2 = "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"


@pytest.mark.parametrize("odd", ["../../../etc", "EP01\n02", "sub01", "", "-"])
@pytest.mark.parametrize("more", [0, 3])
def test_an_odd_first_clip_is_a_fault_of_its_row(tmp_path, odd, more):
    further = [casme2_row(f"{n:02d}", emotion="happiness") for n in range(2, 2 + more)]
    root = small.casme2(tmp_path / "db", [casme2_row(), *further])
    rows = [casme2_row(clip=odd), *further]
    small.write_xlsx(root / CODING_2014, [small.CASME2_HEADER, *rows])
    newer = [casme2_row(emotion="surprise"), *further]
    small.write_xlsx(root / CODING_2019, [small.CASME2_HEADER, *newer])
    result = read_databases("casme2", root)
    assert codes(result) == {"?/row 2": "bad_name"}
    assert [clip.label for clip in result.clips] == [1] * more
    assert f"annotation sheet: {CODING_2014}" in result.notes
    assert f"annotation sheet not used: {CODING_2019} (another sheet comes first)" in result.notes


def test_every_sheet_found_and_not_used_is_named_with_its_reason(tmp_path):
    root = small.casme2(tmp_path / "db", [casme2_row()])
    small.write_xlsx(root / "a.xlsx", [["Subject", "Notes"], ["01", "x"]])
    small.write_xlsx(root / CODING_2019, [["Subject", "Clip name"], ["01", "EP02_01f"]])
    (root / "b.xlsx").write_bytes(b"PK no workbook")
    (root / "pretend_motions.csv").write_text("database,subject\n")
    (root / "combined_3class_gt-2.csv").write_text("casme2,sub01,EP02_01f,1\n")
    unused = [note for note in read_databases("casme2", root).notes if "not used" in note]
    assert unused == [
        "annotation sheet not used: CASME2-coding-20190701.xlsx (another sheet comes first)",
        "annotation sheet not used: a.xlsx (another sheet comes first)",
        "annotation sheet not used: b.xlsx (another sheet comes first)",
    ]
    (root / CODING_2014).rename(root / "renamed.xlsx")
    unused = [note for note in read_databases("casme2", root).notes if "not used" in note]
    assert unused == [
        "annotation sheet not used: CASME2-coding-20190701.xlsx (other columns)",
        "annotation sheet not used: a.xlsx (other columns)",
        "annotation sheet not used: b.xlsx (not readable)",
    ]


def test_the_composite_names_sheets_above_its_folders_and_takes_the_best(tmp_path):
    small.casme2(tmp_path / "casme2", [casme2_row()])
    small.samm(tmp_path / "samm", [samm_row()])
    small.smic(tmp_path / "smic", [("s1_ne_01", "negative", 5)])
    newer = [small.CASME2_HEADER, casme2_row(emotion="surprise")]
    small.write_xlsx(tmp_path / CODING_2019, newer)
    small.write_xlsx(tmp_path / "list.xlsx", [["data", "sub", "clip", "label"], [1, 2, 3, 4]])
    small.write_xlsx(tmp_path / "smic" / "SMIC-HS-E_annotation.xlsx", [["x", "y"]])
    result = read_databases("megc2019", tmp_path)
    # The sheet of 2014 lies deeper, but is the better one.
    assert [clip.label for clip in result.clips] == [1, 0, 0]
    assert f"annotation sheet not used: {CODING_2019} (another sheet comes first)" in result.notes
    assert "annotation sheet not used: list.xlsx (other columns)" in result.notes
    told = "annotation sheet not used: SMIC-HS-E_annotation.xlsx (none is needed)"
    assert told in result.notes
    named = read_databases("megc2019", tmp_path, [tmp_path / CODING_2019])
    assert named.clips[0].label == 2
    assert f"annotation sheet not used: {CODING_2014} (another sheet was named)" in named.notes


# CAS(ME)^3.


def folder_of(root):
    return root / "part_A" / "annotation"


def test_the_older_sheet_of_casme3_is_said_to_be_older(tmp_path):
    root = small.casme3(tmp_path / "db", [casme3_row()])
    (folder_of(root) / V2).rename(folder_of(root) / V1)
    result = read_databases("casme3", root)
    assert keys(result) == ["spNO.1/b_266"]
    assert result.deviations[0].startswith(f"the sheet {V1} is the older one of CAS(ME)^3 (755")
    assert V2 in result.deviations[0]
    small.write_xlsx(folder_of(root) / V2, [small.CASME3_HEADER, casme3_row(emotion="happy")])
    both = read_databases("casme3", root)
    assert [clip.label for clip in both.clips] == [1]
    assert not any("older" in line for line in both.deviations)
    assert f"annotation sheet not used: {V1} (another sheet comes first)" in both.notes


def test_the_sheet_of_all_expressions_gives_its_micro_expressions(tmp_path):
    rows = [casme3_row(), casme3_row("spNO.2", emotion="happy")]
    root = small.casme3(tmp_path / "db", rows)
    (folder_of(root) / V2).unlink()
    header = [*small.CASME3_HEADER, "Expression type"]
    both = [[*rows[0], "Micro-expression"], [*rows[1], "Macro-expression"]]
    small.write_xlsx(folder_of(root) / "CAS(ME)3_part_A_v1.xlsx", [header, *both])
    result = read_databases("casme3", root)
    assert keys(result) == ["spNO.1/b_266"]
    assert result.outside_protocol == {"no micro-expression": 1}
    assert "the older one" in result.deviations[0]


def test_the_list_of_damaged_clips_is_no_sheet_of_clips(tmp_path):
    root = small.casme3(tmp_path / "db", [casme3_row()])
    errors = folder_of(root) / "casme3_partA_error_list_ZhouJu.xlsx"
    small.write_xlsx(errors, [small.CASME3_HEADER, casme3_row("spNO.9", emotion="sad")])
    assert keys(read_databases("casme3", root)) == ["spNO.1/b_266"]
    with pytest.raises(InputError, match=r"error_list_ZhouJu.xlsx' is no sheet of casme3"):
        read_databases("casme3", root, [errors])
    (folder_of(root) / V2).unlink()
    with pytest.raises(InputError, match=r"JpgIndex_v2.xlsx\) was not found.*error_list_ZhouJu"):
        read_databases("casme3", root)


@pytest.mark.parametrize("header", ["data,sub,filename_o,label", "sub,seq,onset,apex,emotion"])
def test_a_named_sheet_that_does_not_fit_is_refused_with_columns_and_the_fitting_name(
    tmp_path, header
):
    root = small.casme2(tmp_path / "db", [casme2_row()])
    other = tmp_path / "other.csv"
    other.write_text(f"{header}\ncasme2,sub01,EP02_01f,1\n")
    with pytest.raises(InputError) as caught:
        read_databases("casme2", root, [other])
    columns = header.replace(",", ", ")
    assert f"'other.csv' is no sheet of casme2 (columns {columns}); fitting" in str(caught.value)
    assert CODING_2014 in str(caught.value)
    assert "combined_3class_gt.csv" in str(caught.value)
    # The same of sheets that lie below the folder.
    (root / CODING_2014).unlink()
    (root / "other.csv").write_text(other.read_text())
    with pytest.raises(InputError) as caught:
        read_databases("casme2", root)
    assert f"the spreadsheets seen are 'other.csv' (columns {columns})" in str(caught.value)
    assert CODING_2014 in str(caught.value)
