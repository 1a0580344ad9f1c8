"""The MEGC 2019 composite list (combined_3class_gt.csv): which clips count, and their class."""

import pathlib
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from input_pipeline.core import identifiers
from input_pipeline.core.clips import CLASS_NAMES
from input_pipeline.core.errors import Faults, InputError, at
from input_pipeline.databases import sheets

NAME = "combined_3class_gt.csv"
# The second official file lacks one clip of SAMM.
_SECOND = re.compile(r".*gt-2.*", re.IGNORECASE)
DATABASES = ("casme2", "samm", "smic")
# A database and a subject as written to the subject in one spelling.
Spelling = Callable[[str, str], str]


class CompositeList(NamedTuple):
    """The file's name, and the class of each clip's key."""

    name: str
    label_of: dict[str, int]


def is_list(path: pathlib.Path) -> bool:
    """Whether a file is such a list: CSV whose lines begin with one of its databases."""
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    try:
        lines = sheets.read_lines(path)
    except InputError:
        return False
    first = next((cells for cells in lines if any(cells)), [""])
    # A derived list has a header.
    return first[0].casefold() in (*DATABASES, "dataset") and len(first) >= 4


def best_list(paths: Sequence[pathlib.Path], spelled: Spelling) -> CompositeList | None:
    """The list to go by among `paths`, the complete one first; None where there is none.

    It has no header: database, subject, clip, class 0 to 2; blank lines are skipped. Raises
    InputError that names the first faulty line and counts the others.
    """
    lists = [path for path in paths if is_list(path)]
    if not lists:
        return None
    path = min(lists, key=lambda path: (bool(_SECOND.fullmatch(path.name)), path.name))
    faults = Faults()
    label_of: dict[str, int] = {}
    for number, cells in enumerate(sheets.read_lines(path), 1):
        if not any(cells) or cells[0].casefold() == "dataset":
            continue
        with faults.noted(), at(f"'{path.name}' line {number}"):
            key, label = _entry(cells, spelled)
            if label_of.setdefault(key, label) != label:
                raise InputError(f"{key} stands twice, with two classes.")
    faults.raise_if_any()
    return CompositeList(path.name, label_of)


def _entry(cells: list[str], spelled: Spelling) -> tuple[str, int]:
    if len(cells) < 4 or cells[0].casefold() not in DATABASES:
        raise InputError(
            f"{','.join(cells)[:60]!a} is no entry; the form is database,subject,clip,class with "
            f"the databases {', '.join(DATABASES)}."
        )
    database = cells[0].casefold()
    subject = spelled(database, identifiers.checked(cells[1], "subject"))
    clip = identifiers.checked(cells[2], "clip")
    if cells[3] not in [str(label) for label in range(len(CLASS_NAMES))]:
        raise InputError(
            f"the class is {cells[3][:20]!a}; allowed are 0 negative, 1 positive, 2 surprise."
        )
    return f"{database}/{subject}/{clip}", int(cells[3])
