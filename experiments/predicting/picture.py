"""The picture of a prediction: frames, flow, strain, regions, where the network looks, classes."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from experiments.fitting.model_folder import Model
from experiments.looking.seen_maps import OCCLUSION
from experiments.predicting.outcome import Outcome
from experiments.scores import drawing
from input_pipeline.core.clips import MAP_SIZE, entitled
from input_pipeline.core.map_form import FORMS
from input_pipeline.databases.names import picture_text
from input_pipeline.maps import layouts
from input_pipeline.own_clips.to_maps import Made
from input_pipeline.reports import face_pages

_WHEEL = 41
_REGION_COLOURS = dict(zip((*layouts.LANDMARKS, "face"), drawing.ALL, strict=False))


def drawn(model: Model, outcome: Outcome) -> bytes:
    """PNG bytes of an outcome that was not refused."""
    made = outcome.made
    assert made is not None
    figure = Figure(figsize=(11.5, 5.4), layout="constrained")
    grid = figure.add_gridspec(2, 5)
    quality = made.maps.quality
    for column, (pixels_SxS, what) in enumerate(
        (
            (made.maps.onset_SxS, f"onset, frame {quality.onset_frame}"),
            (made.maps.apex_SxS, f"apex, frame {quality.apex_frame}"),
        )
    ):
        axis = _picture(figure.add_subplot(grid[0, column]), what)
        axis.imshow(pixels_SxS, cmap="gray", vmin=0, vmax=255)
    _flow(figure.add_subplot(grid[0, 2]), made)
    _strain(figure.add_subplot(grid[0, 3]), made, model.layout)
    if outcome.seen is not None:
        kind, map_NxSxS = next(iter(outcome.seen.map_of.items()))
        _looked_at(figure.add_subplot(grid[0, 4]), made, kind, map_NxSxS[0])
    _classes(figure.add_subplot(grid[1, :2]), outcome, model.class_names)
    _curve(figure.add_subplot(grid[1, 2:]), made)
    name = outcome.class_of(model.class_names)
    # The font has no letters beyond these.
    shown = outcome.clip.path.name.encode("latin-1", "replace").decode("latin-1")
    title = f"{shown}, window {outcome.number}: {name}"
    pretend = bool(model.facts["pretend"])
    figure.suptitle(picture_text(entitled(title, pretend=pretend)), fontsize=10)
    return drawing.drawn(figure, "png")


def _picture(axis: Axes, title: str) -> Axes:
    axis.set_title(title, fontsize=9)
    axis.set_xticks([])
    axis.set_yticks([])
    return axis


def _flow(axis: Axes, made: Made) -> None:
    """Hue is the direction, brightness the size; the wheel in the corner is the key."""
    flow_SxSxC = made.maps.flow_SxSxC
    most = float(np.hypot(flow_SxSxC[..., 0], flow_SxSxC[..., 1]).max())
    _picture(axis, f"flow, up to {most:.2f} px of 224")
    axis.imshow(face_pages.coloured_flow(flow_SxSxC))
    steps = np.linspace(-1, 1, _WHEEL)
    wheel_SxSx2 = np.stack(np.meshgrid(steps, steps), axis=-1)
    wheel_SxSx2[np.hypot(wheel_SxSx2[..., 0], wheel_SxSx2[..., 1]) > 1] = 0
    inset = axis.inset_axes((0.76, 0.76, 0.23, 0.23))
    _picture(inset, "").imshow(face_pages.coloured_flow(wheel_SxSx2))


def _strain(axis: Axes, made: Made, layout: str) -> None:
    _picture(axis, "optical strain, regions")
    axis.imshow(made.maps.flow_SxSxC[..., 2], cmap="magma")
    if layout not in FORMS:
        return
    form, face = FORMS[layout], made.maps.onset_SxS.shape[0]
    size = MAP_SIZE if form.cut == "quad_htnet" else face
    scale = face / size
    for window in layouts.windows(form.cut, made.maps.landmarks_5x2 / scale, size, form.map_size):
        corner = (scale * window.left - 0.5, scale * window.top - 0.5)
        sides = (scale * window.width, scale * window.height)
        colour = _REGION_COLOURS[window.name]
        axis.add_patch(Rectangle(corner, *sides, fill=False, edgecolor=colour, linewidth=1.5))


def _looked_at(axis: Axes, made: Made, kind: str, map_SxS: np.ndarray) -> None:
    """Red where hiding the motion makes the class less likely, blue where more; or Grad-CAM."""
    side = made.maps.onset_SxS.shape[0]
    _picture(
        axis, "what decides (motion hidden)" if kind == OCCLUSION else "what decides (Grad-CAM)"
    )
    axis.imshow(made.maps.onset_SxS, cmap="gray", vmin=0, vmax=255, extent=(0, side, side, 0))
    most = float(np.nanmax(np.abs(map_SxS), initial=1e-9))
    axis.imshow(
        map_SxS,
        cmap="RdBu_r",
        vmin=-most,
        vmax=most,
        alpha=0.6,
        interpolation="bilinear",
        extent=(0, side, side, 0),
    )


def _classes(axis: Axes, outcome: Outcome, class_names: tuple[str, ...]) -> None:
    assert outcome.probability_K is not None
    names = [picture_text(name) for name in class_names]
    axis.barh(
        names,
        outcome.probability_K,
        xerr=outcome.deviation_K,
        color=drawing.BLUE,
        ecolor=drawing.BLACK,
        capsize=3,
    )
    axis.invert_yaxis()
    axis.set_xlim(0, 1)
    several = outcome.deviation_K is not None
    axis.set_xlabel(f"probability{' (line: ± one deviation over seeds)' if several else ''}")


def _curve(axis: Axes, made: Made) -> None:
    quality = made.maps.quality
    if made.spotted is None:
        axis.axis("off")
        axis.text(0.5, 0.5, "the apex was given", ha="center", fontsize=9)
        return
    axis.plot(made.spotted.numbers_F, made.spotted.flow_px_F, color=drawing.BLUE)
    axis.axvline(
        quality.apex_frame, color=drawing.VERMILLION, linestyle="--", label="apex, spotted"
    )
    axis.set_xlabel("frame")
    axis.set_ylabel("mean flow, less the head's (px)")
    axis.set_ylim(bottom=0)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend(frameon=False, fontsize=8)
