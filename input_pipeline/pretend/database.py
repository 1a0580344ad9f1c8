"""Writes a small pretend database in the native layout, with its native sheet and its dirt."""

import os
import pathlib

from input_pipeline.core.errors import InputError
from input_pipeline.databases import reading
from input_pipeline.databases.registry import DATABASES_OF
from input_pipeline.pretend import casme2, casme3, regular, samm, smic

_PRETEND = {each.DATABASE: each for each in (casme2, samm, smic, casme3)}
_LIST = "combined_3class_gt.csv"
# The second official list lacks this clip.
_NOT_IN_SECOND = "032_3_1"


def write_database(database: str, output: pathlib.Path, subjects: int | None = None) -> None:
    """Write the pretend database; a composite is others, megc2019 with its list as well.

    With `subjects` (below 1000) so many of each database, each with one clip of each class, and
    none of the real releases' dirt; else few clips with all of it. The same bytes on every call.
    Faces are a free portrait's, numbers are invented. Raises InputError where `output` holds
    something already.
    """
    if output.exists() and (not output.is_dir() or any(os.scandir(output))):
        raise InputError(f"'{output}' holds something already; name a new or empty folder.")
    databases = DATABASES_OF[database]
    for name in databases:
        root = output if databases == (database,) else output / name
        root.mkdir(parents=True, exist_ok=True)
        if subjects is None:
            _PRETEND[name].write(root)
        else:
            face = regular.first_face(list(_PRETEND).index(name))
            _PRETEND[name].write(root, _PRETEND[name].regular_clips(subjects), face)
    if database == "megc2019":
        _write_list(output)


def _write_list(output: pathlib.Path) -> None:
    """The composite list as delivered: no header, CRLF, SAMM's subjects without zeros."""
    result = reading.read_databases("megc2019", output)
    lines = []
    # In the order of the official list.
    for database in ("casme2", "smic", "samm"):
        for key, label in sorted(result.labels().items()):
            name, subject, clip = key.split("/")
            if name == database:
                shown = str(int(subject)) if database == "samm" else subject
                lines.append(f"{database},{shown},{clip},{label}")
    second = [line for line in lines if f",{_NOT_IN_SECOND}," not in line]
    (output / _LIST).write_text("".join(f"{line}\r\n" for line in lines), newline="")
    with_blanks = "".join(f"{line}\r\n,,,\r\n" for line in second)
    (output / _LIST.replace("gt.", "gt-2.")).write_text(with_blanks, newline="")
