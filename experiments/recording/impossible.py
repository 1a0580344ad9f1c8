"""Published figures that contradict themselves: by arithmetic, or by their authors' own list."""

import collections

from experiments.recording.rows import DATABASES, DATASET
from experiments.scores import attainable, published
from input_pipeline.core.clips import CLASS_NAMES
from input_pipeline.core.tables import Table
from input_pipeline.databases.names import in_words

_POOLED = "pooled"
_LIST = "prediction list"


def impossible_rows() -> Table:
    """Published rows whose UAR over all clips cannot come with their databases' UARs."""
    rows = []
    for (paper, table, method), parts in _composites().items():
        if {_POOLED, *DATABASES} <= set(parts):
            bounds = attainable.beyond(parts[_POOLED], {name: parts[name] for name in DATABASES})
            if bounds is not None:
                printed = " / ".join(parts[name] for name in DATABASES)
                possible = f"{bounds.low:.4f} to {bounds.high:.4f}"
                rows.append((f"{paper}, Table {table}", method, printed, parts[_POOLED], possible))
    databases = " / ".join(map(in_words, DATABASES))
    columns = ("origin", "method", f"UAR of {databases}", "UAR of all, as printed", "possible")
    return Table("Published rows that no set of predictions can give", columns, rows)


def _composites() -> dict[tuple[str, str, str], dict[str, str]]:
    """UARs as printed, by part, of each published row of the composite."""
    found: dict[tuple[str, str, str], dict[str, str]] = collections.defaultdict(dict)
    for row in published.rows():
        if row["dataset"] == DATASET and row["classes"] == str(len(CLASS_NAMES)):
            found[row["paper"], row["table"], row["method"]][row["part"]] = row["uar"]
    return found


def contradicted_rows() -> Table:
    """Published rows beside what their authors' own published predictions give."""
    by_row: dict[tuple[str, str], dict[str, str]] = collections.defaultdict(dict)
    lists: dict[tuple[str, str], dict[str, str]] = collections.defaultdict(dict)
    for row in published.rows():
        if row["dataset"] == DATASET:
            of_list = row["table"] == _LIST
            paper = row["paper"].removesuffix(" code")
            cell = f"{row['uf1']} / {row['uar']}"
            (lists if of_list else by_row)[paper, row["method"]][row["part"]] = cell
    parts = (_POOLED, *DATABASES)
    rows = []
    for (paper, method), own in lists.items():
        for source, cells in (("its paper", by_row[paper, method]), ("its own list", own)):
            rows.append((f"{method}, {source}", *(cells.get(part, "") for part in parts)))
    title = "Published figures that their own predictions contradict (UF1 / UAR)"
    return Table(title, ("figures", "all clips", *map(in_words, DATABASES)), rows)
