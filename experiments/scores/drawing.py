"""What all pictures share: their colours, and their bytes, the same for the same picture.

The colours are Okabe and Ito's palette, told apart by colour-blind eyes too: Color Universal
Design, 2008 (https://jfly.uni-koeln.de/color/).
"""

import io
import itertools
import pathlib
from collections.abc import Iterable

import matplotlib
from matplotlib.figure import Figure

from input_pipeline.core.files import write_whole
from input_pipeline.databases.names import in_order

BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW, BLACK = "#56B4E9", "#CC79A7", "#F0E442", "#000000"
ALL = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, BLACK, YELLOW)
GREY = "#767676"
# A published database keeps its colour from picture to picture.
_OF_DATABASE = {"casme2": BLUE, "samm": ORANGE, "smic": GREEN, "casme3": VERMILLION}
# Neither date nor program.
_METADATA = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def of_databases(databases: Iterable[str]) -> dict[str, str]:
    """A colour for each database; those that the papers do not know take the rest in turn."""
    names = in_order(databases)
    known = {name: _OF_DATABASE[name] for name in names if name in _OF_DATABASE}
    rest = [colour for colour in ALL if colour not in known.values()]
    others = [name for name in names if name not in known]
    return known | dict(zip(others, itertools.cycle(rest), strict=False))


def write(figure: Figure, folder: pathlib.Path, name: str) -> None:
    """Put `name`.png and `name`.pdf into the folder."""
    for form in ("png", "pdf"):
        write_whole(folder / f"{name}.{form}", drawn(figure, form))


def drawn(figure: Figure, form: str) -> bytes:
    """The picture's bytes as `png` or `pdf`."""
    buffer = io.BytesIO()
    # Text in a PDF as letters of a TrueType font, which journals ask for.
    with matplotlib.rc_context({"pdf.fonttype": 42}):
        figure.savefig(buffer, format=form, dpi=150, metadata=_METADATA[form])
    return buffer.getvalue()
