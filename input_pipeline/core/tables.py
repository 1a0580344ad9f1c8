"""Rows of text cells as CSV for spreadsheets and as Markdown; foreign names are escaped."""

import csv
import io
from collections.abc import Iterable, Sequence

from input_pipeline.core import escaping


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Header and rows; no cell becomes a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(map(escaping.csv_cell, row) for row in rows)
    return text.getvalue()


def as_markdown(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The table below its title as a heading."""
    cells = [columns, ["---"] * len(columns), *rows]
    lines = ["| " + " | ".join(map(escaping.markdown, row)) + " |" for row in cells]
    return "\n".join([f"## {escaping.markdown(title)}", "", *lines]) + "\n"
