"""What choosing among candidates is worth: the nested figure beside those chosen by held-out clips.

Only the nested figure is a result; the others show by how much looking at held-out clips flatters.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ahmsa_jax.metrics import pooled_scores
from experiments.files.candidate_files import LAST, PICKED, Tallies
from experiments.scores import drawing
from experiments.scores.summary import Records, mean_scores, scores_by_seed
from input_pipeline.core.tables import Table

_GIVEN = "the settings given"


def best_on_test(records: Records) -> dict[str, Any] | None:
    """The candidate with the highest held-out UF1 at its last epoch, and its gain over the choice.

    None of runs without inner selection.
    """
    scores = _scores(records.candidates, LAST)
    if not scores:
        return None
    number = max(scores, key=lambda one: scores[one]["uf1"])
    nested = mean_scores(scores_by_seed(records))
    inflation = {name: scores[number][name] - nested[name] for name in ("uf1", "uar")}
    return {"candidate": _line(records, number), **scores[number], "inflation": inflation}


def table(records: Records) -> Table | None:
    """Every figure under its name; None of runs without inner selection."""
    best = best_on_test(records)
    if best is None:
        return None
    last, picked = (_scores(records.candidates, rule) for rule in (LAST, PICKED))
    folds = Counter(fold.choice.candidate for fold in records.folds if fold.choice)
    nested = mean_scores(scores_by_seed(records))
    rows = [("nested: chosen by the training subjects", *_cells(nested), "", "")]
    for number, scores in last.items():
        optimistic = f"{picked[number]['uf1']:.4f}" if number in picked else ""
        chosen = str(folds[(records.spec.candidates or ())[number]])
        name = f"last epoch: {_line(records, number)}"
        rows.append((name, *_cells(scores), optimistic, chosen))
    flattered = f"best of the {len(last)} candidates by held-out score (no result)"
    rows.append((flattered, *_cells(best), "", ""))
    gains = [f"{best['inflation'][name]:+.4f}" for name in ("uf1", "uar")]
    rows.append(("its inflation over the nested figure", *gains, "", ""))
    columns = ("figure", "UF1", "UAR", "optimistic UF1 (epoch picked on test)", "folds")
    title = "What choosing is worth"
    key = f"candidates-{records.config_hash}"
    return Table(title, columns, rows, pretend=records.pretend, key=key)


def draw(records: Records) -> Figure:
    """How many folds chose which candidate, and how many epochs where these were chosen."""
    choices = [fold.choice for fold in records.folds if fold.choice]
    lines = list(records.spec.candidates or ())
    epochs = sorted({choice.epochs for choice in choices if choice.epochs is not None})
    figure = Figure(figsize=(9, 1.6 + 0.4 * len(lines)), layout="constrained")
    axis = figure.subplots()
    left_N = np.zeros(len(lines))
    colours = itertools.cycle(drawing.ALL)
    counts: list[int | None] = [*epochs] or [None]
    for count in counts:
        found = Counter(choice.candidate for choice in choices if choice.epochs == count)
        width_N = np.array([found[line] for line in lines], float)
        label = None if count is None else f"{count} epochs"
        axis.barh(range(len(lines)), width_N, left=left_N, color=next(colours), label=label)
        left_N += width_N
    names = [line or _GIVEN for line in lines]
    axis.set_yticks(range(len(lines)), names, fontsize=8)
    axis.invert_yaxis()
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("folds that chose it, by their training subjects")
    if len(epochs) > 1:
        axis.legend(frameon=False, fontsize=8, ncols=2)
    return figure


def _scores(tallies: Tallies, rule: str) -> dict[int, dict[str, Any]]:
    """Mean over seeds of each candidate's pooled scores under a rule of the epoch."""
    by_number: dict[int, list[np.ndarray]] = {}
    for (number, own, _), counts_KxK in sorted(tallies.items()):
        if own == rule:
            by_number.setdefault(number, []).append(counts_KxK)
    return {
        number: mean_scores([pooled_scores(counts_KxK) for counts_KxK in each])
        for number, each in by_number.items()
    }


def _line(records: Records, number: int) -> str:
    return (records.spec.candidates or ())[number] or _GIVEN


def _cells(scores: dict[str, Any]) -> Sequence[str]:
    return [f"{scores[name]:.4f}" for name in ("uf1", "uar")]
