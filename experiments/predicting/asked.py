"""Which clips are to be predicted: those named one by one, or the rows of a table."""

import csv
import difflib
import io
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from ahmsa_jax.config import ConfigError
from input_pipeline.core.files import read_text
from input_pipeline.own_clips.windows import Asked

_MARKS = ("onset", "apex", "offset")
COLUMNS = ("file", *_MARKS)
_MOST_BYTES = 64 * 2**20


class ClipAsked(NamedTuple):
    """One clip: its path, its name as the user wrote it, and where in it to look."""

    path: pathlib.Path
    name: str
    asked: Asked


def named(paths: Sequence[str], asked: Asked) -> list[ClipAsked]:
    """The clips of --clip; raises ConfigError on an empty name, or marks of several clips."""
    if any(not path for path in paths):
        raise ConfigError("--clip is empty; name a video file or a folder of frames.")
    marks = [name for name in _MARKS if getattr(asked, name) is not None]
    if len(paths) > 1 and marks:
        raise ConfigError(
            f"--{marks[0]} is of one clip, and --clip names {len(paths)}; give a --table with the "
            f"columns {', '.join(COLUMNS)}."
        )
    return [ClipAsked(pathlib.Path(path).expanduser(), path, asked) for path in paths]


def of_table(path: pathlib.Path, asked: Asked) -> list[ClipAsked]:
    """The clips of a CSV file with the column `file` and, where known, onset, apex and offset.

    Files are named from the table's folder; `asked` holds for all rows. Raises ConfigError on what
    is no such table, with the row's number.
    """
    try:
        text = read_text(path, _MOST_BYTES)
    except FileNotFoundError:
        raise ConfigError(f"the table '{path}' does not exist.") from None
    except ValueError as error:
        raise ConfigError(f"'{path}' is no table in UTF-8 ({error}).") from None
    # A quote that never closes would swallow the rows behind it.
    lines = io.StringIO(text.removeprefix("\ufeff"), newline="")
    reader = csv.DictReader(lines, strict=True)
    try:
        header = [str(name).strip().lower() for name in reader.fieldnames or ()]
        reader.fieldnames = header
        rows = list(reader)
    except csv.Error as error:
        raise ConfigError(f"'{path}' is no CSV table ({error}).") from None
    _check_header(path, header)
    found = [_clip(path, number, row, asked) for number, row in enumerate(rows, start=2)]
    if not found:
        raise ConfigError(f"'{path}' names no clip; give one a row.")
    return found


def _check_header(table: pathlib.Path, header: Sequence[str]) -> None:
    """Raise ConfigError without `file`, on a column twice, and on one that looks misspelt."""
    if "file" not in header or len(set(header)) < len(header):
        parted = " (columns are parted by commas)" if any(";" in name for name in header) else ""
        raise ConfigError(
            f"'{table}' has the columns {', '.join(header)[:80] or 'none'}{parted}; needed is "
            f"file, and allowed are {', '.join(COLUMNS)} and others, each once."
        )
    for name in header:
        near = difflib.get_close_matches(name, COLUMNS, n=1)
        if name not in COLUMNS and near:
            raise ConfigError(
                f"'{table}' has the column {name!a}; is {near[0]} meant? Name it so, or otherwise "
                "if it is something else."
            )


def _clip(
    table: pathlib.Path, number: int, row: dict[str | None, str | None], asked: Asked
) -> ClipAsked:
    name = (row["file"] or "").strip()
    if not name:
        raise ConfigError(f"'{table}', row {number}: the file is empty; name one.")
    marks: dict[str, Any] = {}
    for mark in _MARKS:
        cell = (row.get(mark) or "").strip()
        # Programs that know empty cells in numbers only as fractions write 5.0.
        cell = cell.removesuffix(".0")
        if cell and not (cell.isascii() and cell.isdigit() and len(cell) < 10):
            raise ConfigError(
                f"'{table}', row {number}: {mark} is {cell[:20]!a}; allowed is the number of a "
                "frame, or nothing."
            )
        marks[mark] = int(cell) if cell else None
    wanted = asked._replace(**marks)
    try:
        wanted.check()
    except ValueError as error:
        raise ConfigError(f"'{table}', row {number}: {error}") from None
    return ClipAsked(table.parent / pathlib.Path(name).expanduser(), name, wanted)
