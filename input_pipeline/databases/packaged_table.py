"""Reads the tables of facts that come with this package (class maps, corrections, counts)."""

import csv
import functools
import pathlib


@functools.cache
def rows(name: str) -> tuple[dict[str, str], ...]:
    """The rows of the packaged CSV `name`, in file order, every cell as text."""
    return read_rows(pathlib.Path(__file__).with_name(name))


def read_rows(path: pathlib.Path) -> tuple[dict[str, str], ...]:
    """The rows of a CSV file with a header; raises ValueError on a row of another width."""
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(_whole(row, path) for row in csv.DictReader(file, strict=True))


def _whole(row: dict[str, str], path: pathlib.Path) -> dict[str, str]:
    if None in row or None in row.values():
        raise ValueError(f"{path.name}: the row {list(row.values())} has another width")
    return row
