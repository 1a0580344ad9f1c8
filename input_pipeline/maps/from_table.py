"""Reads published maps in table form: `samples.csv` and one 28x28 RGB PNG per row."""

import csv
import io
import pathlib
from typing import NamedTuple

import numpy as np

from input_pipeline.core import identifiers, progress_lines
from input_pipeline.core.clips import CLASS_NAMES, MAP_SIZE, MOST_CLASSES
from input_pipeline.core.errors import Faults, InputError, at
from input_pipeline.core.files import UnfitFileError, read_whole
from input_pipeline.databases import registry
from input_pipeline.databases.registry import DATABASES_OF
from input_pipeline.maps import picture
from input_pipeline.maps.layouts import LANDMARKS
from input_pipeline.maps.sample import MapSample

TABLE_NAME = "samples.csv"
CLASSES_NAME = "classes.txt"
COLUMNS = ("database", "subject", "sample", "label", "map")
LANDMARK_COLUMNS = tuple(f"{name}_{axis}" for name in LANDMARKS for axis in "xy")
_MOST_ROWS = 100_000
_MOST_BYTES = 64 << 20
# The words and the numbers of the 3-class protocol, in lower case.
_WORD_OF = {name: name for name in CLASS_NAMES} | {str(n): w for n, w in enumerate(CLASS_NAMES)}


class _Entry(NamedTuple):
    """One row, checked, its picture not yet read; `key` is database, subject and clip."""

    key: tuple[str, str, str]
    # The class in words.
    label: str
    map_name: str
    path: pathlib.Path
    landmarks_5x2: np.ndarray | None


def read_table(source: pathlib.Path, dataset: str) -> tuple[list[MapSample], tuple[str, ...]]:
    """The samples of a table in its order, and the class names in label order.

    Columns are COLUMNS and, all or none, LANDMARK_COLUMNS in map pixels (x right, y down). A data
    set of one's own has the databases and class words of its table; CLASSES_NAME beside it, one
    word a line, gives the order of the classes, else the alphabet. Raises InputError that names
    the first faulty row and counts the others.
    """
    rows = _rows(_text(source / TABLE_NAME))
    resolved = source.resolve()
    faults = Faults()
    entries: list[tuple[int, _Entry]] = []
    first_row_of: dict[tuple[str, str, str], int] = {}
    for number, row in rows:
        with faults.noted(), at(f"{TABLE_NAME} row {number}"):
            entry = _entry(resolved, dataset, row)
            entries.append((number, entry))
            first = first_row_of.setdefault(entry.key, number)
            if first != number:
                raise InputError(
                    f"the clip {'/'.join(entry.key)} already stands in row {first}; every key "
                    "must be unique; remove one of the two rows."
                )
    # Before any picture is decoded: a table of thousands of wrong rows is refused at once.
    faults.raise_if_any()
    class_names: tuple[str, ...] = CLASS_NAMES
    if dataset not in DATABASES_OF:
        class_names = _own_classes(source, entries, faults)
        faults.raise_if_any()
    return _samples(entries, class_names), class_names


def _own_classes(
    source: pathlib.Path, entries: list[tuple[int, _Entry]], faults: Faults
) -> tuple[str, ...]:
    """The class set of a data set of one's own; complains about labels that it lacks."""
    path = source / CLASSES_NAME
    words = sorted({entry.label for _, entry in entries})
    where = f"'{path}'" if path.exists() else "the table"
    listed = [line.strip() for line in _text(path).splitlines()] if path.exists() else words
    names = tuple(identifiers.checked(line, "class") for line in listed if line)
    if not path.exists() and set(names) <= set(CLASS_NAMES):
        return CLASS_NAMES
    if len({name.casefold() for name in names}) < len(names):
        raise InputError(
            f"in {where} the classes {', '.join(names)} repeat a word, upper and lower case aside; "
            "spell each class in one way."
        )
    if not 2 <= len(names) <= MOST_CLASSES:
        raise InputError(
            f"{where} has {len(names)} classes ({', '.join(names[:5])}"
            f"{', ...' if len(names) > 5 else ''}); allowed are 2 to {MOST_CLASSES}."
        )
    for number, entry in entries:
        if entry.label not in names:
            as_read = f" (0, 1 and 2 are read as {', '.join(CLASS_NAMES)})"
            faults.add(
                f"{TABLE_NAME} row {number}: the label {entry.label!a} does not stand in "
                f"{CLASSES_NAME}; allowed are {', '.join(names)}"
                f"{as_read if entry.label in CLASS_NAMES else ''}; correct one of the two."
            )
    return names


