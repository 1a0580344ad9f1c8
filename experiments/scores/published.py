"""Published results: the rows of published.csv, and ours beside them in a run's report."""

import collections
import csv
import dataclasses
import functools
import importlib.resources
import io
from typing import Any

from experiments.scores.summary import Records
from experiments.scores.tables import epoch_rule
from input_pipeline.core.clips import CLASS_NAMES
from input_pipeline.core.tables import Table
from input_pipeline.databases import expected_counts, packaged_table
from input_pipeline.databases.names import in_order, in_words
from input_pipeline.databases.registry import DATABASES_OF

# The one whose network this is.
PAPER = "AHMSA-Net"


@functools.cache
def rows() -> tuple[dict[str, str], ...]:
    """The published results, each with paper, table and row of origin, and how it chose the epoch.

    A score that the origin does not give is empty; so is the number of clips, which is the sum of
    the classes in the paper's own table of databases.
    """
    source = importlib.resources.files("experiments.scores").joinpath("published.csv")
    return tuple(csv.DictReader(io.StringIO(source.read_text(encoding="utf-8"))))


@functools.cache
def release_clips(database: str) -> int:
    """Clips of the 3-class protocol in a database as its owners release it."""
    counts = packaged_table.rows("expected_counts.csv")
    own = [row for row in counts if row["database"] == database]
    return sum(int(row[name]) for row in own for name in CLASS_NAMES)


def _released(databases: tuple[str, ...], classes: str) -> dict[str, int]:
    """Clips of a class set in each of the databases; empty where they are not known."""
    if classes == "3":
        return {database: release_clips(database) for database in databases}
    counts = {database: expected_counts.of_class_set(database, classes) for database in databases}
    found = {name: sum(map(sum, one.per_subject.values())) for name, one in counts.items() if one}
    return found if len(found) == len(databases) else {}


@dataclasses.dataclass(frozen=True)
class ClipCount:
    """Clips that a run predicted, beside those of the release where they can be compared."""

    clips: int
    whole: int | None = None
    is_part: bool = False  # whether a database lacks clips

    def __str__(self) -> str:
        if self.is_part:
            return f"{self.clips} of {self.whole}, part"
        return f"{self.clips} instead of {self.whole}" if self.whole else str(self.clips)


def clips_of(records: Records) -> ClipCount:
    """How many clips the run predicted; `whole` only where the release holds others."""
    clips = {(row.database, row.subject, row.clip) for row in records.predictions}
    dataset = records.spec.dataset
    if records.pretend or dataset not in DATABASES_OF:
        return ClipCount(len(clips))
    found = collections.Counter(database for database, *_ in clips)
    wanted = _released(DATABASES_OF[dataset], records.class_set)
    if not wanted:
        return ClipCount(len(clips))
    whole = sum(wanted.values())
    is_part = any(found[database] < count for database, count in wanted.items())
    return ClipCount(len(clips), None if len(clips) == whole else whole, is_part)


def published_table(records: Records, summary: dict[str, Any]) -> Table | None:
    """Our row under those that the AHMSA-Net paper prints for this data set, or None.

    None too where our run is a control, of other classes, another split or on pretend data.
    Of a part of the data set the clips are given beside the published ones.
    """
    spec = records.spec
    found = [row for row in rows() if (row["paper"], row["dataset"]) == (PAPER, spec.dataset)]
    alike = records.class_names == CLASS_NAMES and not spec.shuffled_labels and spec.split == "loso"
    alike = alike and spec.train_share == 1
    if not found or records.pretend or not alike:
        return None
    parts = ["pooled", *in_order(row["part"] for row in found if row["part"] != "pooled")]
    ours = {"pooled": summary["pooled"], **summary["by_database"]}
    lines: dict[str, dict[str, dict[str, str]]] = {}
    for row in found:
        lines.setdefault(row["method"], {})[row["part"]] = row
    table_rows = []
    for method, by_part in lines.items():
        scores = [f"{by_part[part]['uf1']} / {by_part[part]['uar']}" for part in parts]
        whole = by_part["pooled"]
        name = f"{method} ({whole['year']})"
        table_rows.append((name, *scores, whole["clips"], whole["selection"]))
    mine = [
        f"{ours[part]['uf1']:.4f} / {ours[part]['uar']:.4f}" if part in ours else ""
        for part in parts
    ]
    name = f"this run ({spec.model})"
    table_rows.append((name, *mine, str(clips_of(records)), epoch_rule(records)))
    title = f"Beside Table {found[0]['table']} of the {found[0]['paper']} paper (UF1 / UAR)"
    columns = ("method", "all clips", *map(in_words, parts[1:]), "clips", "epoch chosen by")
    return Table(title, columns, table_rows, key=f"published-{records.config_hash}")
