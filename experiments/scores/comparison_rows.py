"""Rows of the comparison: our measured runs, and what papers print for the same data sets."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ahmsa_jax.choices import SELECTIONS
from experiments.scores import attainable, published
from experiments.scores.summary import Records, summarise
from experiments.scores.tables import NOT_STATED, epoch_rule
from input_pipeline.core import escaping, tasks
from input_pipeline.core.tables import Table, csv_text
from input_pipeline.databases.names import in_order, in_words
from input_pipeline.databases.registry import DATABASES_OF

POOLED = "pooled"
COMPOSITE, _SINGLE = "megc2019", ("casme2", "samm", "smic")
_OF_KIND = {"jax": "", "pytorch": ", PyTorch", "given": ", given weights", "classical": ""}
_EACH = "each database alone"
LAST, PICKED = SELECTIONS["last"], "best epoch on test"
# What is chosen without the held-out clips comes first.
_RULES = (LAST, PICKED, NOT_STATED)
_NAMES = ("kind", "dataset", "method", "source", "part", "classes")
CSV_COLUMNS = (*_NAMES, "uf1", "uar", "uf1_std", "uar_std", "seeds", "selection", "clips")


@dataclasses.dataclass(frozen=True)
class Score:
    """UF1 and UAR as text of four digits or as printed; deviations over seeds where there are."""

    uf1: str
    uar: str
    uf1_std: str = ""
    uar_std: str = ""

    def cell(self) -> str:
        """UF1 / UAR, with deviations."""
        pairs = ((self.uf1, self.uf1_std), (self.uar, self.uar_std))
        return " / ".join(f"{value} ± {std}" if std else value or "-" for value, std in pairs)


@dataclasses.dataclass(frozen=True)
class Row:
    """One method's line: scores by part (pooled, or a database's name) under one rule."""

    is_ours: bool
    dataset: str
    method: str
    source: str
    scores: dict[str, Score]
    selection: str
    paper: str = ""  # that a published row is from
    name: str = ""  # of a published method, without its year
    origin: str = ""  # paper and table of a published row, or the name of our run
    clips: str = ""  # empty where the paper does not say
    is_part: bool = False  # whether our run's clips are a part of the data set
    pretend: bool = False
    seeds: int = 0
    classes: str = "3"  # the class set
    warning: str = ""  # of our run's split
    note: str = ""  # what speaks against a published figure
    optimistic: Score | None = None


def our_row(name: str, records: Records) -> Row:
    """Our run's line: headline at the last epoch, optimistic figure apart."""
    summary = summarise(records)
    scores = {POOLED: _score(summary["pooled"], summary["pooled_std"])}
    scores |= {part: _score(value) for part, value in summary["by_database"].items()}
    picked = summary["optimistic_best_epoch_on_test"]
    spec, clips = records.spec, published.clips_of(records)
    return Row(
        is_ours=True,
        dataset=spec.dataset,
        method=f"{spec.model} ({spec.layout}{_OF_KIND[spec.kind]}{spec.split_words.method})",
        source=f"run {name}",
        origin=name,
        scores=scores,
        selection=epoch_rule(records),
        clips=str(clips),
        is_part=clips.is_part,
        pretend=records.pretend,
        seeds=len(records.seeds),
        classes=records.class_set,
        warning=spec.split_words.warning,
        optimistic=_score(picked) if picked else None,
    )


def _score(scores: dict[str, Any], spread: dict[str, Any] | None = None) -> Score:
    stds = [f"{spread[name]:.4f}" for name in ("uf1", "uar")] if spread else ["", ""]
    return Score(f"{scores['uf1']:.4f}", f"{scores['uar']:.4f}", *stds)


def published_lines(datasets: Sequence[str]) -> list[Row]:
    """Published lines for these data sets: honest rules first, then by descending UF1.

    Beside a composite run stand scores of its single databases too, under a name of their own.
    """
    shown = [*datasets, *([_EACH] if COMPOSITE in datasets else [])]
    lines: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in published.rows():
        if row["dataset"] not in datasets:
            if COMPOSITE not in datasets or row["dataset"] not in _SINGLE:
                continue
            row = row | {"dataset": _EACH, "part": row["dataset"]}
        key = (row["dataset"], row["classes"], row["paper"], row["table"], row["row"])
        lines.setdefault(key, []).append(row)
    found = []
    for (dataset, classes, paper, table, number), rows in lines.items():
        year = f" ({rows[0]['year']})" if rows[0]["year"] else ""
        place = f"Table {table}" if table[0].isdecimal() or table.isupper() else table
        found.append(
            Row(
                is_ours=False,
                dataset=dataset,
                method=rows[0]["method"] + year,
                source=f"{paper}, {place}, row {number}",
                paper=paper,
                name=rows[0]["method"],
                origin=f"{paper}, {place}",
                scores={row["part"]: Score(row["uf1"], row["uar"]) for row in rows},
                note=_against(dataset, classes, {row["part"]: row["uar"] for row in rows}),
                selection=rows[0]["selection"],
                # Of all parts together as the paper counts them, where it has scores of them.
                clips=next((row["clips"] for row in rows if row["part"] == POOLED), ""),
                classes=classes,
            )
        )

    def order(row: Row) -> tuple[str | float, ...]:
        uf1 = float(row.scores[POOLED].uf1) if POOLED in row.scores else 0.0
        rule = _RULES.index(row.selection)
        return shown.index(row.dataset), row.classes, rule, -uf1, row.source

    return sorted(found, key=order)


