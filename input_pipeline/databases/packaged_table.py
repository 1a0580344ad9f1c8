"""Reads the tables of facts that come with this package (class maps, corrections, counts)."""

import csv
import functools
import pathlib


@functools.cache
def rows(name: str) -> tuple[dict[str, str], ...]:
    """The rows of the packaged CSV `name`, in file order, every cell as text."""
    with pathlib.Path(__file__).with_name(name).open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file, strict=True))