def _samples(entries: list[tuple[int, _Entry]], class_names: tuple[str, ...]) -> list[MapSample]:
    """The entries with their pictures, of which each file is decoded once."""
    faults = Faults()
    samples = []
    map_of: dict[pathlib.Path, np.ndarray] = {}
    for number, entry in progress_lines.over(entries, "maps"):
        with faults.noted(), at(f"{TABLE_NAME} row {number}: '{entry.map_name}'"):
            if entry.path not in map_of:
                map_of[entry.path] = picture.decode(picture.read_bytes(entry.path))
            samples.append(
                MapSample(
                    *entry.key,
                    label=class_names.index(entry.label),
                    map_HxWxC=map_of[entry.path],
                    landmarks_5x2=entry.landmarks_5x2,
                )
            )
    faults.raise_if_any()
    return samples


def _text(path: pathlib.Path) -> str:
    try:
        # -sig: spreadsheets put a byte order mark in front.
        return read_whole(path, _MOST_BYTES).decode("utf-8-sig")
    except UnfitFileError as error:
        raise InputError(
            f"'{path}' is no table: {error}; expected is one with the columns {', '.join(COLUMNS)}."
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"'{path}' is not UTF-8 text (byte {error.start}); save it as text in UTF-8."
        ) from error


def _rows(text: str) -> list[tuple[int, dict[str, str]]]:
    """Line number and named cells of each row that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(header)
        rows: list[tuple[int, dict[str, str]]] = []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(rows) == _MOST_ROWS:
                raise InputError(f"{TABLE_NAME} has more than the {_MOST_ROWS} rows allowed.")
            if len(cells) != len(header):
                raise InputError(
                    f"{TABLE_NAME} row {reader.line_num} has {len(cells)} cells; its header has "
                    f"{len(header)}; separate cells by commas and quote those that hold one."
                )
            rows.append((reader.line_num, dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        raise InputError(
            f"{TABLE_NAME} row {reader.line_num} is no CSV ({error}); save the table again as "
            "comma-separated text."
        ) from error
    if not rows:
        raise InputError(f"{TABLE_NAME} holds no rows below its header; at least one is needed.")
    return rows


def _check_header(header: list[str]) -> None:
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise InputError(
            f"{TABLE_NAME} lacks the column{'s' if len(missing) > 1 else ''} "
            f"{', '.join(missing)}; its header reads {','.join(header)[:100]!a}; needed are "
            f"{', '.join(COLUMNS)}, parted by commas."
        )
    without = [name for name in LANDMARK_COLUMNS if name not in header]
    if 0 < len(without) < len(LANDMARK_COLUMNS):
        raise InputError(
            f"{TABLE_NAME} lacks the landmark columns {', '.join(without)}; give all ten or none."
        )
    twice = sorted({name for name in (*COLUMNS, *LANDMARK_COLUMNS) if header.count(name) > 1})
    if twice:
        raise InputError(f"{TABLE_NAME} has the column {twice[0]} twice; remove one of the two.")


def _entry(source: pathlib.Path, dataset: str, row: dict[str, str]) -> _Entry:
    database = identifiers.checked(row["database"].strip().lower(), "database")
    allowed = DATABASES_OF.get(dataset, (database,))
    if database not in allowed:
        raise InputError(
            f"the database {row['database'][:40]!a} does not belong to the data set {dataset}; "
            f"allowed are {', '.join(allowed)}; correct the row or give another --dataset."
        )
    subject = identifiers.checked(row["subject"], "subject")
    clip = identifiers.checked(row["sample"], "sample")
    label = row["label"].strip()
    label = _WORD_OF.get(label.lower(), label)
    if dataset not in DATABASES_OF:
        identifiers.checked(label, "label")
    elif label not in CLASS_NAMES:
        raise InputError(
            f"the label {row['label'][:40]!a} is unknown; allowed are {', '.join(CLASS_NAMES)} or "
            "0, 1, 2; correct the row."
        )
    return _Entry(
        key=(database, registry.canonical_subject(database, subject), clip),
        label=label,
        map_name=row["map"],
        path=picture.path_inside(source, row["map"]),
        landmarks_5x2=_landmarks(row) if LANDMARK_COLUMNS[0] in row else None,
    )


def _landmarks(row: dict[str, str]) -> np.ndarray:
    values = []
    for column in LANDMARK_COLUMNS:
        try:
            value = float(row[column])
        except ValueError:
            value = np.nan
        # NaN fails this comparison as well.
        if not 0 <= value <= MAP_SIZE:
            raise InputError(
                f"the landmark {column} is {row[column][:40]!a}; allowed are numbers from 0 to "
                f"{MAP_SIZE}, in map pixels; correct it or remove all ten landmark columns."
            )
        values.append(value)
    x_of = dict(zip(LANDMARKS, values[::2], strict=True))
    for part in ("eye", "lip"):
        left, right = x_of[f"{part}_left"], x_of[f"{part}_right"]
        if left >= right:
            raise InputError(
                f"{part}_left_x is {left:g} and {part}_right_x is {right:g}; left and right are "
                "those of the picture, so left must be the smaller; exchange the columns if they "
                "mean the person's own sides."
            )
    return np.array(values, np.float32).reshape(len(LANDMARKS), 2)
