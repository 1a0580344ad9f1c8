"""Tables of the record: figures of kept runs, a row without one reading "not measured"."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.classical_methods.registry import METHODS as CLASSICAL
from experiments.recording.kept import KeptRun
from experiments.recording.rows import (
    CONTROLS,
    CURVES,
    DATABASES,
    HELD_OUT_DATABASES,
    METHODS,
    NESTED,
    NOT_MEASURED,
    ROWS,
    SHARES,
    Row,
    share_name,
)
from input_pipeline.core.tables import Table
from input_pipeline.databases.names import in_words

Kept = Mapping[str, KeptRun]
_DATABASES = tuple(map(in_words, DATABASES))
_DATABASES_UF1 = tuple(f"{name}, UF1" for name in _DATABASES)


def methods_table(kept: Kept) -> Table:
    """Every network and method, last epoch."""
    columns: tuple[str, ...] = ("network or method", "size and setting", "developed on", "seeds")
    columns += ("UF1", "UF1, 95 % over subjects", "UAR", *_DATABASES_UF1, "nested UF1", "time")
    rows = []
    for row in METHODS:
        about, nested = (row.method, row.size, row.developed), _nested_uf1(row, kept)
        figures = (NOT_MEASURED, *[""] * (2 + len(DATABASES)), nested, "")
        seeds = ""
        if run := kept.get(row.name):
            seeds = str(run.seeds)
            figures = (*_scores(run), nested, in_time(run.summary["seconds"]))
        rows.append((*about, seeds, *figures))
    return Table("Networks and methods, last epoch", columns, rows)


def _nested_uf1(row: Row, kept: Kept) -> str:
    name = f"{row.name}-nested"
    if name not in ROWS:
        return "nothing chosen"
    if name not in kept:
        return NOT_MEASURED
    return f"{_score(kept[name], 'uf1')} ({_interval(kept[name], 'uf1')})"


def nested_table(kept: Kept) -> Table:
    """Settings chosen in each fold by its training subjects."""
    columns: tuple[str, ...] = ("network or method", "chosen among", "compared by", "seeds", "UF1")
    columns += ("UF1, 95 % over subjects", "UAR", *_DATABASES_UF1, "time")
    rows = []
    for row in NESTED:
        cells = ("", "", NOT_MEASURED, *[""] * (3 + len(DATABASES)))
        size = row.size
        if run := kept.get(row.name):
            size = f"the {len(run.spec.candidates or ())} {row.size}"
            # The kept runs of networks were made when a summary counted chosen trainings alone.
            time = in_time(run.summary["seconds"]) if row.model in CLASSICAL else ""
            cells = (run.spec.select_by or "", str(run.seeds), *_scores(run), time)
        rows.append((row.title, size, *cells))
    return Table("Chosen inside each fold (nested)", columns, rows)


def databases_table(kept: Kept) -> Table:
    """Each database held out in turn: its UF1 / UAR, and the mean of the three."""
    columns: tuple[str, ...] = (
        "network or method",
        "size and setting",
        "seeds",
        *_DATABASES,
        "mean of the three",
    )
    rows = []
    for row in HELD_OUT_DATABASES:
        if row.name not in kept:
            rows.append((row.title, row.size, "", *[NOT_MEASURED] * 3, ""))
            continue
        run = kept[row.name]
        both = zip(_by_database(run, "uf1"), _by_database(run, "uar"), strict=True)
        each = [run.summary["by_database"][name] for name in DATABASES]
        mean = [f"{np.mean([one[score] for one in each]):.4f}" for score in ("uf1", "uar")]
        cells = (" / ".join(pair) for pair in (*both, mean))
        rows.append((row.title, row.size, str(run.seeds), *cells))
    title = "Each database held out, trained on the other two (UF1 / UAR)"
    return Table(title, columns, rows)


def controls_table(kept: Kept) -> Table:
    """Labels shuffled over all clips: what is left when nothing can be learnt."""
    columns: tuple[str, ...] = ("method", "permutations", "UF1", "UF1 of each", "UAR")
    rows = []
    for row in CONTROLS:
        if row.name not in kept:
            rows.append((row.method, "", NOT_MEASURED, "", ""))
            continue
        run = kept[row.name]
        each = ", ".join(f"{one['uf1']:.4f}" for one in run.summary["by_seed"])
        cells = (str(run.seeds), _score(run, "uf1"), each, _score(run, "uar"))
        rows.append((row.method, *cells))
    return Table("Control: labels shuffled", columns, rows)


def curve_table(kept: Kept) -> Table:
    """UF1 by the share of the training subjects."""
    columns: tuple[str, ...] = (
        "method",
        *(f"{share:.0%} of the subjects" for share in (*SHARES, 1.0)),
        "draws",
    )
    rows = []
    for name in CURVES:
        runs = [kept.get(share_name(name, share)) for share in (*SHARES, 1.0)]
        cells = [_score(run, "uf1") if run else NOT_MEASURED for run in runs]
        draws = {run.seeds for run in runs[:-1] if run}
        shown = " or ".join(map(str, sorted(draws)))
        rows.append((ROWS[name].title, *cells, shown))
    return Table("Learning curve over subjects (UF1, mean ± deviation over draws)", columns, rows)


def commands_table() -> Table:
    """The command of each row, and what it was developed on."""
    columns: tuple[str, ...] = ("kept as", "developed on", "command")
    rows = [(row.name, row.developed, row.command) for row in ROWS.values()]
    return Table("Commands", columns, rows)


def _scores(run: KeptRun) -> tuple[str, ...]:
    """UF1 with its interval, UAR, and each database's UF1."""
    pooled = (_score(run, "uf1"), _interval(run, "uf1"), _score(run, "uar"))
    return (*pooled, *_by_database(run, "uf1"))


def _score(run: KeptRun, name: str) -> str:
    """Mean and, of several seeds, their deviation."""
    spread = run.summary["pooled_std"]
    mean = f"{run.summary['pooled'][name]:.4f}"
    return f"{mean} ± {spread[name]:.4f}" if spread else mean


def _interval(run: KeptRun, name: str) -> str:
    low, high = run.summary["pooled"][f"{name}_interval"]
    return f"{low:.3f} to {high:.3f}"


def _by_database(run: KeptRun, name: str) -> Sequence[str]:
    by_database: Mapping[str, Any] = run.summary["by_database"]
    return [f"{by_database[database][name]:.4f}" for database in DATABASES]


def in_time(seconds: float) -> str:
    """Seconds as people read them."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
