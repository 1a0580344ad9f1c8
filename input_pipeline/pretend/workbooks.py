"""Writes annotation sheets as the databases deliver them: native cells, formulas with values."""

import datetime
import io
import pathlib
import re
import zipfile
from collections.abc import Sequence

from input_pipeline.core import extras

# Fixed, so that a pretend database has the same bytes whenever it is made.
_MADE = datetime.datetime(2019, 5, 14)
_FORMULA = re.compile(rb'(<c r="([A-Z]+\d+)"[^>]*><f>[^<]*</f>)<v(?:\s*/>|></v>)')


def write_xlsx(
    path: pathlib.Path,
    sheets: dict[str, Sequence[Sequence[object]]],
    values: dict[str, int] | None = None,
) -> None:
    """A workbook with the rows of each sheet; text stays text, None is an empty cell.

    `values` maps cells with formulas (`G15`) to the value that a spreadsheet would have stored.
    """
    openpyxl = extras.library("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    book.properties.created = book.properties.modified = _MADE
    buffer = io.BytesIO()
    book.save(buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_with_values(buffer.getvalue(), values or {}))


def _with_values(data: bytes, values: dict[str, int]) -> bytes:
    """The workbook with stored values beside its formulas, which openpyxl leaves empty."""

    def stored(match: re.Match[bytes]) -> bytes:
        return match[1] + b"<v>%d</v>" % values[match[2].decode()]

    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for part in old.infolist():
            content = old.read(part)
            if part.filename.startswith("xl/worksheets/") and values:
                content = _FORMULA.sub(stored, content)
            if part.filename == "docProps/core.xml":
                # The library puts the time of saving here, whatever was set.
                content = re.sub(rb"\d{4}-\d\d-\d\dT[\d:]+Z", b"2019-05-14T00:00:00Z", content)
            info = zipfile.ZipInfo(part.filename, _MADE.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(info, content)
    return buffer.getvalue()
