"""The comparison as a picture: for each data set the UF1 of its runs and of published rows."""

import functools
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.scores import comparison_rows, drawing
from experiments.scores.comparison_rows import LAST, NOT_STATED, PICKED, POOLED, Row
from experiments.scores.published import PAPER
from input_pipeline.core.clips import entitled
from input_pipeline.databases.names import in_picture, picture_text

# Which shape a mark has tells how the epoch was chosen.
MARKERS = {LAST: "o", PICKED: "^", NOT_STATED: "s"}
MOST_PUBLISHED = 10
_ROW_INCHES, _MARGIN_INCHES, _POINTS = 0.24, 0.9, 8


def panels(rows: Sequence[Row]) -> list[list[Row]]:
    """The lines of each panel, best UF1 first: all of our runs, at most ten published rows.

    Of the published ones: those with an honest rule, the AHMSA-Net paper's own result, then the
    highest of the rest; of a method that several papers print with one score, one. Data sets
    without a run of ours have no panel.
    """
    found = []
    for group in comparison_rows.by_data_set([row for row in rows if POOLED in row.scores]):
        ours = [row for row in group if row.is_ours]
        if not ours:
            continue
        published: dict[tuple[str, float], Row] = {}
        for row in sorted((row for row in group if not row.is_ours), key=_preference):
            published.setdefault((row.name, _uf1(row)), row)
        chosen = [*ours, *list(published.values())[:MOST_PUBLISHED]]
        found.append(sorted(chosen, key=lambda row: -_uf1(row)))
    return found


def _preference(row: Row) -> tuple[bool, bool, float, str]:
    return row.selection != LAST, row.name != PAPER, -_uf1(row), row.source


def _uf1(row: Row) -> float:
    return float(row.scores[POOLED].uf1)


def draw(rows: Sequence[Row]) -> Figure:
    """Draw a panel for each data set: ours in colour with deviations over seeds, others grey.

    A hollow mark is our run's figure with the epoch picked on the held-out clips.
    """
    shown = panels(rows)
    inches = [_MARGIN_INCHES + _ROW_INCHES * len(group) for group in shown]
    figure = Figure(figsize=(6.3, sum(inches) + 0.7), layout="constrained")
    axes = figure.subplots(len(shown), 1, squeeze=False, height_ratios=inches)
    for axis, group in zip(axes[:, 0], shown, strict=True):
        _draw_panel(axis, group)
    figure.legend(
        handles=_handles(rows), loc="outside lower center", ncols=2, frameon=False, fontsize=_POINTS
    )
    return figure


def _draw_panel(axis: Axes, group: Sequence[Row]) -> None:
    for number, row in enumerate(group):
        score = row.scores[POOLED]
        colour = drawing.BLUE if row.is_ours else drawing.GREY
        if row.is_ours:
            axis.axhspan(number - 0.5, number + 0.5, color=drawing.SKY, alpha=0.2, linewidth=0)
        spread = float(score.uf1_std) if score.uf1_std else None
        mark = MARKERS.get(row.selection, "D")
        axis.errorbar(
            _uf1(row), number, xerr=spread, fmt=mark, color=colour, markersize=5, capsize=2
        )
        if row.optimistic:
            uf1 = float(row.optimistic.uf1)
            axis.plot(uf1, number, MARKERS[PICKED], color=colour, fillstyle="none")
    axis.set_yticks(range(len(group)), names(group), fontsize=_POINTS)
    for label, row in zip(axis.get_yticklabels(), group, strict=True):
        label.set_fontweight("bold" if row.is_ours else "normal")
    axis.set_ylim(len(group) - 0.5, -0.5)
    axis.set_xlim(0, 1)
    axis.tick_params(axis="x", labelsize=_POINTS)
    axis.grid(axis="x", alpha=0.3)
    what = in_picture(group[0].dataset) + comparison_rows.classes_in_words(group[0])
    title = entitled(what, pretend=group[0].pretend)
    axis.set_title(title, fontsize=_POINTS + 1.5)
    axis.set_xlabel("UF1 of all clips", fontsize=_POINTS)


def names(group: Sequence[Row]) -> list[str]:
    """Ours with the run's name and, of a part, its clips; published ones as their paper has them.

    Of a method with several scores each says where it comes from.
    """
    methods = [row.method for row in group]
    found = []
    for row in group:
        name = row.method
        if row.is_ours:
            part = f", {row.clips}" if row.is_part else ""
            name = f"{row.origin}: {name}{part}"
        elif methods.count(name) > 1:
            name = f"{name} ({row.origin})"
        name = name if len(name) <= 50 else name[:47] + "..."
        if row.warning and row.warning not in name:
            name += f"\n{row.warning}"
        found.append(picture_text(name))
    return found


def _handles(rows: Sequence[Row]) -> list[Line2D]:
    mark = functools.partial(Line2D, [], [], linestyle="")
    handles = [mark(marker="o", color=drawing.BLUE, label="our run (± seeds)")]
    if any(row.optimistic for row in rows):
        hollow = functools.partial(mark, fillstyle="none", label="our run's optimistic figure")
        handles.append(hollow(marker=MARKERS[PICKED], color=drawing.BLUE))
    return handles + [
        mark(marker=marker, color=drawing.GREY, label=f"epoch: {rule}")
        for rule, marker in MARKERS.items()
    ]
