"""What a study found: each setting's scores, and the tables of all."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from experiments.scores import reporting
from experiments.scores.published import PAPER, published_table, rows
from experiments.scores.reporting import Remark
from experiments.scores.summary import Records, read_records
from experiments.studies.study import Setting, Study
from input_pipeline.core.tables import Table
from input_pipeline.databases.names import in_order, in_words

_SCORES = ("uf1", "uar", "accuracy")
_CSV_COLUMNS = (
    *("setting", "flags", "seeds", "uf1", "uf1_std", "uf1_low", "uf1_high"),
    *("uar", "uar_std", "uar_low", "uar_high", "accuracy", "accuracy_std"),
    *("optimistic_uf1", "optimistic_uar", "failed_folds", "parameters", "seconds"),
)


@dataclasses.dataclass(frozen=True)
class Result:
    """One setting's run as its files tell it."""

    setting: Setting
    records: Records
    summary: dict[str, Any]  # as in summary.json
    parameters: int

    def of_seeds(self, score: str) -> list[float]:
        """A score of each seed, last epoch."""
        return [one[score] for one in self.summary["by_seed"]]


def read(setting: Setting, workdir: pathlib.Path, parameters: int) -> Result:
    """Read a setting's run; raises ConfigError where it is none."""
    records = read_records([workdir])
    return Result(setting, records, reporting.summary_of(records), parameters)


class Page(NamedTuple):
    """What a study shows: its title, sentences and tables."""

    title: str
    remarks: list[Remark]
    tables: list[Table]


def page(study: Study, results: Sequence[Result]) -> Page:
    """The page of a study; at least one result."""
    first = results[0].records
    title = f"Ablation, {study.what}: {reporting.in_one_line(first)}"
    tables = [scores_table(study, results)]
    if len({row.database for row in first.predictions}) > 1:
        tables.append(databases_table(study, results))
    return Page(title, remarks(study, results), tables)


def remarks(study: Study, results: Sequence[Result]) -> list[Remark]:
    """Whose study it is, what the paper says, and what the runs' own reports must say.

    What not every run's report says is told of the settings whose report does.
    """
    of_run = {one.setting.name: reporting.remarks(one.records) for one in results}
    found = [Remark(study.origin, "Study:")]
    first = results[0].records
    if study.said and not first.pretend:
        found.append(Remark(f"The paper says of it in words: {study.said}."))
    if published := _published(study, results[0]):
        found.append(Remark(published))
    for remark in dict.fromkeys(remark for own in of_run.values() for remark in own):
        names = [name for name, own in of_run.items() if remark in own]
        if len(names) == len(results):
            found.append(remark)
        else:
            found.append(Remark(f"{', '.join(names)}: {remark.plain()}"))
    return found


def _published(study: Study, result: Result) -> str:
    """The paper's own result on the data set, where it may stand beside ours; else empty."""
    if not study.papers_setting or not published_table(result.records, result.summary):
        return ""
    dataset = result.records.spec.dataset
    row = next(
        row
        for row in rows()
        if (row["paper"], row["method"], row["dataset"], row["part"])
        == (PAPER, PAPER, dataset, "pooled")
    )
    return (
        f"The paper prints one result of this data set (Table {row['table']}): UF1 {row['uf1']} "
        f"and UAR {row['uar']}, by its Table 3 of the setting {study.papers_setting}; how it chose "
        f"the epoch is {row['selection']}."
    )


def scores_table(study: Study, results: Sequence[Result]) -> Table:
    """A row for each setting; last epoch, and the optimistic figure under its own name."""
    columns = ["setting", "seeds", "UF1", "UF1, 95 %", "UAR", "UAR, 95 %", "accuracy"]
    shows_optimistic = any(_optimistic(one) for one in results)
    if shows_optimistic:
        columns.append("optimistic (epoch picked on the held-out clips): UF1 / UAR")
    columns += ["parameters", "seconds"]
    cells = []
    for one in results:
        uf1, uar, accuracy = (_with_deviation(one, score) for score in _SCORES)
        intervals = [_interval(one, score) for score in _SCORES[:2]]
        seeds = str(len(one.summary["by_seed"]))
        row = [one.setting.words, seeds, uf1, intervals[0], uar, intervals[1], accuracy]
        if shows_optimistic:
            best = _optimistic(one)
            row.append(f"{best['uf1']:.4f} / {best['uar']:.4f}" if best else "")
        cells.append([*row, f"{one.parameters:,}", f"{one.summary['seconds']:.0f}"])
    title = "Scores of the last epoch"
    if any(len(one.summary["by_seed"]) > 1 for one in results):
        title += " (mean ± deviation over seeds)"
    return _table(study, results, title, columns, cells)


def databases_table(study: Study, results: Sequence[Result]) -> Table:
    """UF1 and UAR of each setting on the clips of each database, means over seeds."""
    databases = in_order(dict.fromkeys(name for one in results for name in _by_database(one)))
    cells = []
    for one in results:
        own = _by_database(one)
        shown = [
            "{uf1:.4f} / {uar:.4f}".format(**own[name]) if name in own else "" for name in databases
        ]
        cells.append([one.setting.words, *shown])
    columns = ["setting", *map(in_words, databases)]
    return _table(study, results, "By database, last epoch (UF1 / UAR)", columns, cells)


def csv_table(study: Study, results: Sequence[Result]) -> Table:
    """The same for programs: a score in a column of its own, empty where there is none."""
    cells = []
    for one in results:
        # Without dashes, which a spreadsheet would take for a formula.
        flags = " ".join(f"{name}={value}" for name, value in one.setting.flags.items())
        row = [one.setting.name, flags, str(len(one.summary["by_seed"]))]
        for score in _SCORES:
            row += [f"{one.summary['pooled'][score]:.6f}", _deviation(one, score)]
            if score != "accuracy":
                row += [f"{end:.6f}" for end in _ends(one, score)] or ["", ""]
        best = _optimistic(one)
        row += [f"{best[score]:.6f}" if best else "" for score in _SCORES[:2]]
        row += [str(len(one.records.failed)), str(one.parameters), f"{one.summary['seconds']:.3f}"]
        cells.append(row)
    return _table(study, results, study.what, _CSV_COLUMNS, cells)


def _table(
    study: Study,
    results: Sequence[Result],
    title: str,
    columns: Sequence[str],
    cells: Sequence[Sequence[str]],
) -> Table:
    return Table(title, columns, cells, results[0].records.pretend, study.name)


def _by_database(one: Result) -> dict[str, Any]:
    found: dict[str, Any] = one.summary["by_database"]
    return found


def _optimistic(one: Result) -> dict[str, Any] | None:
    found: dict[str, Any] | None = one.summary["optimistic_best_epoch_on_test"]
    return found


def _deviation(one: Result, score: str) -> str:
    deviation = one.summary["pooled_std"]
    return f"{deviation[score]:.6f}" if deviation else ""


def _with_deviation(one: Result, score: str) -> str:
    deviation = one.summary["pooled_std"]
    text = f"{one.summary['pooled'][score]:.4f}"
    return f"{text} ± {deviation[score]:.4f}" if deviation else text


def _ends(one: Result, score: str) -> Sequence[float]:
    """Ends of the 95 % interval over subjects; empty where there is none."""
    return one.summary["pooled"].get(f"{score}_interval") or ()


def _interval(one: Result, score: str) -> str:
    return " to ".join(f"{end:.4f}" for end in _ends(one, score))
