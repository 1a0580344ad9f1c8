"""Pictures of a run: confusion matrices, training curves, accuracy per held-out subject."""

import pathlib
import textwrap
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ahmsa_jax.metrics import Scores, pooled_scores
from experiments.files.run_files import LogEntry
from experiments.scores import candidates, chance, drawing
from experiments.scores.summary import Records, mean_scores, scores_by_seed
from experiments.scores.tables import clips_per_class, predictions_by_subject, summed_over
from input_pipeline.core.clips import entitled
from input_pipeline.databases.names import in_order, in_picture, picture_text

# Subjects in one row of bars.
BARS_PER_ROW = 40
_CLASS_INCHES = 0.68
_LINES = {"uf1": (drawing.BLUE, "-"), "uar": (drawing.VERMILLION, "--")}


def draw_all(records: Records, output: pathlib.Path) -> list[str]:
    """Write the run's pictures as PNG and PDF into `output`; returns their names without ending."""
    drawn = pictures(records)
    for name, figure in drawn.items():
        drawing.write(figure, output, name)
    return sorted(drawn)


def pictures(records: Records) -> dict[str, Figure]:
    """The run's pictures by name; the title bears the mark of pretend data and another split."""
    drawn = {name: draw(records) for name, draw in wanted(records).items()}
    is_loso = records.spec.split == "loso"
    if records.pretend or not is_loso:
        what = f"{records.spec.model} on {in_picture(records.spec.dataset)}"
        what += "" if is_loso else f", {picture_text(records.spec.split_words.title)}"
        title = entitled(what, pretend=records.pretend)
        for figure in drawn.values():
            figure.suptitle(title, fontsize=10, fontweight="bold")
    return drawn


def wanted(records: Records) -> dict[str, Callable[[Records], Figure]]:
    """What there is to draw of a run, by the picture's name."""
    draws: dict[str, Callable[[Records], Figure]] = {
        "confusion_matrix": draw_confusion,
        "subjects": draw_bars,
    }
    if any(np.isfinite(entry.train_loss) for entry in records.log):
        draws["curves"] = draw_curves
    if any(fold.choice for fold in records.folds):
        draws["choices"] = candidates.draw
    return draws


