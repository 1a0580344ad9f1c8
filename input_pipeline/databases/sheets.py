"""Reads annotation sheets (xlsx, xls, csv) as text, safely, wherever their header stands.

A sheet comes from strangers: sizes are checked before anything is unpacked, document type
declarations are refused, rows and columns are capped, and formulas are never evaluated.
"""

import contextlib
import csv
import io
import pathlib
import re
import warnings
import zipfile
from collections.abc import Iterator
from typing import NamedTuple

from input_pipeline.core import extras
from input_pipeline.core.errors import InputError
from input_pipeline.core.files import UnfitFileError, read_whole

SUFFIXES = (".xlsx", ".xls", ".csv")
# The largest sheet of these databases (CAS(ME)^3, all expressions) has 4,206 rows and 0.5 MB.
_MOST_ROWS = 10_000
_MOST_COLUMNS = 100
_MOST_BYTES = 32 << 20
_MOST_UNPACKED = 16 << 20
_MOST_PARTS = 500
# SAMM's header stands in row 14, below its citation and key.
_HEADER_WITHIN = 60
_ROW_TAG = re.compile(rb"<(?:\w+:)?row[\s/>]")
_ADVICE = "save the sheet as .xlsx or as CSV in UTF-8"

Columns = dict[str, tuple[str, ...]]
# The rows of one sheet: number and cells.
Lines = Iterator[tuple[int, list[str]]]


class NoHeaderError(InputError):
    """The file is readable but holds no row with the columns asked for."""


class Row(NamedTuple):
    """One row: its number as the spreadsheet shows it, and its cells by field name, as text."""

    number: int
    cells: dict[str, str]


def read_sheet(path: pathlib.Path, columns: Columns, optional: Columns | None = None) -> list[Row]:
    """The rows below the first header that has all `columns`; blank rows are left out.

    Both maps give, for each field, the column names that may head it; case, blanks and
    punctuation do not count. A cell becomes text: 46 and 46.0 are `46`, `006` stays `006`, a
    formula is the value stored with it, nothing is the empty text. Raises NoHeaderError where no
    sheet of the file has such a header, InputError on a file that cannot be read safely.
    """
    wanted = columns | (optional or {})
    with _in_one_sentence(path):
        for lines in _sheets(path):
            rows = _below_header(path, lines, columns, wanted)
            if rows is not None:
                return rows
    names = ", ".join(aliases[0] for aliases in columns.values())
    raise NoHeaderError(
        f"'{path.name}' has no header row with the columns {names}; {_ADVICE} with the header "
        "that the database was delivered with, or name another file with --annotations."
    )


def header_of(path: pathlib.Path) -> list[str]:
    """The cells of the row that looks most like a header: the first with the most of them filled.

    Only the rows are looked at in which `read_sheet` looks for a header. Raises InputError as
    read_sheet.
    """
    best: list[str] = []
    with _in_one_sentence(path):
        for lines in _sheets(path):
            for number, cells in lines:
                filled = [" ".join(cell.split()) for cell in cells if cell]
                best = filled if len(filled) > len(best) else best
                if number >= _HEADER_WITHIN:
                    break
    return best


def read_lines(path: pathlib.Path) -> list[list[str]]:
    """All lines of a CSV file as cells, blank ones included; raises InputError as read_sheet."""
    return [cells for _, cells in _csv_lines(path, _checked_bytes(path))]


def _below_header(
    path: pathlib.Path, lines: Lines, columns: Columns, wanted: Columns
) -> list[Row] | None:
    place: dict[str, int] | None = None
    rows: list[Row] = []
    for number, cells in lines:
        if number > _MOST_ROWS:
            raise _too_many_rows(path)
        if place is None:
            if number > _HEADER_WITHIN:
                return None
            place = _header(path, cells, columns, wanted)
            continue
        row = {field: cells[at] if at < len(cells) else "" for field, at in place.items()}
        if any(row.values()):
            rows.append(Row(number, row))
    return rows if place is not None else None


def _header(
    path: pathlib.Path, cells: list[str], columns: Columns, wanted: Columns
) -> dict[str, int] | None:
    names = [_plain(cell) for cell in cells]
    place: dict[str, int] = {}
    for field, aliases in wanted.items():
        found = [at for at, name in enumerate(names) if name in map(_plain, aliases)]
        if len(found) > 1:
            raise InputError(
                f"'{path.name}' has the column {aliases[0]} twice; remove one of the two."
            )
        if found:
            place[field] = found[0]
    return place if columns.keys() <= place.keys() else None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _too_many_rows(path: pathlib.Path) -> InputError:
    return InputError(
        f"'{path.name}' has more than the {_MOST_ROWS} rows allowed; an annotation sheet of these "
        "databases has a few hundred: check that it is the right file."
    )


