"""Published results: the rows of published.csv, and ours beside them in a run's report."""

import collections
import csv
import functools
import importlib.resources
import io
from typing import Any

from experiments.scores.summary import Records
from experiments.scores.table_formats import Table
from experiments.scores.tables import epoch_rule
from input_pipeline.core.clips import CLASS_NAMES
from input_pipeline.core.database_names import in_order, in_words
from input_pipeline.databases import packaged_table
from input_pipeline.databases.registry import DATABASES_OF


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
    return sum(
        int(row[name])
        for row in packaged_table.rows("expected_counts.csv")
        for name in CLASS_NAMES
        if row["database"] == database
    )


def clips_in_words(records: Records) -> str:
    """Clips that the run predicted; where the release holds others, how many, and `part`."""
    clips = {(row.database, row.subject, row.clip) for row in records.predictions}
    dataset = records.config["dataset"]
    if records.pretend or dataset not in DATABASES_OF or records.class_names != CLASS_NAMES:
        return str(len(clips))
    found = collections.Counter(database for database, *_ in clips)
    wanted = {database: release_clips(database) for database in DATABASES_OF[dataset]}
    whole = sum(wanted.values())
    if any(found[database] < count for database, count in wanted.items()):
        return f"{len(clips)} of {whole}, part"
    return str(len(clips)) if len(clips) == whole else f"{len(clips)} instead of {whole}"


def published_table(records: Records, summary: dict[str, Any]) -> Table | None:
    """Our row under those that the AHMSA-Net paper prints for this data set, or None.

    None too where our run is a control, of other classes or on pretend data: that does not compare.
    Of a part of the data set the clips are given beside the published ones.
    """
    found = [
        row
        for row in rows()
        if row["paper"] == "AHMSA-Net" and row["dataset"] == records.config["dataset"]
    ]
    alike = records.class_names == CLASS_NAMES and not records.config["shuffled_labels"]
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
        first = by_part["pooled"]
        table_rows.append(
            (f"{method} ({first['year']})", *scores, first["clips"], first["selection"])
        )
    mine = [
        f"{ours[part]['uf1']:.4f} / {ours[part]['uar']:.4f}" if part in ours else ""
        for part in parts
    ]
    name = f"this run ({records.config['model']})"
    table_rows.append((name, *mine, clips_in_words(records), epoch_rule(records)))
    title = f"Beside Table {found[0]['table']} of the {found[0]['paper']} paper (UF1 / UAR)"
    columns = ("method", "all clips", *map(in_words, parts[1:]), "clips", "epoch chosen by")
    return Table(title, columns, table_rows, key=f"published-{records.config_hash}")
