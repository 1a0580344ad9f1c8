"""Pictures of where networks look, over a face drawn from its five landmarks: no face is shown.

Letters in array names: N clips, S side of the face, H heads, G side of a level's grid, D width.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from experiments.looking import grad_cam, seen_maps
from experiments.looking.class_gradient import CLASS_GRADIENT
from experiments.looking.looks import Looks
from experiments.looking.seen_maps import GRADIENT, OCCLUSION
from experiments.scores import drawing
from input_pipeline.core.clips import MAP_SIZE, Clips, entitled
from input_pipeline.core.map_form import FORMS

ATTENTION = "attention received"
# In print and for colour-blind eyes: two colours about a middle, or one from dark to light.
_COLOURS = {
    OCCLUSION: "PuOr_r",
    GRADIENT: "cividis",
    CLASS_GRADIENT: "cividis",
    **dict.fromkeys(grad_cam.KINDS, "cividis"),
    ATTENTION: "BrBG",
}
# From 0 up, where the others have a middle.
_POSITIVE = (GRADIENT, CLASS_GRADIENT, *grad_cam.KINDS)
_UNITS = {
    OCCLUSION: "fall of log odds",
    GRADIENT: "(d log odds per unit of input)²",
    CLASS_GRADIENT: "(mean d log odds per unit of input)²",
    **dict.fromkeys(grad_cam.KINDS, "share of the largest"),
    ATTENTION: "times an even share",
}
_NOT_SEEN = "#BBBBBB"
# Inches.
_PANEL = 1.9


class _Panel(NamedTuple):
    """One map on a face: its values, where the face's landmarks are, and where it moves."""

    kind: str
    map_SxS: np.ndarray
    landmarks_5x2: np.ndarray
    moving_SxS: np.ndarray | None = None
    title: str = ""


def by_class(looks: Looks) -> Figure:
    """Mean maps of the clips of each true class, a row each."""
    label_N, names = looks.clips.label_N, looks.clips.class_names
    groups = {name: np.flatnonzero(label_N == label) for label, name in enumerate(names)}
    return _of_groups(looks, groups)


def by_database(looks: Looks) -> Figure:
    """Mean maps of the clips of each database, a row each."""
    database_N = looks.clips.database_N
    groups = {str(name): np.flatnonzero(database_N == name) for name in np.unique(database_N)}
    return _of_groups(looks, groups)


def _of_groups(looks: Looks, groups: dict[str, np.ndarray]) -> Figure:
    attended_NxSxS = attended(looks, looks.clips)
    landmarks_Nx5x2 = seen_maps.landmarks_of(looks.clips)
    rows = []
    for name, index in groups.items():
        if not len(index):
            continue
        place = landmarks_Nx5x2[index].mean(axis=0)
        maps = dict(looks.seen.map_of)
        if attended_NxSxS is not None:
            maps[ATTENTION] = attended_NxSxS
        panels = [_Panel(kind, mean_map(map_[index]), place) for kind, map_ in maps.items()]
        rows.append((f"{name} (n = {len(index)})", panels))
    return _drawn(rows, entitled(f"mean over {looks.title}", pretend=looks.clips.pretend))


def mean_map(map_NxSxS: np.ndarray) -> np.ndarray:
    """The mean over the clips that see a pixel; NaN where fewer than half of them do."""
    is_seen_NxSxS = np.isfinite(map_NxSxS)
    count_SxS = is_seen_NxSxS.sum(axis=0)
    total_SxS = np.where(is_seen_NxSxS, map_NxSxS, 0).sum(axis=0, dtype=np.float64)
    is_often_SxS = 2 * count_SxS >= len(map_NxSxS)
    return np.where(is_often_SxS, total_SxS / np.maximum(count_SxS, 1), np.nan)


def attended(looks: Looks, clips: Clips) -> np.ndarray | None:
    """Attention of the finest level on the faces, mean over its blocks, heads and seeds (N, S, S).

    In units of an even share: 1 where a patch gets as much as any other. None without attention.
    """
    blocks = _blocks_of(looks, 0)
    if not blocks:
        return None
    mean_NxGxG = np.mean([looks.seen.attention_of[b] for b in blocks], axis=(0, 2, 3))
    return _grid_on_faces(mean_NxGxG, clips)


