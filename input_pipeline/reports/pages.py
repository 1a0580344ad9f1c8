"""Draws every sample of a data set on PNG pages, so that a person can see what was imported."""

import pathlib

import matplotlib
import numpy as np

from input_pipeline.core.clips import MAP_SIZE, Clips, entitled
from input_pipeline.core.map_form import FORMS, MapForm
from input_pipeline.databases.names import in_words
from input_pipeline.maps import layouts
from input_pipeline.reports import page

ROWS_PER_PAGE = 24
_ENLARGED = 5
_SHOWN = ("whole face", "as input")
# Data sets hold the values of 0..255 alone, so zero cannot be drawn where it varies.
_ABOUT_VALUES = {
    "minmax": (
        "each channel from the clip's least value (0, dark) to its largest (255, light): in u and "
        "v the shade of no motion differs from clip to clip, and is not the middle one"
    ),
    "symmetric": (
        "u and v: the middle shade is no motion in every clip, dark is left or up, light right or "
        "down; strain from 0 (dark) to the clip's largest"
    ),
}


def write_pages(clips: Clips, folder: pathlib.Path) -> list[pathlib.Path]:
    """Write contact_sheet_01.png and so on, one row per clip in key order; returns their paths.

    A row shows u, v and strain of the whole face with the layout's windows, then the composed
    map with the windows' slots. Pages of an earlier, longer sheet are removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    form = FORMS[clips.layout]
    regions = _windows(form, layouts.MEAN_LANDMARKS_5x2)
    grid = page.Grid(
        tuple(f"{name}, {what}" for what in _SHOWN for name in form.channel_names),
        side=form.map_size * _ENLARGED,
        rows_per_page=ROWS_PER_PAGE,
        about=_ABOUT_VALUES[form.normalise],
        legend={region.name: page.REGION_COLOURS[region.name] for region in regions},
    )
    title = entitled(f"{in_words(clips.dataset)}, layout {clips.layout}", pretend=clips.pretend)
    palette_256x3 = matplotlib.colormaps["magma"](np.arange(256), bytes=True)[:, :3]
    rows = (_row(clips, palette_256x3, index) for index in range(len(clips)))
    paths = grid.write(folder, "contact_sheet", len(clips), rows, title)
    page.remove_others(folder, "contact_sheet_*.png", paths)
    return paths


def _row(clips: Clips, palette_256x3: np.ndarray, index: int) -> page.Row:
    maps_HxWxC = np.concatenate([clips.flow_whole_NxHxWxC[index], clips.flow_NxHxWxC[index]], -1)
    large_HxWxC = maps_HxWxC.repeat(_ENLARGED, axis=0).repeat(_ENLARGED, axis=1)
    shown_CxHxWx3 = palette_256x3[np.rint(np.moveaxis(large_HxWxC, -1, 0)).astype(np.uint8)]
    form = FORMS[clips.layout]
    regions = _windows(form, clips.extras["landmarks"][index])
    names = (clips.subject_N[index], clips.clip_N[index])
    shown_class = clips.class_of(index) or clips.extras["emotion"][index]
    return page.Row(
        lines=(in_words(str(clips.database_N[index])), *map(str, (*names, shown_class))),
        pictures=list(shown_CxHxWx3),
        boxes=[
            page.box_of(region, column, _ENLARGED, slot=column >= form.channels)
            for region in regions
            for column in range(2 * form.channels)
        ],
    )


def _windows(form: MapForm, landmarks_5x2: np.ndarray) -> list[layouts.Window]:
    """The regions on the stored whole face; landmarks are in pixels of a 28-pixel face."""
    size = form.map_size
    return layouts.windows(form.cut, landmarks_5x2 * (size / MAP_SIZE), size, size)
