"""Contact sheets with faces: onset, apex, landmarks, flow, regions, map. Licensed material."""

import collections
import io
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from input_pipeline.core import extras, progress_lines
from input_pipeline.core.clips import CLASS_NAMES, MAP_SIZE, entitled
from input_pipeline.core.database_names import in_words
from input_pipeline.core.files import write_whole
from input_pipeline.databases.rows import ClipRecord
from input_pipeline.flow import strain
from input_pipeline.flow.clip_maps import ClipMaps
from input_pipeline.maps import layouts
from input_pipeline.reports.pages import REGION_COLOURS
from input_pipeline.reports.signed_colours import signed_colours, zero_of

ROWS_PER_PAGE = 12
WARNING = "LICENSED MATERIAL: shows faces of a database, do not publish or pass on"
_SIDE = 168
_GAP = 8
_LABEL_WIDTH = 170
_HEADER_HEIGHT = 68
_TEXT_SIZE = 13
_COLUMNS = (
    "onset", "apex, landmarks", "flow (hue: direction)", "strain, regions",
    "input u (red: right)", "input v (red: down)", "input strain",
)  # fmt: skip
_ABOUT_SIGNS = "input u, v: white is no motion; red is right or down, blue left or up"
_WIDTH = _LABEL_WIDTH + len(_COLUMNS) * (_SIDE + _GAP)


def write_pages(
    layout: str,
    records: Sequence[ClipRecord],
    maps_of: Callable[[ClipRecord], ClipMaps],
    folder: pathlib.Path,
    *,
    pretend: bool,
) -> list[pathlib.Path]:
    """Write faces_<database>_01.png and so on into `folder`, one row per clip; returns the paths.

    Pages of an earlier build are removed.
    """
    by_database: dict[str, list[ClipRecord]] = collections.defaultdict(list)
    for record in records:
        by_database[record.database].append(record)
    pages = []
    bar = progress_lines.bar(len(records), "faces")
    with bar:
        for database, own in sorted(by_database.items()):
            starts = range(0, len(own), ROWS_PER_PAGE)
            for number, start in enumerate(starts, start=1):
                shown = own[start : start + ROWS_PER_PAGE]
                title = f"{in_words(database)}, layout {layout}, page {number} of {len(starts)}"
                # The warning stays: of a composite, one part may be pretend and another real.
                title = entitled(f"{WARNING} - {title}", pretend=pretend)
                buffer = io.BytesIO()
                _page(layout, title, shown, maps_of).save(buffer, "PNG")
                pages.append(folder / f"faces_{database}_{number:02d}.png")
                write_whole(pages[-1], buffer.getvalue())
                bar.update(len(shown))
    for stale in set(folder.glob("faces_*.png")) - set(pages):
        stale.unlink()
    return pages


def _page(
    layout: str,
    title: str,
    records: Sequence[ClipRecord],
    maps_of: Callable[[ClipRecord], ClipMaps],
) -> Any:
    from PIL import Image, ImageDraw, ImageFont

    height = _HEADER_HEIGHT + len(records) * (_SIDE + _GAP)
    page = Image.new("RGB", (_WIDTH, height), (216, 216, 216))
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(_TEXT_SIZE)
    draw.text((_GAP, 6), title, "#b00000", font)
    draw.text((_GAP, 22), _ABOUT_SIGNS, "black", font)
    for column, name in enumerate(_COLUMNS):
        draw.text((_left(column), _HEADER_HEIGHT - 24), name, "black", font)
    for row, record in enumerate(records):
        top, _ = place(row, 0)
        maps = maps_of(record)
        for column, picture in enumerate(_pictures(layout, maps)):
            page.paste(Image.fromarray(picture).resize((_SIDE, _SIDE)), (_left(column), top))
        _draw_points(draw, maps, top)
        _draw_windows(draw, layout, maps, top)
        shown_class = CLASS_NAMES[record.label] if record.label >= 0 else record.emotion
        lines = (
            record.subject, record.clip, shown_class,
            f"frames {maps.quality.onset_frame}, {maps.quality.apex_frame}",
            f"flow up to {maps.quality.flow_max_px:.2f} px", *maps.quality.rules,
        )  # fmt: skip
        for number, line in enumerate(lines):
            draw.text((_GAP, top + 8 + 17 * number), line[:24], "black", font)
    return page


def place(row: int, column: int) -> tuple[int, int]:
    """Top and left of a picture on its page, in pixels."""
    return _HEADER_HEIGHT + row * (_SIDE + _GAP), _left(column)


def _left(column: int) -> int:
    return _LABEL_WIDTH + column * (_SIDE + _GAP)


def _pictures(layout: str, maps: ClipMaps) -> list[np.ndarray]:
    face_SxSxC, _ = strain.normalise_to_255(maps.flow_SxSxC)
    composed_HxWxC = layouts.compose(layout, face_SxSxC, maps.landmarks_5x2)
    enlarged = composed_HxWxC.repeat(6, axis=0).repeat(6, axis=1)
    # The flow in pixels tells where no motion lies on the network's scale of 0..255.
    zeros = [zero_of(maps.flow_SxSxC[..., channel]) for channel in range(2)]
    grey = [maps.onset_SxS, maps.apex_SxS]
    return [
        *(np.repeat(crop[..., None], 3, axis=2) for crop in grey),
        _coloured_flow(maps.flow_SxSxC),
        np.repeat(np.rint(face_SxSxC[..., 2:]).astype(np.uint8), 3, axis=2),
        *(signed_colours(enlarged[..., channel], zero) for channel, zero in enumerate(zeros)),
        np.repeat(np.rint(enlarged[..., 2:]).astype(np.uint8), 3, axis=2),
    ]


def _coloured_flow(flow_SxSxC: np.ndarray) -> np.ndarray:
    """Hue shows the direction, brightness the size relative to the clip's largest."""
    cv2 = extras.opencv()
    u, v = flow_SxSxC[..., 0], flow_SxSxC[..., 1]
    size = np.hypot(u, v)
    hue = (np.degrees(np.arctan2(v, u)) % 360) / 2
    value = 255 * size / max(float(size.max()), 1e-6)
    hsv = np.stack([hue, np.full_like(hue, 255), value], axis=-1)
    return cv2.cvtColor(np.rint(hsv).clip(0, [179, 255, 255]).astype(np.uint8), cv2.COLOR_HSV2RGB)


def _draw_points(draw: Any, maps: ClipMaps, top: int) -> None:
    scale = _SIDE / maps.onset_SxS.shape[0]
    for x, y in maps.landmarks_68x2 * scale:
        left = _left(1) + float(x)
        draw.ellipse((left - 1, top + float(y) - 1, left + 1, top + float(y) + 1), fill="#5dff3b")


def _draw_windows(draw: Any, layout: str, maps: ClipMaps, top: int) -> None:
    face = maps.onset_SxS.shape[0]
    # HTNet's cut exists at 28 pixels only.
    size = MAP_SIZE if layout == "quad_htnet" else face
    scale = _SIDE / size
    for window in layouts.windows(layout, maps.landmarks_5x2 * (size / face), size):
        left, upper = _left(3) + window.left * scale, top + window.top * scale
        right, lower = left + window.width * scale - 1, upper + window.height * scale - 1
        draw.rectangle((left, upper, right, lower), outline=REGION_COLOURS[window.name], width=2)
