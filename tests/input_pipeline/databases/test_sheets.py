"""Annotation sheets: what is read, and every hostile or damaged file refused in one sentence."""

import io
import os
import struct
import time
import zipfile

import openpyxl
import pytest
from small_releases import write_csv, write_xlsx

from input_pipeline.core.errors import InputError
from input_pipeline.databases import sheets
from input_pipeline.pretend import workbooks

COLUMNS = {"subject": ("Subject",), "onset": ("OnsetFrame", "Onset")}
HEADER = ["Subject", "OnsetFrame"]


def read(path, optional=None):
    return [tuple(row.cells.values()) for row in sheets.read_sheet(path, COLUMNS, optional)]


# What is read.


@pytest.mark.parametrize("write", [write_xlsx, write_csv])
def test_header_anywhere_blank_columns_and_digits_kept(tmp_path, write):
    path = tmp_path / ("sheet.xlsx" if write is write_xlsx else "sheet.csv")
    preamble = [["Subject matter"], [], ["/", "one or the other"], *[[]] * 10]
    rows = [["  onset frame ", None, "SUBJECT"], [46, None, "01"], [], ["99", None, "006 "]]
    write(path, [*preamble, *rows])
    found = sheets.read_sheet(path, COLUMNS)
    assert [row.cells for row in found] == [
        {"subject": "01", "onset": "46"},
        {"subject": "006", "onset": "99"},
    ]
    # Numbered as the spreadsheet numbers them; the blank row counts.
    assert [row.number for row in found] == [15, 17]


def test_cells_as_text(tmp_path):
    path = tmp_path / "sheet.xlsx"
    values = [46, 46.0, 46.5, "46.0", "4６", None, True]
    write_xlsx(path, [HEADER, *[["a", value] for value in values]])
    assert [onset for _, onset in read(path)] == ["46", "46", "46.5", "46.0", "4６", "", "True"]


def test_a_formula_is_its_stored_value_and_never_evaluated(tmp_path):
    path = tmp_path / "sheet.xlsx"
    workbooks.write_xlsx(path, {"S": [HEADER, ["a", "=1+1"]]}, {"B2": 7})
    assert read(path) == [("a", "7")]
    write_xlsx(path, [HEADER, ["a", "=1+1"], ["b", '=HYPERLINK("file:///etc/passwd")']])
    assert read(path) == [("a", ""), ("b", "")]


def test_the_first_sheet_with_the_columns(tmp_path):
    path = tmp_path / "sheet.xlsx"
    sheets_of = {"notes": [["x"]], "empty": [], "data": [HEADER, ["a", 1]]}
    workbooks.write_xlsx(path, sheets_of)
    assert read(path) == [("a", "1")]


def test_optional_columns_may_lack(tmp_path):
    path = tmp_path / "sheet.xlsx"
    write_xlsx(path, [HEADER, ["a", 1]])
    assert read(path, {"apex": ("Apex",)}) == [("a", "1")]
    write_xlsx(path, [[*HEADER, "Apex"], ["a", 1, "/"]])
    assert read(path, {"apex": ("Apex",)}) == [("a", "1", "/")]


def old_excel(cells) -> bytes:
    """A worksheet of Excel 2 as a bare record stream, which xlrd reads like its successors."""

    def record(code, data):
        return struct.pack("<HH", code, len(data)) + data

    stream = record(0x0009, struct.pack("<HH", 2, 0x10))
    for (row, column), value in cells.items():
        place = struct.pack("<HH3x", row, column)
        if isinstance(value, str):
            stream += record(0x0004, place + bytes([len(value)]) + value.encode())
        else:
            stream += record(0x0003, place + struct.pack("<d", value))
    return stream + record(0x000A, b"")


def test_xls_with_numbers_stored_as_floats(tmp_path):
    path = tmp_path / "sheet.xls"
    cells = {(0, 0): "Subject", (0, 1): "OnsetFrame", (1, 0): "spNO.1", (1, 1): 33.0}
    path.write_bytes(old_excel(cells))
    assert read(path) == [("spNO.1", "33")]


def test_a_declared_size_that_lies(tmp_path):
    path = tmp_path / "sheet.xlsx"
    write_xlsx(path, [HEADER, *[["a", n] for n in range(50)]])
    change(path, lambda xml: xml.replace(b'ref="A1:B51"', b'ref="A1:A1"'))
    assert len(read(path)) == 50


# What is refused.


def change(path, edit, part="xl/worksheets/sheet1.xml"):
    """Rewrite one part of a workbook."""
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as old:
        parts = {info.filename: old.read(info) for info in old.infolist()}
    edited = edit(parts[part])
    assert edited != parts[part]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in (parts | {part: edited}).items():
            new.writestr(name, data)


LAUGHS = b'<!DOCTYPE x [<!ENTITY a "ha">' + b"".join(
    b'<!ENTITY %c "%s">' % (letter, b"&%c;" % (letter - 1) * 10) for letter in range(98, 108)
)