def draw_confusion(records: Records) -> Figure:
    """Confusion matrices of all clips and of each database: counts, and rates per true class."""
    rows, names = records.predictions, records.class_names
    databases = in_order(row.database for row in rows)
    parts: list[str | None] = [None, *databases] if len(databases) > 1 else [None]
    # Each class has room for its name.
    side = max(3.1, _CLASS_INCHES * len(names))
    figure = Figure(figsize=(0.8 + side * len(parts), side + 1.1), layout="constrained")
    axes = figure.subplots(1, len(parts), squeeze=False)
    for axis, database in zip(axes[0], parts, strict=True):
        counts_KxK = records.confusion(row for row in rows if database in (None, row.database))
        total_K = np.maximum(counts_KxK.sum(axis=1, keepdims=True), 1)
        rate_KxK = counts_KxK / total_K
        axis.imshow(rate_KxK, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(counts_KxK):
            rate = rate_KxK[row, column]
            colour = "white" if rate > 0.55 else "black"
            text = f"{count}\n{rate:.2f}"
            axis.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
        # As the headline: of each seed's counts, where those shown are of all seeds together.
        mean = mean_scores(scores_by_seed(records, database))
        part = in_picture(database) if database else "all clips"
        axis.set_title(f"{part}\nUF1 {mean['uf1']:.3f}, UAR {mean['uar']:.3f}", fontsize=10)
        axis.set_xticks(range(len(names)), names, fontsize=8)
        axis.set_yticks(range(len(names)), names, fontsize=8, rotation=90, va="center")
        axis.set_xlabel("predicted", fontsize=9)
    axes[0][0].set_ylabel("true", fontsize=9)
    seeds = len({fold.seed for fold in records.folds})
    scores = "; scores: mean over seeds" if seeds > 1 else ""
    counts = f"clips{summed_over(seeds)}, and their share of the true class{scores}"
    figure.supxlabel(textwrap.fill(counts, 12 + 30 * len(parts)), fontsize=9)
    return figure


def draw_curves(records: Records) -> Figure:
    """Training loss over epochs with its range over folds, and UF1 and UAR where evaluated."""
    evaluated = [entry for entry in records.log if entry.confusion_KxK is not None]
    several = len({entry.epoch for entry in evaluated}) > 1
    figure = Figure(figsize=(5.2 * (1 + several), 3.6), layout="constrained")
    axes = figure.subplots(1, 1 + several, squeeze=False)
    by_epoch: dict[int, list[float]] = defaultdict(list)
    for entry in sorted(records.log, key=lambda entry: entry.epoch):
        if np.isfinite(entry.train_loss):
            by_epoch[entry.epoch].append(entry.train_loss)
    epochs, losses = list(by_epoch), list(by_epoch.values())
    axis = axes[0][0]
    least, most = [min(loss) for loss in losses], [max(loss) for loss in losses]
    axis.fill_between(
        epochs, least, most, color=drawing.SKY, alpha=0.4, linewidth=0, label="range over folds"
    )
    means = [float(np.mean(loss)) for loss in losses]
    # A line through one epoch is none.
    marker = "o" if len(epochs) == 1 else None
    axis.plot(epochs, means, color=drawing.BLUE, marker=marker, label="mean over folds")
    axis.set_ylabel("training loss (nats)")
    axis.set_ylim(bottom=0)
    _finish(axis)
    if several:
        _draw_scores(axes[0][1], records, evaluated)
    return figure


def _draw_scores(axis: Axes, records: Records, evaluated: Sequence[LogEntry]) -> None:
    by_epoch = _scores_by_epoch(evaluated)
    seeds = max(len(scores) for scores in by_epoch.values())
    guessed = chance.guessing(clips_per_class(records, records.predictions))
    for name, (colour, style) in _LINES.items():
        values = [[getattr(one, name) for one in scores] for scores in by_epoch.values()]
        mean = np.array([np.mean(one) for one in values])
        axis.plot(list(by_epoch), mean, color=colour, linestyle=style, label=name.upper())
        if seeds > 1:
            spread = np.array([np.std(one, ddof=1) if len(one) > 1 else 0.0 for one in values])
            axis.fill_between(
                list(by_epoch), mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0
            )
    for name, (colour, _) in _LINES.items():
        axis.axhline(
            getattr(guessed, name), color=colour, linestyle=":", label=f"{name.upper()}, guessing"
        )
    axis.set_ylabel("score of all held-out clips, pooled")
    axis.set_ylim(0, 1)
    if seeds > 1:
        axis.set_title(f"mean over {seeds} seeds, band: ± one deviation", fontsize=9)
    _finish(axis)


def _finish(axis: Axes) -> None:
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend(frameon=False, fontsize=8)


def _scores_by_epoch(evaluated: Sequence[LogEntry]) -> dict[int, list[Scores]]:
    """Each epoch's pooled scores, one a seed."""
    pooled: dict[int, dict[int, np.ndarray]] = defaultdict(dict)
    for entry in evaluated:
        assert entry.confusion_KxK is not None
        by_seed = pooled[entry.epoch]
        by_seed[entry.seed] = by_seed.get(entry.seed, 0) + entry.confusion_KxK
    return {
        epoch: [pooled_scores(counts_KxK) for _, counts_KxK in sorted(pooled[epoch].items())]
        for epoch in sorted(pooled)
    }


def draw_bars(records: Records) -> Figure:
    """Share of right clips per held-out subject, coloured by database, with its clips above."""
    subjects = predictions_by_subject(records.predictions)
    keys = list(subjects)
    colours = drawing.of_databases(key.split("/")[0] for key in keys)
    lines = max(1, -(-len(keys) // BARS_PER_ROW))
    figure = Figure(figsize=(11, 0.6 + 2.3 * lines), layout="constrained")
    axes = figure.subplots(lines, 1, squeeze=False)
    for line, axis in enumerate(axes[:, 0]):
        shown = keys[line * BARS_PER_ROW : (line + 1) * BARS_PER_ROW]
        for number, key in enumerate(shown):
            rows = [row for run in subjects[key] for row in run]
            share = float(np.mean([row.label == row.prediction for row in rows]))
            axis.bar(number, share, color=colours[key.split("/")[0]])
            clips = len(rows) // len(subjects[key])
            axis.text(number, share + 0.02, str(clips), ha="center", fontsize=7)
        axis.axhline(1 / len(records.class_names), color=drawing.BLACK, linestyle=":", linewidth=1)
        names = [picture_text(key.split("/")[1]) for key in shown]
        axis.set_xticks(range(len(shown)), names, rotation=90, fontsize=7)
        axis.set_xlim(-0.7, BARS_PER_ROW - 0.3 if lines > 1 else len(shown) - 0.3)
        axis.set_ylim(0, 1.12)
        axis.set_ylabel("share right", fontsize=9)
    handles: list[Any] = [Patch(color=colour) for colour in colours.values()]
    handles.append(Line2D([], [], color=drawing.BLACK, linestyle=":", linewidth=1))
    names = [*map(in_picture, colours), "guessing"]
    figure.legend(handles, names, loc="outside lower center", ncols=6, frameon=False, fontsize=9)
    seeds = max((len(runs) for runs in subjects.values()), default=1)
    counted = f", shares over {seeds} seeds" if seeds > 1 else ""
    whose = "Held-out subjects" if records.spec.split == "loso" else "Subjects"
    axes[0][0].set_title(f"{whose} (number of clips above each bar{counted})", fontsize=10)
    return figure
