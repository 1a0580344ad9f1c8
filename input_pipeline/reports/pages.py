"""Draws every sample of a data set on PNG pages, so that a person can see what was imported."""

import io
import pathlib
from typing import Any

import numpy as np

from input_pipeline.core import files, progress_lines
from input_pipeline.core.clips import FLOW_CHANNELS, MAP_SIZE, Clips, entitled
from input_pipeline.core.database_names import in_words
from input_pipeline.maps import layouts

ROWS_PER_PAGE = 24
_ENLARGED = 5
_PICTURE = MAP_SIZE * _ENLARGED
_GAP = 8
_LABEL_WIDTH = 180
_HEADER_HEIGHT = 76
_TEXT_SIZE = 13
# Light grey, so that a white window shows on it.
_PAPER = 216
# Hues that the colour map (magma: black, purple, orange, cream) lacks.
REGION_COLOURS = {
    "eye_left": "#00e5ff",
    "eye_right": "#5dff3b",
    "nose": "#ffffff",
    "lip_left": "#6aa5ff",
    "lip_right": "#00c98d",
    "face": "#00e5ff",
}
_COLUMNS = (
    *(f"{channel}, whole face" for channel in FLOW_CHANNELS),
    *(f"{channel}, as input" for channel in FLOW_CHANNELS),
)
# Data sets hold the stretched values alone, so zero cannot be drawn here.
_ABOUT_VALUES = (
    "each channel from the clip's least value (0, dark) to its largest (255, light): in u and v "
    "the shade of no motion differs from clip to clip, and is not the middle one"
)
_WIDTH = _LABEL_WIDTH + len(_COLUMNS) * (_PICTURE + _GAP)


def write_pages(clips: Clips, folder: pathlib.Path) -> list[pathlib.Path]:
    """Write contact_sheet_01.png and so on, one row per clip in key order; returns their paths.

    A row shows u, v and strain of the whole face with the layout's windows, then the composed
    map with the windows' slots. Pages of an earlier, longer sheet are removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(clips), ROWS_PER_PAGE)
    digits = max(2, len(str(len(starts))))
    palette_256x3 = _magma()
    pages = []
    progress = progress_lines.over(starts, "contact sheet")
    for number, start in enumerate(progress, start=1):
        buffer = io.BytesIO()
        _page(clips, start, f"page {number} of {len(starts)}", palette_256x3).save(buffer, "PNG")
        path = folder / f"contact_sheet_{number:0{digits}d}.png"
        files.write_whole(path, buffer.getvalue())
        pages.append(path)
    for stale in set(folder.glob("contact_sheet_*.png")) - set(pages):
        stale.unlink()
    return pages


def _magma() -> np.ndarray:
    import matplotlib

    return matplotlib.colormaps["magma"](np.arange(256), bytes=True)[:, :3]


def _page(clips: Clips, start: int, title: str, palette_256x3: np.ndarray) -> Any:
    from PIL import Image, ImageDraw, ImageFont

    stop = min(start + ROWS_PER_PAGE, len(clips))
    height = _HEADER_HEIGHT + (stop - start) * (_PICTURE + _GAP)
    canvas_HxWx3 = np.full((height, _WIDTH, 3), _PAPER, np.uint8)
    for index in range(start, stop):
        top = _row_top(index - start)
        for column, map_HxW in enumerate(_pictures(clips, index)):
            left = _LABEL_WIDTH + column * (_PICTURE + _GAP)
            canvas_HxWx3[top : top + _PICTURE, left : left + _PICTURE] = _enlarged(
                palette_256x3[np.rint(map_HxW).astype(np.uint8)]
            )
    page = Image.fromarray(canvas_HxWx3)
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(_TEXT_SIZE)
    _draw_header(draw, font, clips, title)
    for index in range(start, stop):
        _draw_row(draw, font, clips, index, _row_top(index - start))
    return page


def _row_top(row: int) -> int:
    return _HEADER_HEIGHT + row * (_PICTURE + _GAP)


def _pictures(clips: Clips, index: int) -> list[np.ndarray]:
    both = (clips.flow_whole_NxHxWxC[index], clips.flow_NxHxWxC[index])
    return [map_HxWxC[..., channel] for map_HxWxC in both for channel in range(len(FLOW_CHANNELS))]


def _enlarged(picture_HxWx3: np.ndarray) -> np.ndarray:
    return picture_HxWx3.repeat(_ENLARGED, axis=0).repeat(_ENLARGED, axis=1)


def _draw_header(draw: Any, font: Any, clips: Clips, title: str) -> None:
    shown = f"{in_words(clips.dataset)}, layout {clips.layout}, {title}"
    shown = entitled(shown, pretend=clips.pretend)
    draw.text((_GAP, 6), shown, "black", font)
    draw.text((_GAP, 26), _ABOUT_VALUES, "black", font)
    left = draw.textlength(shown, font) + 4 * _GAP
    names = [
        window.name
        for window in layouts.windows(clips.layout, layouts.MEAN_LANDMARKS_5x2, MAP_SIZE)
    ]
    for name in names:
        draw.rectangle((left, 8, left + 12, 20), REGION_COLOURS[name], "black")
        draw.text((left + 18, 6), name, "black", font)
        left += 18 + draw.textlength(name, font) + 2 * _GAP
    for column, text in enumerate(_COLUMNS):
        draw.text((_column_left(column), _HEADER_HEIGHT - 22), text, "black", font)


def _column_left(column: int) -> int:
    return _LABEL_WIDTH + column * (_PICTURE + _GAP)


def _draw_row(draw: Any, font: Any, clips: Clips, index: int, top: int) -> None:
    lines = (
        in_words(str(clips.database_N[index])),
        str(clips.subject_N[index]),
        str(clips.clip_N[index]),
        clips.class_of(index) or str(clips.extras["emotion"][index]),
    )
    for number, line in enumerate(lines):
        draw.text((_GAP, top + 34 + number * 17), _shortened(draw, font, line), "black", font)
    windows = layouts.windows(clips.layout, clips.extras["landmarks"][index], MAP_SIZE)
    for window in windows:
        colour = REGION_COLOURS[window.name]
        cut = (window.top, window.left, window.height, window.width)
        slot = (window.slot_top, window.slot_left, window.slot_height, window.slot_width)
        for column in range(len(_COLUMNS)):
            box = cut if column < len(FLOW_CHANNELS) else slot
            _draw_box(draw, box, _column_left(column), top, colour)


def _shortened(draw: Any, font: Any, text: str) -> str:
    while draw.textlength(text, font) > _LABEL_WIDTH - 2 * _GAP:
        text = text.removesuffix("…")[:-1] + "…"
    return text


def _draw_box(draw: Any, box: tuple[int, int, int, int], left: int, top: int, colour: str) -> None:
    row, column, height, width = (_ENLARGED * value for value in box)
    corners = (left + column, top + row, left + column + width - 1, top + row + height - 1)
    draw.rectangle(corners, outline=colour, width=2)
