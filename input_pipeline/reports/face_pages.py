"""Contact sheets with faces: onset, apex, landmarks, flow, regions, map. Licensed material."""

import functools
import pathlib
from collections.abc import Callable, Sequence

import matplotlib
import numpy as np

from input_pipeline.core import extras
from input_pipeline.core.clips import CLASS_NAMES, MAP_SIZE, entitled
from input_pipeline.core.map_form import MapForm
from input_pipeline.databases.names import in_words
from input_pipeline.databases.rows import ClipRecord
from input_pipeline.flow import normalisations
from input_pipeline.flow.clip_maps import ClipMaps
from input_pipeline.maps import layouts
from input_pipeline.reports import page

WARNING = "LICENSED MATERIAL: shows faces of a database, do not publish or pass on"
_SIDE = 168
GRID = page.Grid(
    (
        *("onset", "apex, landmarks", "flow (hue: direction)", "strain, regions"),
        *("input u (red: right)", "input v (red: down)", "input strain"),
    ),
    side=_SIDE,
    rows_per_page=12,
    about="input u, v: white is no motion; red is right or down, blue left or up",
    title_colour="#b00000",
)


def write_pages(
    form: MapForm,
    records: Sequence[ClipRecord],
    maps_of: Callable[[ClipRecord], ClipMaps],
    folder: pathlib.Path,
    *,
    pretend: bool,
    class_names: Sequence[str] = CLASS_NAMES,
) -> list[pathlib.Path]:
    """Write faces_<database>_01.png and so on into `folder`, one row per clip; returns the paths.

    Of two phases the first is shown. Pages of an earlier build are removed.
    """
    paths = []
    for database in sorted({record.database for record in records}):
        own = [record for record in records if record.database == database]
        # The warning stays: of a composite, one part may be pretend and another real.
        title = entitled(f"{WARNING} - {in_words(database)}, layout {form.layout}", pretend=pretend)
        rows = (_row(form, record, maps_of(record), class_names) for record in own)
        paths += GRID.write(folder, f"faces_{database}", len(own), rows, title)
    page.remove_others(folder, "faces_*.png", paths)
    return paths


def _row(form: MapForm, record: ClipRecord, maps: ClipMaps, class_names: Sequence[str]) -> page.Row:
    face = maps.onset_SxS.shape[0]
    # HTNet's cut exists at 28 pixels only.
    size = MAP_SIZE if form.cut == "quad_htnet" else face
    windows = layouts.windows(form.cut, maps.landmarks_5x2 * (size / face), size, form.map_size)
    return page.Row(
        lines=(
            record.subject,
            record.clip,
            class_names[record.label] if record.label >= 0 else record.emotion,
            f"frames {maps.quality.onset_frame}, {maps.quality.apex_frame}",
            f"flow up to {maps.quality.flow_max_px:.2f} px",
            *maps.quality.rules,
        ),
        pictures=_pictures(form, maps),
        boxes=[page.box_of(window, 3, _SIDE / size) for window in windows],
        points_Px3=[(1, float(x), float(y)) for x, y in maps.landmarks_68x2 * (_SIDE / face)],
    )


def _pictures(form: MapForm, maps: ClipMaps) -> list[np.ndarray]:
    face_SxSxC = normalisations.RULES[form.normalise](maps.flow_SxSxC)
    composed_HxWxC = layouts.compose(form.cut, face_SxSxC, maps.landmarks_5x2, form.map_size)
    nearest_S = np.arange(_SIDE) * form.map_size // _SIDE
    enlarged = composed_HxWxC[nearest_S][:, nearest_S]
    # The flow in pixels says where no motion lies on the network's scale of 0..255.
    zeros = [zero_of(maps.flow_SxSxC[..., channel]) for channel in range(2)]
    if form.normalise == "symmetric":
        zeros = [normalisations.STILL] * 2
    return [
        *map(grey_picture, (maps.onset_SxS, maps.apex_SxS)),
        coloured_flow(maps.flow_SxSxC),
        grey_picture(face_SxSxC[..., 2]),
        *(signed_colours(enlarged[..., channel], zero) for channel, zero in enumerate(zeros)),
        grey_picture(enlarged[..., 2]),
    ]


def grey_picture(map_HxW: np.ndarray) -> np.ndarray:
    """RGB uint8 (H, W, 3) of a map in 0..255."""
    return np.repeat(np.rint(map_HxW).astype(np.uint8)[..., None], 3, axis=2)


def coloured_flow(flow_SxSxC: np.ndarray) -> np.ndarray:
    """Hue shows the direction, brightness the size relative to the clip's largest."""
    cv2 = extras.opencv()
    u, v = flow_SxSxC[..., 0], flow_SxSxC[..., 1]
    size = np.hypot(u, v)
    hue = (np.degrees(np.arctan2(v, u)) % 360) / 2
    value = 255 * size / max(float(size.max()), 1e-6)
    hsv = np.stack([hue, np.full_like(hue, 255), value], axis=-1)
    return cv2.cvtColor(np.rint(hsv).clip(0, [179, 255, 255]).astype(np.uint8), cv2.COLOR_HSV2RGB)


def signed_colours(map_HxW: np.ndarray, zero: float) -> np.ndarray:
    """RGB uint8 (H, W, 3) of a map whose value `zero` means none; the farther from it, the darker.

    Both signs share one scale, that of a map over 0..255.
    """
    reach = max(abs(zero), abs(255.0 - zero))
    # An odd number of colours has one in the middle.
    palette_255x3 = _palette()
    middle = len(palette_255x3) // 2
    index = np.rint(middle * (1 + (map_HxW - zero) / reach)).astype(int)
    return palette_255x3[index.clip(0, 2 * middle)]


def zero_of(flow_SxS: np.ndarray) -> float:
    """Where no motion lies once a clip's channel was stretched from its least value to 255."""
    least, most = float(flow_SxS.min()), float(flow_SxS.max())
    return -255.0 * least / (most - least) if most > least else 0.0


@functools.cache
def _palette() -> np.ndarray:
    colours = matplotlib.colormaps["RdBu_r"].resampled(255)(np.arange(255), bytes=True)[:, :3]
    colours[127] = 255
    return colours