def _text(value: object) -> str:
    """A cell as the sheet shows it; whole numbers without a decimal point."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _checked_bytes(path: pathlib.Path) -> bytes:
    try:
        return read_whole(path, _MOST_BYTES)
    except UnfitFileError as error:
        raise InputError(f"'{path.name}' is no annotation sheet: {error}; {_ADVICE}.") from error


def _sheets(path: pathlib.Path) -> Iterator[Lines]:
    """Each sheet of a file as numbered lines of text cells; the format is told by its bytes."""
    data = _checked_bytes(path)
    if not data:
        raise InputError(f"'{path.name}' is an empty file; copy it again.")
    if data.startswith(b"PK"):
        return _xlsx_sheets(path, data)
    if data.startswith(b"\xd0\xcf\x11\xe0") or path.suffix.lower() == ".xls":
        return _xls_sheets(data)
    return iter([_csv_lines(path, data)])


@contextlib.contextmanager
def _in_one_sentence(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except (InputError, MemoryError):
        raise
    # Both libraries raise whatever a damaged byte leads them to.
    except Exception as error:
        kind = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        raise InputError(
            f"'{path.name}' cannot be read as a spreadsheet ({kind}); {_ADVICE}."
        ) from error


def _xlsx_sheets(path: pathlib.Path, data: bytes) -> Iterator[Lines]:
    openpyxl = extras.library("openpyxl")
    _check_archive(path, data)
    with warnings.catch_warnings():
        # Remarks on styles and extensions that no annotation depends on.
        warnings.simplefilter("ignore")
        # The values stored with formulas, not their text; read_only does not build whole sheets.
        book = openpyxl.load_workbook(
            io.BytesIO(data), read_only=True, data_only=True, keep_links=False
        )
    for sheet in book.worksheets:
        # The declared size of a sheet need not be true.
        sheet.reset_dimensions()
        lines = sheet.iter_rows(values_only=True, max_col=_MOST_COLUMNS)
        yield ((number, [_text(cell) for cell in cells]) for number, cells in enumerate(lines, 1))


def _check_archive(path: pathlib.Path, data: bytes) -> None:
    defused = extras.library("defusedxml.ElementTree")
    refused = extras.library("defusedxml").DefusedXmlException
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = archive.infolist()
        # zipfile never unpacks more of a part than it declares.
        unpacked = sum(part.file_size for part in parts)
        if unpacked > _MOST_UNPACKED or len(parts) > _MOST_PARTS:
            raise InputError(
                f"'{path.name}' unpacks to {unpacked} bytes in {len(parts)} parts; allowed are "
                f"{_MOST_UNPACKED} bytes in {_MOST_PARTS} parts; {_ADVICE}."
            )
        for part in parts:
            if not part.filename.endswith((".xml", ".rels", ".vml")):
                continue
            content = archive.read(part)
            if sum(1 for _ in _ROW_TAG.finditer(content)) > _MOST_ROWS:
                raise _too_many_rows(path)
            try:
                events = defused.iterparse(io.BytesIO(content), ("start",), forbid_dtd=True)
                # A declaration can only stand before the first element.
                next(iter(events), None)
            except refused as error:
                raise InputError(
                    f"'{path.name}' declares XML entities or a document type, as no annotation "
                    f"sheet does; {_ADVICE}."
                ) from error


def _xls_sheets(data: bytes) -> Iterator[Lines]:
    xlrd = extras.library("xlrd")
    # Its remarks on odd files would go to stdout.
    book = xlrd.open_workbook(file_contents=data, on_demand=True, logfile=io.StringIO())
    for index in range(book.nsheets):
        sheet = book.sheet_by_index(index)
        yield (
            (number + 1, [_text(cell) for cell in sheet.row_values(number)[:_MOST_COLUMNS]])
            for number in range(sheet.nrows)
        )


def _csv_lines(path: pathlib.Path, data: bytes) -> Lines:
    try:
        # -sig: spreadsheets put a byte order mark in front.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"'{path.name}' is not UTF-8 text (byte {error.start}); {_ADVICE}."
        ) from error
    if text.lstrip()[:1] == "<":
        raise InputError(f"'{path.name}' is a web page, whatever its name says; {_ADVICE}.")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            yield reader.line_num, [_text(cell) for cell in cells[:_MOST_COLUMNS]]
    except csv.Error as error:
        raise InputError(
            f"'{path.name}' row {reader.line_num} is no CSV ({error}); {_ADVICE}."
        ) from error