def _against(dataset: str, classes: str, uar_of: Mapping[str, str]) -> str:
    """That a composite's UAR cannot come with its databases' UARs, where that is so."""
    databases = DATABASES_OF.get(dataset, ())
    if classes != "3" or len(databases) < 2 or not {POOLED, *databases} <= set(uar_of):
        return ""
    bounds = attainable.beyond(uar_of[POOLED], {name: uar_of[name] for name in databases})
    if bounds is None:
        return ""
    return (
        f"; its UAR of all clips cannot come from one set of predictions with those of its "
        f"databases ({bounds.low:.4f} to {bounds.high:.4f} can)"
    )


def parts_of(rows: Sequence[Row]) -> list[str]:
    """Parts that a table shows: all clips, then the databases of composites in their order."""
    found = {part for row in rows for part in row.scores if part not in (POOLED, row.dataset)}
    return [POOLED, *in_order(found)]


def comparison_table(rows: Sequence[Row]) -> Table:
    """All lines as one table of UF1 / UAR; the optimistic figure has its own column."""
    parts = parts_of(rows)
    cells = [
        (
            row.method,
            # With what keeps its lines from comparing with others.
            in_words(row.dataset) + classes_in_words(row) + (", PRETEND" if row.pretend else ""),
            row.clips,
            *_scores(row, parts),
            row.selection,
            row.optimistic.cell() if row.optimistic else "",
            row.source + (f", {row.seeds} seed(s)" if row.is_ours else row.note),
        )
        for row in rows
    ]
    last = ("epoch chosen by", f"optimistic: {PICKED}", "source")
    columns = ("method", "data set", "clips", *_names(parts), *last)
    return Table("Comparison (UF1 / UAR)", columns, cells, all(row.pretend for row in rows))


def latex_tables(rows: Sequence[Row]) -> list[Table]:
    """The same for a paper: a table a data set, and one more where it has several databases."""
    found = []
    for number, group in enumerate(by_data_set(rows), start=1):
        title = f"Comparison on {in_words(group[0].dataset)}{classes_in_words(group[0])}"
        pretend, parts = group[0].pretend, parts_of(group)
        if any(POOLED in row.scores for row in group):
            cells = [
                (
                    row.method,
                    row.clips,
                    *_scores(row, [POOLED]),
                    row.selection,
                    row.source + row.note,
                )
                for row in group
            ]
            columns = ("method", "clips", "UF1 / UAR", "epoch chosen by", "source")
            found.append(Table(title, columns, cells, pretend, f"comparison-{number}"))
        if len(parts) > 1:
            title, key = f"{title}, by database (UF1 / UAR)", f"comparison-{number}-databases"
            databases = ("method", *_names(parts[1:]))
            scores = [(row.method, *_scores(row, parts[1:])) for row in group]
            found.append(Table(title, databases, scores, pretend, key))
    return found


def by_data_set(rows: Sequence[Row]) -> list[list[Row]]:
    """The lines that may be compared with each other, in the order of their data sets."""
    groups: dict[tuple[str, str, bool], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.dataset, row.classes, row.pretend), []).append(row)
    return list(groups.values())


def classes_in_words(row: Row) -> str:
    """`, 7 classes`; nothing for the usual three."""
    return "" if row.classes == "3" else f", {tasks.in_words(row.dataset, row.classes)}"


def _scores(row: Row, parts: Sequence[str]) -> list[str]:
    return [row.scores[part].cell() if part in row.scores else "" for part in parts]


def _names(parts: Sequence[str]) -> list[str]:
    return ["all clips" if part == POOLED else in_words(part) for part in parts]


def as_csv(rows: Sequence[Row]) -> str:
    """The same, one line a score, for other programs."""
    lines = []
    for row in rows:
        scores = [(part, score, row.selection) for part, score in row.scores.items()]
        if row.optimistic:
            scores.append((POOLED, row.optimistic, PICKED))
        for part, score, rule in scores:
            names = map(escaping.csv_cell, (row.dataset, row.method, row.source, part))
            numbers = (*dataclasses.astuple(score), row.seeds or "")
            kind = "ours" if row.is_ours else "published"
            lines.append((kind, *names, row.classes, *numbers, rule, row.clips))
    return csv_text(CSV_COLUMNS, lines)
