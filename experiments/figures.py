"""Pictures of a run: confusion matrices, training curves, accuracy per held-out subject."""

import io
import pathlib
from collections import defaultdict
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ahmsa_jax.metrics import pooled_scores
from experiments.run_files import LogEntry
from experiments.summary import Records, confusion_of, mean_scores, scores_by_seed
from experiments.tables import predictions_by_subject
from input_pipeline.clips import CLASS_NAMES, entitled
from input_pipeline.whole_file import write_whole

# Subjects in one row of bars.
BARS_PER_ROW = 40


def draw_all(records: Records, output: pathlib.Path) -> list[str]:
    """Write the run's PNG files into `output`; returns their names."""
    drawn = pictures(records)
    for name, figure in drawn.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
        write_whole(output / name, buffer.getvalue())
    return sorted(drawn)


def pictures(records: Records) -> dict[str, Figure]:
    """The run's pictures by file name; those of pretend data carry the mark in their title."""
    drawn = {"confusion_matrix.png": draw_confusion(records), "subjects.png": draw_bars(records)}
    if any(np.isfinite(entry.train_loss) for entry in records.log):
        drawn["curves.png"] = draw_curves(records)
    if records.pretend:
        what = f"{records.config['model']} on {records.config['dataset']}"
        for figure in drawn.values():
            figure.suptitle(entitled(what, pretend=True), fontsize=10, fontweight="bold")
    return drawn


def draw_confusion(records: Records) -> Figure:
    """Confusion matrices of all clips and of each database: counts, and rates per true class."""
    rows = records.predictions
    databases = sorted({row.database for row in rows})
    parts: list[str | None] = [None, *databases] if len(databases) > 1 else [None]
    figure = Figure(figsize=(0.8 + 3.3 * len(parts), 4.4), layout="constrained")
    axes = figure.subplots(1, len(parts), squeeze=False)
    for axis, database in zip(axes[0], parts, strict=True):
        counts_KxK = confusion_of(row for row in rows if database in (None, row.database))
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
        title = f"{database or 'all clips'}\nUF1 {mean['uf1']:.3f}, UAR {mean['uar']:.3f}"
        axis.set_title(title, fontsize=10)
        axis.set_xticks(range(len(CLASS_NAMES)), CLASS_NAMES, fontsize=8)
        axis.set_yticks(range(len(CLASS_NAMES)), CLASS_NAMES, fontsize=8, rotation=90, va="center")
        axis.set_xlabel("predicted", fontsize=9)
    axes[0][0].set_ylabel("true", fontsize=9)
    return figure


def draw_curves(records: Records) -> Figure:
    """Training loss over epochs with its range over folds, and UF1 and UAR where evaluated."""
    evaluated = [entry for entry in records.log if entry.confusion_KxK is not None]
    several = len({entry.epoch for entry in evaluated}) > 1
    figure = Figure(figsize=(5.2 * (1 + several), 3.6), layout="constrained")
    axes = figure.subplots(1, 1 + several, squeeze=False)
    epochs, losses = _losses_by_epoch(records.log)
    axis = axes[0][0]
    axis.fill_between(epochs, [min(loss) for loss in losses], [max(loss) for loss in losses],
                      alpha=0.25, linewidth=0, label="range over folds")  # fmt: skip
    axis.plot(epochs, [float(np.mean(loss)) for loss in losses], label="mean over folds")
    axis.set_xlabel("epoch")
    axis.set_ylabel("training loss (nats)")
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False)
    if several:
        axis = axes[0][1]
        points = _scores_by_epoch(evaluated)
        for name in ("uf1", "uar"):
            axis.plot(list(points), [mean[name] for mean in points.values()], label=name.upper())
        axis.set_xlabel("epoch")
        axis.set_ylabel("score of all held-out clips, pooled")
        axis.set_ylim(0, 1)
        axis.legend(frameon=False)
    return figure


def _losses_by_epoch(log: list[LogEntry]) -> tuple[list[int], list[list[float]]]:
    losses: dict[int, list[float]] = defaultdict(list)
    for entry in log:
        if np.isfinite(entry.train_loss):
            losses[entry.epoch].append(entry.train_loss)
    epochs = sorted(losses)
    return epochs, [losses[epoch] for epoch in epochs]


def _scores_by_epoch(evaluated: list[LogEntry]) -> dict[int, dict[str, Any]]:
    pooled: dict[int, dict[int, np.ndarray]] = defaultdict(dict)
    for entry in evaluated:
        assert entry.confusion_KxK is not None
        by_seed = pooled[entry.epoch]
        by_seed[entry.seed] = by_seed.get(entry.seed, 0) + entry.confusion_KxK
    return {
        epoch: mean_scores([pooled_scores(counts_KxK) for counts_KxK in pooled[epoch].values()])
        for epoch in sorted(pooled)
    }


def draw_bars(records: Records) -> Figure:
    """Share of right clips per held-out subject, coloured by database, with its clips above."""
    subjects = predictions_by_subject(records.predictions)
    keys = list(subjects)
    databases = sorted({key.split("/")[0] for key in keys})
    lines = max(1, -(-len(keys) // BARS_PER_ROW))
    figure = Figure(figsize=(11, 0.4 + 2.3 * lines), layout="constrained")
    axes = figure.subplots(lines, 1, squeeze=False)
    for line, axis in enumerate(axes[:, 0]):
        shown = keys[line * BARS_PER_ROW : (line + 1) * BARS_PER_ROW]
        for place, key in enumerate(shown):
            rows = [row for run in subjects[key] for row in run]
            share = float(np.mean([row.label == row.prediction for row in rows]))
            colour = f"C{databases.index(key.split('/')[0])}"
            axis.bar(place, share, color=colour)
            clips = len(rows) // len(subjects[key])
            axis.text(place, share + 0.02, str(clips), ha="center", fontsize=7)
        names = [key.split("/")[1] for key in shown]
        axis.set_xticks(range(len(shown)), names, rotation=90, fontsize=7)
        axis.set_xlim(-0.7, BARS_PER_ROW - 0.3 if lines > 1 else len(shown) - 0.3)
        axis.set_ylim(0, 1.12)
        axis.set_ylabel("share right", fontsize=9)
    handles = [Patch(color=f"C{i}") for i in range(len(databases))]
    figure.legend(handles, databases, loc="outside upper right", ncols=4, frameon=False, fontsize=9)
    axes[0][0].set_title("Held-out subjects (number of clips above each bar)", fontsize=10)
    return figure
