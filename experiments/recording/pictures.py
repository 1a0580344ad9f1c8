"""Pictures of the record: UF1 of every row with its interval, and the learning curve."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from experiments.recording.kept import KeptRun
from experiments.recording.rows import CURVES, DEVELOPED_HERE, METHODS, ROWS, SHARES, share_name
from experiments.scores import drawing


def overview(kept: Mapping[str, KeptRun]) -> Figure:
    """UF1 of each kept row, with its 95 % interval over subjects; nested figures beside it."""
    shown = [row for row in METHODS if row.name in kept]
    figure = Figure(figsize=(8, 0.6 + 0.5 * max(1, len(shown))), layout="constrained")
    axis = figure.subplots()
    labelled: set[str] = set()
    for height, row in enumerate(reversed(shown)):
        pairs = [(row.name, drawing.BLUE, "last epoch", 0.12)]
        pairs.append((f"{row.name}-nested", drawing.VERMILLION, "chosen inside each fold", -0.18))
        for name, colour, label, away in pairs:
            if name not in kept:
                continue
            pooled = kept[name].summary["pooled"]
            low, high = pooled["uf1_interval"]
            axis.plot([low, high], [height + away] * 2, color=colour, linewidth=1.5)
            # matplotlib leaves labels that begin with a line out of the legend.
            shown_as = f"_{label}" if label in labelled else label
            labelled.add(label)
            axis.plot(pooled["uf1"], height + away, "o", color=colour, label=shown_as)
    names = [
        f"{row.name}\n({DEVELOPED_HERE})" if row.title != row.method else row.name
        for row in reversed(shown)
    ]
    axis.set_yticks(range(len(shown)), names, fontsize=7)
    axis.set_ylim(-0.6, max(1, len(shown)) - 0.4)
    axis.set_xlabel("UF1 over the 442 clips, with 95 % intervals over subjects")
    if labelled:
        axis.legend(fontsize=7, loc="lower left")
    return figure


def learning_curve(kept: Mapping[str, KeptRun]) -> Figure:
    """UF1 over the share of the training subjects, with the deviation over draws."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axis = figure.subplots()
    for name, colour in zip(CURVES, drawing.ALL, strict=False):
        runs = {share: kept.get(share_name(name, share)) for share in (*SHARES, 1.0)}
        points = [(share, run) for share, run in runs.items() if run]
        if len(points) < 2:
            continue
        spread = [(run.summary["pooled_std"] or {}).get("uf1", 0) for _, run in points]
        axis.errorbar(
            [100 * share for share, _ in points],
            [run.summary["pooled"]["uf1"] for _, run in points],
            yerr=spread,
            marker="o",
            capsize=3,
            color=colour,
            label=ROWS[name].title,
        )
    axis.set_xlabel("training subjects of each fold, %")
    axis.set_ylabel("UF1 over the 442 clips")
    if axis.has_data():
        axis.legend(fontsize=7)
    return figure
