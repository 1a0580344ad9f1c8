"""Writes a picture as PNG and as PDF: the same bytes for the same picture."""

import io
import pathlib

import matplotlib
from matplotlib.figure import Figure

from input_pipeline.core.files import write_whole

# Neither date nor program.
_METADATA = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


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
