"""The picture of the study of lost motion: UF1 over what is varied, a line for each form."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from experiments.scores import drawing
from experiments.studies.lost_motion import FORMS, JITTER, NOISE, Line, of_varied
from input_pipeline.core.clips import entitled

FILE = "lost_motion.png"
_AXES = {NOISE: "camera noise (grey values)", JITTER: "apex annotated up to so many frames off"}


def draw(lines: Sequence[Line]) -> Figure:
    """A row of panels for each method, one panel for each thing varied."""
    methods = list(dict.fromkeys(one.method for one in lines))
    size = (9.5, 1.2 + 2.7 * len(methods))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(methods), len(_AXES), sharey=True, squeeze=False)
    for row, method in zip(panels, methods, strict=True):
        for panel, (varied, words) in zip(row, _AXES.items(), strict=True):
            for number, form in enumerate(FORMS):
                own = [
                    (getattr(one, varied), one.uf1)
                    for one in of_varied(lines, varied)
                    if (one.method, one.layout) == (method, form.layout)
                ]
                # Forms that score alike lie on each other: later lines are thinner.
                panel.plot(
                    *zip(*sorted(own), strict=True) if own else ((), ()),
                    marker="o",
                    linewidth=3.0 - 0.5 * number,
                    markersize=7.0 - number,
                    color=drawing.ALL[number],
                    label=form.layout,
                )
            panel.set_xlabel(words)
            panel.set_ylim(0, 1.05)
            panel.axhline(1 / 3, color=drawing.GREY, linewidth=0.8, linestyle="--")
        row[0].set_ylabel(f"UF1, {method}")
    panels[0][0].legend(fontsize=7, loc="lower left")
    first = lines[0]
    title = f"{first.clips} clips of {first.subjects} subjects with known motion"
    figure.suptitle(entitled(title, pretend=True))
    return figure