def of_clip(looks: Looks, number: int) -> Figure:
    """All maps of one clip; attention by level and head, of the first seed's network.

    Where the face really moves, it is outlined. A level of one patch has nothing to choose and is
    left out. The last panels are the factors that channel attention gives the channels of each
    level, mean over its blocks.
    """
    clip = looks.clips.rows(np.array([number]))
    (place,) = seen_maps.landmarks_of(clip)
    moving = None if looks.moving_NxSxS is None else looks.moving_NxSxS[number]
    seen = looks.seen
    first = [
        _Panel(kind, map_NxSxS[number], place, moving) for kind, map_NxSxS in seen.map_of.items()
    ]
    rows = [("", first)]
    level = 0
    while blocks := _blocks_of(looks, level):
        attention_HxGxG = np.mean([seen.attention_of[b][number, 0] for b in blocks], axis=0)
        if attention_HxGxG.shape[-1] > 1:
            panels = []
            for head, grid_GxG in enumerate(attention_HxGxG, start=1):
                (map_SxS,) = _grid_on_faces(grid_GxG[None], clip)
                title = f"level {level + 1}, head {head}"
                panels.append(_Panel(ATTENTION, map_SxS, place, moving, title))
            if level == 0:
                first += panels
            else:
                rows.append(("", panels))
        level += 1
    (key,), names = clip.clip_key_N, clip.class_names
    said = f"{names[int(seen.class_N[number])]} {seen.probability_NxK[number].max():.2f}"
    title = f"{key}: {clip.class_of(0)}, predicted {said}"
    return _drawn(rows, entitled(title, pretend=clip.pretend), _channels(looks, number))


def _channels(looks: Looks, number: int) -> list[tuple[str, np.ndarray]]:
    """The mean factor of each channel by level, of the first seed's network."""
    found: dict[str, list[np.ndarray]] = {}
    for block, weight_NxRxD in looks.seen.channels_of.items():
        found.setdefault(block.split("/")[0], []).append(weight_NxRxD[number, 0])
    return [
        (f"level {int(level.rpartition('_')[2]) + 1}", np.mean(weights, axis=0))
        for level, weights in sorted(found.items())
    ]


def _blocks_of(looks: Looks, level: int) -> list[str]:
    return [block for block in looks.seen.attention_of if block.startswith(f"level_{level}/")]


def _grid_on_faces(grid_NxGxG: np.ndarray, clips: Clips) -> np.ndarray:
    even_NxGxG = grid_NxGxG * grid_NxGxG.shape[-1] ** 2
    if clips.layout not in FORMS:
        return grad_cam.on_face(even_NxGxG)
    patch = clips.flow_NxHxWxC.shape[1] // grid_NxGxG.shape[-1]
    return seen_maps.on_faces(even_NxGxG.repeat(patch, axis=1).repeat(patch, axis=2), clips)


def _drawn(
    rows: Sequence[tuple[str, Sequence[_Panel]]],
    title: str,
    channels: Sequence[tuple[str, np.ndarray]] = (),
) -> Figure:
    """Rows of faces, one scale for each kind of map, and lines of channel factors below."""
    columns = max(len(panels) for _, panels in rows)
    count = len(rows) + bool(channels)
    size = (0.9 + _PANEL * max(columns, 3), 1.4 + (_PANEL + 0.15) * count)
    figure = Figure(figsize=size, layout="constrained")
    faces, *below = figure.subfigures(
        1 + bool(channels), 1, height_ratios=[len(rows), 1][: 1 + bool(channels)], squeeze=False
    )[:, 0]
    grid = faces.subplots(len(rows), columns, squeeze=False)
    shown: dict[str, Any] = {}
    axes_of: dict[str, list[Any]] = {}
    ends = {kind: _ends(rows, kind) for kind in _COLOURS}
    for (name, panels), axes in zip(rows, grid, strict=True):
        for panel, axis in zip(panels, axes, strict=False):
            shown[panel.kind] = _show(axis, panel, ends[panel.kind])
            axes_of.setdefault(panel.kind, []).append(axis)
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
        axes[0].set_ylabel(name, fontsize=9)
    for kind, image in shown.items():
        # Below the last row and as wide as a panel, wherever the kind's panels are.
        last = axes_of[kind][-1]
        bar = faces.colorbar(image, ax=last, location="bottom", aspect=12, pad=0.02)
        bar.set_label(f"{kind}:\n{_UNITS[kind]}", fontsize=7)
        ticks = np.linspace(*ends[kind], 3).tolist()
        bar.set_ticks(ticks, labels=[f"{tick:.3g}" for tick in ticks])
        bar.ax.tick_params(labelsize=6)
    for part in below:
        _draw_channels(part.subplots(1, len(channels), squeeze=False)[0], channels)
    figure.suptitle(title, fontsize=10)
    return figure