@pytest.mark.parametrize("part", ["xl/worksheets/sheet1.xml", "xl/workbook.xml"])
@pytest.mark.parametrize(
    "declared",
    [
        LAUGHS + b"]>",
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd">',
        b"<!-- - -->" * 99 + b"<!DOCTYPE x>",
    ],
)
def test_entities_and_document_types(tmp_path, part, declared):
    path = tmp_path / "sheet.xlsx"
    write_xlsx(path, [HEADER, ["a", 1]])

    def declare(xml):
        start = xml.index(b"<", xml.index(b"?>")) if xml.startswith(b"<?") else 0
        return xml[:start] + declared + xml[start:]

    change(path, declare, part)
    started = time.monotonic()
    with pytest.raises(InputError, match="declares XML entities or a document type"):
        read(path)
    assert time.monotonic() - started < 1


def many_rows(count: int) -> bytes:
    head = (
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    )
    names = "".join(f'<c t="str"><v>{name}</v></c>' for name in HEADER).encode()
    row = b"<row><c><v>1</v></c></row>"
    return head + b"<row>" + names + b"</row>" + row * count + b"</sheetData></worksheet>"


TOO_MANY = "more than the 10000 rows allowed"


# The largest is 40 MB as text.
@pytest.mark.parametrize(
    ("rows", "part"), [(10_001, TOO_MANY), (500_000, TOO_MANY), (1_500_000, "unpacks to")]
)
def test_more_rows_than_any_sheet_has(tmp_path, rows, part):
    path = tmp_path / "sheet.xlsx"
    write_xlsx(path, [HEADER])
    change(path, lambda _: many_rows(rows))
    started = time.monotonic()
    with pytest.raises(InputError, match=part):
        read(path)
    assert time.monotonic() - started < 1


def test_a_workbook_that_unpacks_to_too_much(tmp_path):
    path = tmp_path / "sheet.xlsx"
    write_xlsx(path, [HEADER, ["a", 1]])
    change(path, lambda xml: xml + b" " * (17 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InputError, match=r"unpacks to \d+ bytes"):
        read(path)


def test_csv_with_too_many_rows(tmp_path):
    path = tmp_path / "sheet.csv"
    path.write_text("Subject,OnsetFrame\n" + "a,1\n" * 10_001)
    with pytest.raises(InputError, match="more than the 10000 rows"):
        read(path)


@pytest.mark.parametrize(
    ("name", "data", "part"),
    [
        ("a.xlsx", b"", "empty file"),
        ("a.xlsx", b"PK\x03\x04 and no more", "cannot be read as a spreadsheet"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "cannot be read"),
        ("a.xls", b"<html><table>", "cannot be read"),
        ("a.csv", b"<html><table>", "web page"),
        ("a.csv", "Subject,Onset\na,1\n".encode("utf-16"), "not UTF-8"),
        ("a.csv", b'Subject,Onset\n"a,1\n', "no CSV"),
        ("a.csv", b"\x89PNG\r\n\x1a\n", "not UTF-8"),
    ],
)
def test_files_that_are_no_sheet(tmp_path, name, data, part):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InputError, match=part) as caught:
        read(path)
    assert name in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_workbook_cut_anywhere_is_refused(tmp_path):
    path = tmp_path / "sheet.xlsx"
    write_xlsx(path, [HEADER, ["a", 1]])
    whole = path.read_bytes()
    for length in range(1, len(whole), len(whole) // 40):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            read(path)


def test_flipped_bytes_never_end_in_another_exception(tmp_path):
    path = tmp_path / "sheet.xlsx"
    write_xlsx(path, [HEADER, ["a", 1]])
    whole = bytearray(path.read_bytes())
    refused = 0
    for place in range(0, len(whole), len(whole) // 120):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            read(path)
        except InputError:
            refused += 1
    assert refused > 60


def test_no_header_and_header_twice(tmp_path):
    path = tmp_path / "sheet.xlsx"
    write_xlsx(path, [["Subject", "Apex"], ["a", 1]])
    with pytest.raises(sheets.NoHeaderError, match="Subject, OnsetFrame"):
        read(path)
    write_xlsx(path, [["Subject", "Onset", "OnsetFrame"], ["a", 1, 1]])
    with pytest.raises(InputError, match="column OnsetFrame twice"):
        read(path)
    # Far below where any release has it.
    write_xlsx(path, [*[["x"]] * 100, HEADER, ["a", 1]])
    with pytest.raises(sheets.NoHeaderError):
        read(path)


def test_folders_and_pipes(tmp_path):
    with pytest.raises(InputError, match="no regular file"):
        read(tmp_path)
    os.mkfifo(tmp_path / "sheet.csv")
    with pytest.raises(InputError, match="no regular file"):
        read(tmp_path / "sheet.csv")


def test_the_pretend_sheets_have_the_same_bytes_always(tmp_path):
    for name in ("a.xlsx", "b.xlsx"):
        workbooks.write_xlsx(tmp_path / name, {"S": [HEADER, ["a", "=1+1"]]}, {"B2": 2})
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    assert book["S"]["B2"].value == "=1+1"
