"""Finds the annotation sheets of a database, below the raw folder or among the files named."""

import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from input_pipeline.core.errors import InputError
from input_pipeline.databases import composite, sheets
from input_pipeline.databases.trees import OuterFolder

# The cells of a clip and how sheets head them; case, blanks and punctuation do not count.
CODING_COLUMNS: sheets.Columns = {
    "subject": ("Subject",),
    "clip": ("Filename",),
    "onset": ("Onset Frame", "Onset"),
    "apex": ("Apex Frame", "Apex"),
    "offset": ("Offset Frame", "Offset"),
    "emotion": ("Estimated Emotion", "Emotion"),
}
OBJECTIVE_CLASS: sheets.Columns = {"objective_class": ("Objective Classes", "Objective Class")}
# The tables that pretend databases bring along.
_PRETEND = re.compile(r"pretend_\w+\.csv")


class SheetForm(NamedTuple):
    """How a sheet is recognised: its columns, and the names it is delivered under, best first.

    Under another name at least half of its clips must look like `clip`: this tells apart
    databases with the same columns. Files named like `never` are lists of something else.
    """

    what: str
    columns: sheets.Columns
    optional: sheets.Columns
    names: tuple[str, ...]
    clip: re.Pattern[str]
    never: str = r"(?!)"

    def rank(self, name: str) -> int:
        """The place of a file's name among those delivered, their number for any other name."""
        matches = (at for at, each in enumerate(self.names) if is_named(name, each))
        return next(matches, len(self.names))


def is_named(name: str, pattern: str) -> bool:
    """Whether a file's name matches, upper and lower case aside."""
    return bool(re.fullmatch(pattern, name, re.IGNORECASE))


class GivenSheets(NamedTuple):
    """Sheets that reach a reader from outside its folder: named by the user, or found above it."""

    named: tuple[pathlib.Path, ...] = ()
    above: tuple[pathlib.Path, ...] = ()


class FoundSheet(NamedTuple):
    """A sheet that was read, and every further file that may be one, with the reason."""

    path: pathlib.Path
    rows: list[sheets.Row]
    others: tuple[tuple[pathlib.Path, str], ...]


def sheet_files(folders: Iterable[OuterFolder]) -> list[pathlib.Path]:
    """Every file that may be a sheet, in the order of depth, then name."""
    return [
        folder.path / name
        for folder in folders
        for name in folder.files
        # ~$ marks a sheet that is open in a spreadsheet program.
        if name.lower().endswith(sheets.SUFFIXES) and not name.startswith("~$")
        if not _PRETEND.fullmatch(name) and not composite.is_list(folder.path / name)
    ]


def find(form: SheetForm, files: Sequence[pathlib.Path]) -> FoundSheet | None:
    """The best of `files` that has the form, or None; raises InputError on a damaged one.

    A file whose name is none of the delivered ones is opened last, and passed over if it cannot
    be read. One odd cell does not decide: it is a fault of its row.
    """
    ranked = sorted(files, key=lambda path: form.rank(path.name))
    others: list[tuple[pathlib.Path, str]] = []
    for index, path in enumerate(ranked):
        is_delivered = form.rank(path.name) < len(form.names)
        if is_named(path.name, form.never):
            others.append((path, "no sheet of clips"))
            continue
        try:
            rows = sheets.read_sheet(path, form.columns, form.optional)
        except sheets.NoHeaderError:
            others.append((path, "other columns"))
            continue
        except InputError:
            if is_delivered:
                raise
            others.append((path, "not readable"))
            continue
        fitting = sum(1 for row in rows if form.clip.fullmatch(row.cells["clip"]))
        if rows and (is_delivered or 2 * fitting >= len(rows)):
            others += [(later, "another sheet comes first") for later in ranked[index + 1 :]]
            return FoundSheet(path, rows, tuple(others))
        others.append((path, "clips of another database" if rows else "no rows"))
    return None


def best(
    form: SheetForm, named: Sequence[pathlib.Path], found: Sequence[pathlib.Path]
) -> FoundSheet | None:
    """The sheet among the files named with --annotations, or else the best of those found."""
    sheet = find(form, named)
    if sheet is None:
        return find(form, found)
    left = [(path, "another sheet was named") for path in found if path not in named]
    return sheet._replace(others=(*sheet.others, *left))


def missing(form: SheetForm, found: Sequence[pathlib.Path]) -> str:
    """What is said where no file has the form, with what was found instead."""
    seen = "; ".join(f"'{path.name}' ({described(path)})" for path in found[:5]) or "none"
    return (
        f"{form.what} was not found; needed is a sheet with the columns {_needed(form)}; the "
        f"spreadsheets seen are {seen}; put it below the raw folder or name it with --annotations"
    )


def described(path: pathlib.Path) -> str:
    """The columns of a file that may be a sheet, for a message."""
    try:
        columns = sheets.header_of(path)
    except InputError:
        return "not readable"
    return "columns " + (", ".join(name[:30] for name in columns[:12]) or "none")


def wanted(form: SheetForm) -> str:
    """The file that would fit, with its columns, for a message."""
    return f"{form.what} with the columns {_needed(form)}"


def _needed(form: SheetForm) -> str:
    return ", ".join(names[0] for names in form.columns.values())