def _ends(rows: Sequence[tuple[str, Sequence[_Panel]]], kind: str) -> tuple[float, float]:
    """The ends of a kind's scale: alike about 0, about an even share, or from 0 to the largest."""
    values = [
        panel.map_SxS[np.isfinite(panel.map_SxS)]
        for _, panels in rows
        for panel in panels
        if panel.kind == kind
    ]
    value_F = np.concatenate(values) if values else np.zeros(0)
    middle = 1.0 if kind == ATTENTION else 0.0
    far = float(np.abs(value_F - middle).max(initial=0.0)) or 1.0
    return (0.0 if kind in _POSITIVE else middle - far), middle + far


def _show(axis: Axes, panel: _Panel, ends: tuple[float, float]) -> Any:
    size = len(panel.map_SxS)
    axis.set_facecolor(_NOT_SEEN)
    image = axis.imshow(panel.map_SxS, cmap=_COLOURS[panel.kind], vmin=ends[0], vmax=ends[1])
    dark = "white" if panel.kind in _POSITIVE else drawing.BLACK
    for line in _face(panel.landmarks_5x2, size / MAP_SIZE):
        axis.plot(*line.T, color=dark, linewidth=0.9, alpha=0.8)
    middle_2 = panel.landmarks_5x2.mean(axis=0)
    outline = Ellipse(
        (middle_2[0], middle_2[1]), 0.86 * size, 1.12 * size, fill=False, color=dark, linewidth=0.9
    )
    outline.set_clip_path(axis.patch)
    axis.add_patch(outline)
    if panel.moving_SxS is not None and panel.moving_SxS.any():
        axis.contour(panel.moving_SxS, levels=[0.5], colors=drawing.VERMILLION, linewidths=1.4)
    axis.set(xticks=[], yticks=[], xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
    axis.set_title(panel.title or panel.kind, fontsize=8)
    return image


def _face(landmarks_5x2: np.ndarray, scale: float) -> Iterator[np.ndarray]:
    """Eyes, nose and mouth as lines of points, Px2."""
    left, right, nose, *lips = landmarks_5x2
    turn_P = np.linspace(0, 2 * np.pi, 40)
    for eye in (left, right):
        yield eye + scale * np.stack([2.4 * np.cos(turn_P), 1.0 * np.sin(turn_P)], axis=1)
    yield nose + scale * np.array([(-1.6, 0.6), (0, 1.2), (1.6, 0.6)])
    share_P = np.linspace(0, 1, 20)[:, None]
    bow_P = scale * 0.8 * np.sin(np.pi * share_P)
    mouth_Px2 = (1 - share_P) * lips[0] + share_P * lips[1]
    yield mouth_Px2 + bow_P * np.array([0, 1])
    yield mouth_Px2 - bow_P * np.array([0, 1])


def _draw_channels(axes: Sequence[Any], channels: Sequence[tuple[str, np.ndarray]]) -> None:
    for axis, (name, weight_D) in zip(axes, channels, strict=True):
        axis.plot(np.arange(1, len(weight_D) + 1), weight_D, color=drawing.BLUE, linewidth=0.8)
        axis.set_ylim(0, 1)
        axis.set_xlabel(f"channel, {name}", fontsize=8)
        axis.tick_params(labelsize=7)
    axes[0].set_ylabel("channel attention", fontsize=8)
