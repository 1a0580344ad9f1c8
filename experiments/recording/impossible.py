"""Published figures that contradict themselves: by arithmetic, or by their authors' own list.

Letters in array names: K classes.
"""

import collections
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from experiments.recording.rows import DATABASES, DATASET
from experiments.scores import published
from input_pipeline.core.clips import CLASS_NAMES
from input_pipeline.core.tables import Table
from input_pipeline.databases import packaged_table
from input_pipeline.databases.names import in_words

_POOLED = "pooled"
_LIST = "prediction list"


class Bounds(NamedTuple):
    """The least and the largest UAR that a composite can have."""

    low: float
    high: float


def composite_uar(
    uar_of: Mapping[str, tuple[float, float]], clips_of: Mapping[str, Sequence[int]]
) -> Bounds:
    """Bounds of the UAR over all clips, given each database's UAR as (least, largest).

    With n clips of class k in database d, of n_k in all, the pooled recall of k is the sum over d
    of r_dk n_dk / n_k, and a database's UAR is the mean of its r_dk. So each database adds the
    most where its recalls are 1 in the classes with the largest n_dk / n_k first, and the least
    the other way round. Counts are whole numbers, which can only narrow the bounds.
    """
    totals = [sum(own) for own in zip(*clips_of.values(), strict=True)]
    classes = len(totals)
    low = high = 0.0
    for database, (least, largest) in uar_of.items():
        shares = [own / whole for own, whole in zip(clips_of[database], totals, strict=True)]
        low += _filled(sorted(shares), classes * least)
        high += _filled(sorted(shares, reverse=True), classes * largest)
    return Bounds(low / classes, high / classes)


def _filled(shares: Sequence[float], recalls: float) -> float:
    """Shares times recalls in 0..1 that sum to `recalls`, the first ones filled first."""
    found = 0.0
    for share in shares:
        recall = min(1.0, max(0.0, recalls))
        found += share * recall
        recalls -= recall
    return found


def clips_per_class() -> dict[str, list[int]]:
    """Clips (K,) of each database of the composite."""
    rows = packaged_table.rows("expected_counts.csv")
    return {
        database: [
            sum(int(row[name]) for row in rows if row["database"] == database)
            for name in CLASS_NAMES
        ]
        for database in DATABASES
    }


def impossible_rows() -> Table:
    """Published rows whose UAR over all clips cannot come with their databases' UARs."""
    clips, rows = clips_per_class(), []
    for (paper, table, method), parts in _composites().items():
        if {_POOLED, *DATABASES} <= set(parts) and all(parts.values()):
            bounds = composite_uar({name: _printed(parts[name]) for name in DATABASES}, clips)
            least, largest = _printed(parts[_POOLED])
            if largest < bounds.low or least > bounds.high:
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


def _printed(text: str) -> tuple[float, float]:
    """The values that print so."""
    half = 0.5 * 10.0 ** -len(text.partition(".")[2])
    return float(text) - half, float(text) + half


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
