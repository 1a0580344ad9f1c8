"""A study as a picture: UF1 and UAR of each setting, every seed a point."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.scores import drawing
from experiments.studies.results import Result
from experiments.studies.study import Study
from input_pipeline.core.clips import entitled
from input_pipeline.databases.names import in_picture

_POINTS = 8


def draw(study: Study, results: Sequence[Result]) -> Figure:
    """Draw a panel for each score: seeds as points, their mean, their deviation as a bar.

    Beside them the 95 % interval over subjects, without which one seed would seem exact.
    """
    figure = Figure(figsize=(7.0, 3.3), layout="constrained")
    axes = figure.subplots(1, 2)
    for axis, score, colour in zip(
        axes, ("uf1", "uar"), (drawing.BLUE, drawing.VERMILLION), strict=True
    ):
        _draw_panel(axis, results, score, colour)
        axis.set_xlabel(study.what, fontsize=_POINTS)
        axis.set_ylabel(f"{score.upper()} of all clips, last epoch", fontsize=_POINTS)
    first = results[0].records
    what = f"{study.what}, {in_picture(first.spec.dataset)}, {first.spec.split_words.title}"
    figure.suptitle(entitled(what, pretend=first.pretend), fontsize=_POINTS + 1.5)
    return figure


def _draw_panel(axis: Axes, results: Sequence[Result], score: str, colour: str) -> None:
    for place, one in enumerate(results):
        scores = one.of_seeds(score)
        spread = float(np.std(scores, ddof=1)) if len(scores) > 1 else None
        if ends := one.summary["pooled"].get(f"{score}_interval"):
            axis.vlines(place - 0.15, *ends, color=colour, alpha=0.3, linewidth=3)
        axis.plot([place + 0.15] * len(scores), scores, "o", color=drawing.GREY, markersize=3)
        axis.errorbar(
            place,
            float(np.mean(scores)),
            yerr=spread,
            fmt="D",
            color=colour,
            markersize=5,
            capsize=3,
        )
    names = [one.setting.name for one in results]
    steep = max(map(len, names)) > 6
    axis.set_xticks(
        range(len(names)),
        names,
        fontsize=_POINTS,
        rotation=35 if steep else 0,
        ha="right" if steep else "center",
    )
    axis.set_xlim(-0.6, len(names) - 0.4)
    axis.tick_params(axis="y", labelsize=_POINTS)
    axis.grid(axis="y", alpha=0.3)
