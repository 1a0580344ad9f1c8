"""Pages of pictures as PNG: a row for each clip with lines of text, a column for each picture."""

import dataclasses
import io
import itertools
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from input_pipeline.core import progress_lines
from input_pipeline.core.files import write_whole
from input_pipeline.maps.layouts import Window

# Hues that the colour map (magma: black, purple, orange, cream) lacks.
REGION_COLOURS = {
    "eye_left": "#00e5ff",
    "eye_right": "#5dff3b",
    "nose": "#ffffff",
    "lip_left": "#6aa5ff",
    "lip_right": "#00c98d",
    "face": "#00e5ff",
}
_GAP = 8
_TEXT_SIZE = 13
_LINE_HEIGHT = 17
_LABEL_WIDTH, _HEADER_HEIGHT = 180, 76
# Light grey, so that a white window shows on it.
_PAPER = (216, 216, 216)


class Box(NamedTuple):
    """A frame on the picture of one column: left, top, right, bottom in its pixels, and colour."""

    column: int
    corners: tuple[float, float, float, float]
    colour: str


class Row(NamedTuple):
    """A clip: its lines of text, a picture (HxWx3 uint8) for each column, frames and points.

    points_Px3 holds column, x and y, in pixels of the page's pictures, as the frames do.
    """

    lines: Sequence[str]
    pictures: Sequence[np.ndarray]
    boxes: Sequence[Box] = ()
    points_Px3: Sequence[tuple[int, float, float]] = ()


@dataclasses.dataclass(frozen=True)
class Grid:
    """The columns of a page and its parts' sizes in pixels; `legend` maps names to colours."""

    columns: tuple[str, ...]
    side: int
    rows_per_page: int
    about: str
    title_colour: str = "black"
    legend: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def place(self, row: int, column: int) -> tuple[int, int]:
        """Top and left of a picture on its page."""
        step = self.side + _GAP
        return _HEADER_HEIGHT + row * step, _LABEL_WIDTH + column * step

    def write(
        self, folder: pathlib.Path, prefix: str, count: int, rows: Iterator[Row], title: str
    ) -> list[pathlib.Path]:
        """Write PREFIX_01.png and so on with `count` rows; returns the paths."""
        pages = range(1, -(-count // self.rows_per_page) + 1)
        digits = max(2, len(str(len(pages))))
        paths = []
        for number in progress_lines.over(pages, prefix.replace("_", " ")):
            shown = list(itertools.islice(rows, self.rows_per_page))
            buffer = io.BytesIO()
            self._drawn(f"{title}, page {number} of {len(pages)}", shown).save(buffer, "PNG")
            paths.append(folder / f"{prefix}_{number:0{digits}d}.png")
            write_whole(paths[-1], buffer.getvalue())
        return paths

    def _drawn(self, title: str, rows: Sequence[Row]) -> Image.Image:
        height, width = self.place(len(rows), len(self.columns))
        page = Image.new("RGB", (width, height), _PAPER)
        draw = ImageDraw.Draw(page)
        draw.font = ImageFont.load_default(_TEXT_SIZE)
        self._draw_header(draw, title)
        for number, row in enumerate(rows):
            for column, pixels_HxWx3 in enumerate(row.pictures):
                top, left = self.place(number, column)
                page.paste(Image.fromarray(pixels_HxWx3).resize((self.side,) * 2), (left, top))
            self._draw_marks(draw, number, row)
            for line, text in enumerate(row.lines):
                while draw.textlength(text) > _LABEL_WIDTH - 2 * _GAP:
                    text = text.removesuffix("…")[:-1] + "…"
                draw.text((_GAP, top + _GAP + _LINE_HEIGHT * line), text, "black")
        return page

    def _draw_header(self, draw: ImageDraw.ImageDraw, title: str) -> None:
        draw.text((_GAP, 6), title, self.title_colour)
        draw.text((_GAP, 26), self.about, "black")
        left = draw.textlength(title) + 4 * _GAP
        for name, colour in self.legend.items():
            draw.rectangle((left, 8, left + 12, 20), colour, "black")
            draw.text((left + 18, 6), name, "black")
            left += 18 + draw.textlength(name) + 2 * _GAP
        for column, text in enumerate(self.columns):
            draw.text((self.place(0, column)[1], _HEADER_HEIGHT - 22), text, "black")

    def _draw_marks(self, draw: ImageDraw.ImageDraw, number: int, row: Row) -> None:
        for column, x, y in row.points_Px3:
            row_top, column_left = self.place(number, column)
            x, y = column_left + x, row_top + y
            draw.ellipse((x - 1, y - 1, x + 1, y + 1), fill=REGION_COLOURS["eye_right"])
        for box in row.boxes:
            top, left = self.place(number, box.column)
            corners = np.add(box.corners, (left, top, left, top)).tolist()
            draw.rectangle(corners, outline=box.colour, width=2)


def box_of(window: Window, column: int, scale: float, *, slot: bool = False) -> Box:
    """The frame of a region's window, or of its slot in the composed map, enlarged by `scale`."""
    place = (window.top, window.left, window.height, window.width)
    if slot:
        place = (window.slot_top, window.slot_left, window.slot_height, window.slot_width)
    top, left, height, width = (scale * value for value in place)
    corners = (left, top, left + width - 1, top + height - 1)
    return Box(column, corners, REGION_COLOURS[window.name])


def remove_others(folder: pathlib.Path, pattern: str, kept: Sequence[pathlib.Path]) -> None:
    """Remove the pages that an earlier, longer set left."""
    for stale in set(folder.glob(pattern)) - set(kept):
        stale.unlink()
