"""The benchmark's plot: seconds per fold-step of each program, with the machine's floor."""

from typing import Any

from matplotlib.figure import Figure

from experiments.run.recipes import size_in_words
from experiments.scores import drawing


def draw(result: dict[str, Any]) -> bytes:
    """PNG of horizontal bars, one per row; the mark on each bar is its floor."""
    rows = result["rows"]
    figure = Figure(figsize=(8.5, 1.6 + 0.42 * len(rows)), layout="constrained")
    axis = figure.subplots()
    longest = max(row["seconds_per_fold_step"] for row in rows)
    for place, row in enumerate(rows):
        seconds = row["seconds_per_fold_step"]
        ours = row["kind"] == "c"
        by_round = row["seconds_by_round"]
        axis.barh(place, seconds, color=drawing.SKY if ours else "0.75", height=0.7)
        axis.plot([min(by_round), max(by_round)], [place, place], color="black", linewidth=1)
        ends = [place - 0.35, place + 0.35]
        axis.plot([row["floor_seconds"]] * 2, ends, color=drawing.VERMILLION, linewidth=2)
        faster = "{times_faster_than_a:.2f} x (a), {times_faster_than_b:.2f} x (b)".format(**row)
        right = max(seconds, max(by_round)) + 0.01 * longest
        axis.text(right, place, f"{seconds:.3g} s, {faster}", va="center", fontsize=8)
    axis.set_yticks(range(len(rows)), [_label(row) for row in rows], fontsize=8)
    axis.invert_yaxis()
    reach = max(max(row["seconds_by_round"]) for row in rows)
    axis.set_xlim(0, 1.6 * reach)  # room for the text beside the longest bar
    axis.set_xlabel("seconds per fold-step (median; thin line: all rounds; mark: floor)")
    settings = result["settings"]
    axis.set_title(
        f"{settings['model']}, {size_in_words(settings)}batch {settings['batch_size']}, "
        f"{result['processor']}, {result['date']}",
        fontsize=10,
    )
    return drawing.drawn(figure, "png")


def _label(row: dict[str, Any]) -> str:
    if row["kind"] != "c":
        return f"{row['name']}, {row['precision']}"
    folds = row["folds_at_once"]
    return f"{row['name']}, {folds} fold{'s' * (folds > 1)} at once, {row['precision']}"
