"""The comparison as a picture: its table, and each line's UF1 on a common scale."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.comparison_rows import LAST, PICKED, POOLED, Row, comparison_table

_COLOURS = {LAST: "tab:blue", PICKED: "tab:red", "not stated": "tab:gray"}
_ROW_INCHES, _POINTS = 0.23, 7.5
# Width of a character in inches at that size, about; and of the scale beside the table.
_CHARACTER, _SCALE_INCHES = 0.062, 2.6


def draw(rows: Sequence[Row]) -> Figure:
    """Draw the table with a dot for each UF1 of all clips: ours bold, coloured by rule.

    A hollow dot is the same run's figure with the epoch picked on the held-out clips.
    """
    table = comparison_table(rows)
    lines = [table.columns, *table.rows]
    widths = [
        _CHARACTER * (2 + max(len(line[column]) for line in lines))
        for column in range(len(table.columns))
    ]
    height = _ROW_INCHES * (len(lines) + 4)
    figure = Figure(figsize=(sum(widths) + _SCALE_INCHES, height))
    share = sum(widths) / (sum(widths) + _SCALE_INCHES)
    bottom, top = 2.6 * _ROW_INCHES / height, 1 - 0.6 * _ROW_INCHES / height
    cells = figure.add_axes((0.0, bottom, share, top - bottom))
    scale = figure.add_axes((share, bottom, 0.98 - share, top - bottom), sharey=cells)
    cells.set_xlim(0, sum(widths))
    cells.set_ylim(len(rows) - 0.5, -1.5)
    cells.axis("off")
    for place, line in enumerate(lines):
        left = _CHARACTER
        bold = place == 0 or rows[place - 1].is_ours
        for column, text in enumerate(line):
            cells.text(left, place - 1, text, va="center", fontsize=_POINTS, clip_on=False,
                       fontweight="bold" if bold else "normal")  # fmt: skip
            left += widths[column]
    _draw_scale(scale, rows)
    handles = [
        Line2D([], [], marker="o", linestyle="", color=colour, label=f"epoch: {rule}")
        for rule, colour in _COLOURS.items()
    ]
    handles.append(
        Line2D([], [], marker="o", linestyle="", color=_COLOURS[PICKED], fillstyle="none",
               label="our run's optimistic figure")
    )  # fmt: skip
    figure.legend(handles=handles, loc="lower left", ncols=4, frameon=False, fontsize=_POINTS)
    if any(row.pretend for row in rows):
        figure.suptitle("PRETEND data in this picture", fontsize=_POINTS, fontweight="bold", y=1.0)
    return figure


def _draw_scale(axis: Any, rows: Sequence[Row]) -> None:
    for place, row in enumerate(rows):
        colour = _COLOURS[row.selection]
        if row.is_ours:
            axis.axhspan(place - 0.5, place + 0.5, color="tab:blue", alpha=0.08, linewidth=0)
        if POOLED not in row.scores:
            continue
        score = row.scores[POOLED]
        spread = float(score.uf1_std) if score.uf1_std else None
        axis.errorbar(float(score.uf1), place, xerr=spread, fmt="o", color=colour, markersize=4)
        if row.optimistic:
            axis.plot(float(row.optimistic.uf1), place, "o", color=_COLOURS[PICKED],
                      fillstyle="none", markersize=5)  # fmt: skip
    axis.set_xlim(0, 1)
    axis.tick_params(left=False, labelleft=False, labelsize=_POINTS)
    axis.set_xlabel("UF1 of all clips", fontsize=_POINTS)
    axis.grid(axis="x", alpha=0.3)
    for side in ("left", "right", "top"):
        axis.spines[side].set_visible(False)
