"""Tables of a report as Markdown, CSV and LaTeX: ours, and published rows beside them."""

import csv
import dataclasses
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from ahmsa_jax.metrics import subject_scores
from experiments.run_files import Prediction
from experiments.summary import Records, confusion_of
from input_pipeline import escaping
from input_pipeline.clips import CLASS_NAMES, entitled


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of text cells under a title, which says so where the data are made up."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    pretend: bool = False

    @property
    def heading(self) -> str:
        """The title, marked for pretend data."""
        return entitled(self.title, pretend=self.pretend)

    def markdown(self) -> str:
        """The table with its title as a heading."""
        lines = [
            f"## {escaping.markdown(self.heading)}",
            "",
            _bars(self.columns),
            _bars(["---"] * len(self.columns)),
        ]
        return "\n".join([*lines, *(_bars(row) for row in self.rows)]) + "\n"

    def csv(self) -> str:
        """Header and rows, without the title; each row of pretend data is marked."""
        mark = ("PRETEND",) if self.pretend else ()
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow((*self.columns, *(["data"] if self.pretend else [])))
        writer.writerows((*map(escaping.csv_cell, row), *mark) for row in self.rows)
        return text.getvalue()

    def latex(self) -> str:
        """A tabular with a caption; needs no package."""
        body = [escaping.latex_row(row) for row in self.rows]
        return "\n".join(
            [
                r"\begin{table}",
                rf"\caption{{{escaping.latex(self.heading)}}}",
                rf"\begin{{tabular}}{{l{'r' * (len(self.columns) - 1)}}}",
                r"\hline",
                escaping.latex_row(self.columns),
                r"\hline",
                *body,
                r"\hline",
                r"\end{tabular}",
                r"\end{table}",
                "",
            ]
        )


def _bars(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(escaping.markdown, cells)) + " |"


def epoch_rule(records: Records) -> str:
    """How the epoch of a run's headline was chosen; of weights that were given nobody knows."""
    return "last epoch" if records.config["train_config"]["epochs"] else "not stated"


def scores_table(records: Records, summary: dict[str, Any]) -> Table:
    """Headline, databases, mean over subjects and the optimistic figure, each under its name."""
    spread = summary["pooled_std"]
    rule = epoch_rule(records)
    whole = "all clips, last epoch" if rule == "last epoch" else "all clips, weights as given"
    rows = [_score_row(whole, summary["pooled"], spread)]
    for name, scores in summary["by_database"].items():
        rows.append(_score_row(name, scores))
    rows.append(_score_row("mean over subjects", summary["per_subject_mean"]))
    if summary["optimistic_best_epoch_on_test"]:
        label = "optimistic: best epoch picked on the held-out clips"
        rows.append(_score_row(label, summary["optimistic_best_epoch_on_test"]))
    seeds = len(summary["by_seed"])
    title = "Scores" if seeds == 1 else f"Scores (mean ± deviation over {seeds} seeds)"
    columns = ("part", "UF1", "UAR", "accuracy", "clips")
    return Table(title, columns, rows, pretend=records.pretend)


def _score_row(
    name: str, scores: dict[str, Any], spread: dict[str, Any] | None = None
) -> tuple[str, ...]:
    cells = [
        f"{scores[key]:.4f}" + (f" ± {spread[key]:.4f}" if spread else "")
        for key in ("uf1", "uar", "accuracy")
    ]
    return (name, *cells, str(scores.get("n", "")))


def confusion_table(records: Records, summary: dict[str, Any]) -> Table:
    """The pooled confusion matrix as counts."""
    rows = [
        (f"true {name}", *map(str, counts))
        for name, counts in zip(CLASS_NAMES, summary["confusion"], strict=True)
    ]
    title = "Confusion matrix (clips, summed over seeds)"
    columns = ("", *(f"predicted {name}" for name in CLASS_NAMES))
    return Table(title, columns, rows, pretend=records.pretend)


def subjects_table(records: Records) -> Table:
    """One row per subject: clips, hits and scores over the classes present, mean over seeds."""
    rows = []
    for key, runs in predictions_by_subject(records.predictions).items():
        confusions = [confusion_of(run) for run in runs]
        scores = [subject_scores(confusion) for confusion in confusions]
        rows.append(
            (
                key,
                str(scores[0].n),
                f"{np.mean([np.trace(confusion) for confusion in confusions]):g}",
                *(
                    f"{np.mean([getattr(score, name) for score in scores]):.4f}"
                    for name in ("accuracy", "uf1", "uar")
                ),
            )
        )
    columns = ("held-out subject", "clips", "correct", "accuracy", "UF1", "UAR")
    return Table("Subjects", columns, rows, pretend=records.pretend)


def predictions_by_subject(rows: Sequence[Prediction]) -> dict[str, list[list[Prediction]]]:
    """Predictions of each held-out subject, one list per seed, in the order of the keys."""
    grouped: dict[str, dict[int, list[Prediction]]] = {}
    for row in rows:
        grouped.setdefault(row.fold[1], {}).setdefault(row.seed, []).append(row)
    return {key: list(by_seed.values()) for key, by_seed in sorted(grouped.items())}
