"""Tables as CSV, Markdown and LaTeX."""

import csv
import dataclasses
import io
from collections.abc import Iterable, Iterator, Sequence

from input_pipeline.core import escaping
from input_pipeline.core.clips import entitled

# More do not fit a page of a paper.
LATEX_COLUMNS = 5


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A header and rows as CSV, lines ending with LF."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


@dataclasses.dataclass(frozen=True)
class Table:
    """Text cells under a title, which says so where the data are made up."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    pretend: bool = False
    key: str = ""  # tells it from others in LaTeX's labels

    @property
    def heading(self) -> str:
        """The title, marked for pretend data."""
        return entitled(self.title, pretend=self.pretend)

    def markdown(self) -> str:
        """The table with its title as a heading."""
        rule = ["---"] * len(self.columns)
        lines = [f"## {escaping.markdown(self.heading)}", ""]
        lines += [
            f"| {' | '.join(map(escaping.markdown, cells))} |"
            for cells in (self.columns, rule, *self.rows)
        ]
        return "\n".join(lines) + "\n"

    def csv(self) -> str:
        """Header and rows, without the title; each row of pretend data is marked."""
        column, mark = (("data",), ("PRETEND",)) if self.pretend else ((), ())
        rows = ((*map(escaping.csv_cell, row), *mark) for row in self.rows)
        return csv_text((*self.columns, *column), rows)

    def latex(self) -> str:
        """The table with caption and label; a wide one as several, each with the first column."""
        parts = list(_narrow(len(self.columns)))
        return "".join(
            self._latex_part(columns, f" ({number} of {len(parts)})" if len(parts) > 1 else "")
            for number, columns in enumerate(parts, start=1)
        )

    def _latex_part(self, columns: Sequence[int], which: str) -> str:
        label = f"tab:{self.key or 'table'}{which.replace(' (', '-').partition(' ')[0]}"
        lines = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escaping.latex(self.heading)}{which}}} % needs \usepackage{{booktabs}}",
            rf"\label{{{label}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}",
            r"\toprule",
            escaping.latex_row([self.columns[column] for column in columns]),
            r"\midrule",
            *(escaping.latex_row([row[column] for column in columns]) for row in self.rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
            "",
        ]
        return "\n".join(lines)


def _narrow(columns: int) -> Iterator[list[int]]:
    """Columns of each part: the first one, which names the row, and as many others as fit."""
    others = range(1, columns)
    for start in range(0, max(1, len(others)), LATEX_COLUMNS - 1):
        yield [0, *others[start : start + LATEX_COLUMNS - 1]]
