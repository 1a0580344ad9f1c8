"""Tables of a report as Markdown, CSV and LaTeX: ours, and published rows beside them."""

import csv
import dataclasses
import importlib.resources
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from ahmsa_jax.metrics import subject_scores
from experiments.run_files import Prediction
from experiments.summary import Records, confusion_of
from input_pipeline.clips import CLASS_NAMES


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of text cells under a title."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def markdown(self) -> str:
        """The table with its title as a heading."""
        lines = [f"## {self.title}", "", _bars(self.columns), _bars(["---"] * len(self.columns))]
        return "\n".join([*lines, *(_bars(row) for row in self.rows)]) + "\n"

    def csv(self) -> str:
        """Header and rows, without the title."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return text.getvalue()

    def latex(self) -> str:
        """A tabular with a caption; needs no package."""
        body = [" & ".join(map(_escaped, row)) + r" \\" for row in self.rows]
        return "\n".join(
            [
                r"\begin{table}",
                rf"\caption{{{_escaped(self.title)}}}",
                rf"\begin{{tabular}}{{l{'r' * (len(self.columns) - 1)}}}",
                r"\hline",
                " & ".join(map(_escaped, self.columns)) + r" \\",
                r"\hline",
                *body,
                r"\hline",
                r"\end{tabular}",
                r"\end{table}",
                "",
            ]
        )


def _bars(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _escaped(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {char: f"\\{char}" for char in "&%$#_{}"} | {"µ": r"$\mu$", "±": r"$\pm$"}
    return "".join(special.get(char, char) for char in text)


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
    return Table(title, ("part", "UF1", "UAR", "accuracy", "clips"), rows)


def _score_row(
    name: str, scores: dict[str, Any], spread: dict[str, Any] | None = None
) -> tuple[str, ...]:
    cells = [
        f"{scores[key]:.4f}" + (f" ± {spread[key]:.4f}" if spread else "")
        for key in ("uf1", "uar", "accuracy")
    ]
    return (name, *cells, str(scores.get("n", "")))


def confusion_table(summary: dict[str, Any]) -> Table:
    """The pooled confusion matrix as counts."""
    rows = [
        (f"true {name}", *map(str, counts))
        for name, counts in zip(CLASS_NAMES, summary["confusion"], strict=True)
    ]
    title = "Confusion matrix (clips, summed over seeds)"
    return Table(title, ("", *(f"predicted {name}" for name in CLASS_NAMES)), rows)


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
    return Table("Subjects", columns, rows)


def predictions_by_subject(rows: Sequence[Prediction]) -> dict[str, list[list[Prediction]]]:
    """Predictions of each held-out subject, one list per seed, in the order of the keys."""
    grouped: dict[str, dict[int, list[Prediction]]] = {}
    for row in rows:
        grouped.setdefault(row.fold[1], {}).setdefault(row.seed, []).append(row)
    return {key: list(by_seed.values()) for key, by_seed in sorted(grouped.items())}


def published_table(records: Records, summary: dict[str, Any]) -> Table | None:
    """Our row under those that the AHMSA-Net paper prints for this data set, or None.

    None too where our run is a part of the folds or a control: that does not compare.
    """
    rows = [
        row
        for row in published_rows()
        if row["paper"] == "AHMSA-Net" and row["dataset"] == records.config["dataset"]
    ]
    if not rows or not records.is_whole or records.config["shuffled_labels"]:
        return None
    parts = list(dict.fromkeys(row["part"] for row in rows))
    ours = {"pooled": summary["pooled"], **summary["by_database"]}
    lines: dict[str, list[str]] = {}
    for row in rows:
        cells = lines.setdefault(row["method"], [f"{row['method']} ({row['year']})"])
        cells.append(f"{row['uf1']} / {row['uar']}")
    table_rows = [(*cells, row_selection) for cells, row_selection in _with_rule(lines, rows)]
    mine = [
        f"{ours[part]['uf1']:.4f} / {ours[part]['uar']:.4f}" if part in ours else ""
        for part in parts
    ]
    table_rows.append((f"this run ({records.config['model']})", *mine, epoch_rule(records)))
    title = f"Beside Table {rows[0]['table']} of the {rows[0]['paper']} paper (UF1 / UAR)"
    return Table(title, ("method", *parts, "epoch chosen by"), table_rows)


def _with_rule(
    lines: dict[str, list[str]], rows: Sequence[dict[str, str]]
) -> list[tuple[list[str], str]]:
    rule = {row["method"]: row["selection"] for row in rows}
    return [(cells, rule[method]) for method, cells in lines.items()]


def published_rows() -> list[dict[str, str]]:
    """The published results, each with paper, table and row of origin, and how it chose the epoch.

    A score that the origin does not give is empty.
    """
    source = importlib.resources.files("experiments").joinpath("published.csv")
    return list(csv.DictReader(io.StringIO(source.read_text(encoding="utf-8"))))
