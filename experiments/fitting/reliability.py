"""The picture of a model's calibration: how often it is right against how sure it is."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.fitting.calibration import BINS, Bins
from experiments.fitting.estimate import Estimate
from experiments.scores import drawing


def draw(estimate: Estimate) -> Figure:
    """Averaged seeds on held-out subjects: as they are, and under the others' temperature."""
    figure = Figure(figsize=(7.6, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _panel(left, estimate.before, "as the seeds' mean gives it", drawing.ORANGE)
    _panel(right, estimate.cross_fitted, "temperature of the other subjects", drawing.BLUE)
    left.set_ylabel("share of clips that are right")
    figure.suptitle(
        f"Held-out clips, {estimate.subjects} subjects; numbers are clips in each bin", fontsize=9
    )
    return figure


def _panel(axis: Axes, bins: Bins, what: str, colour: str) -> None:
    axis.plot([0, 1], [0, 1], color=drawing.GREY, linestyle=":", label="perfect calibration")
    width = 0.9 / BINS
    axis.bar(bins.confidence_B, bins.right_B, width, color=colour, alpha=0.75, label="clips")
    for confidence, right, count in zip(bins.confidence_B, bins.right_B, bins.count_B, strict=True):
        axis.annotate(
            str(int(count)),
            (confidence, right),
            textcoords="offset points",
            xytext=(0, 3),
            ha="center",
            fontsize=7,
        )
    axis.set_title(f"{what}\ncalibration error {bins.error:.3f}", fontsize=9)
    axis.set_xlabel("probability of the class predicted")
    axis.set_xlim(0, 1.02)
    axis.set_ylim(0, 1.08)
    axis.legend(frameon=False, fontsize=8, loc="upper left")
