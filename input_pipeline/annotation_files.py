"""Finds the annotation sheets of a database, below the raw folder or among the files named."""

import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from input_pipeline import sheets
from input_pipeline.errors import InputError
from input_pipeline.frame_files import OuterFolder


class SheetForm(NamedTuple):
    """How a sheet is recognised: its columns, and the names it is delivered under, best first.

    `first_clip` matches the first row's clip: it tells apart databases with the same columns.
    """

    what: str
    columns: sheets.Columns
    optional: sheets.Columns
    names: tuple[re.Pattern[str], ...]
    first_clip: re.Pattern[str]


class FoundSheet(NamedTuple):
    """A sheet that was read, and the further files that would have fitted as well."""

    path: pathlib.Path
    rows: list[sheets.Row]
    others: tuple[pathlib.Path, ...]


def sheet_files(folders: Iterable[OuterFolder]) -> list[pathlib.Path]:
    """Every file that may be a sheet, in the order of depth, then name."""
    return [
        folder.path / name
        for folder in folders
        for name in folder.files
        # ~$ marks a sheet that is open in a spreadsheet program.
        if name.lower().endswith(sheets.SUFFIXES) and not name.startswith("~$")
    ]


def find(form: SheetForm, files: Sequence[pathlib.Path]) -> FoundSheet | None:
    """The best of `files` that has the form, or None; raises InputError on a damaged one.

    A file whose name is none of the delivered ones is opened last, and passed over if it cannot
    be read.
    """
    ranked = sorted(files, key=lambda path: _rank(form, path))
    for index, path in enumerate(ranked):
        named = _rank(form, path) < len(form.names)
        try:
            rows = sheets.read_sheet(path, form.columns, form.optional)
        except sheets.NoHeaderError:
            continue
        except InputError:
            if named:
                raise
            continue
        if rows and form.first_clip.fullmatch(rows[0].cells["clip"]):
            others = tuple(p for p in ranked[index + 1 :] if _rank(form, p) < len(form.names))
            return FoundSheet(path, rows, others)
    return None


def required(
    form: SheetForm, named: Sequence[pathlib.Path], found: Sequence[pathlib.Path]
) -> FoundSheet:
    """The sheet among the files named with --annotations, or else among those found.

    Raises InputError where neither holds one.
    """
    for path in named:
        if not path.is_file():
            raise InputError(f"the annotation file '{path}' does not exist; check --annotations.")
    sheet = find(form, named) or find(form, found)
    if sheet is None:
        seen = ", ".join(sorted({path.name for path in (*named, *found)})[:5]) or "none"
        columns = ", ".join(names[0] for names in form.columns.values())
        raise InputError(
            f"{form.what} was not found; needed is a sheet with the columns {columns}; the "
            f"spreadsheets seen are {seen}; put it below the raw folder or name it with "
            "--annotations."
        )
    return sheet


def _rank(form: SheetForm, path: pathlib.Path) -> int:
    matches = (at for at, name in enumerate(form.names) if name.fullmatch(path.name))
    return next(matches, len(form.names))
