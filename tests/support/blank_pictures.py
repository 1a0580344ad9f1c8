"""Blank pictures for commands whose pictures no test looks at.

A picture takes a second to draw, most of it fonts.
"""

import base64
import io
import runpy
import sys

import matplotlib.figure

_BLANK = {
    "png": base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
    ),
    "pdf": b"%PDF-1.4\n%%EOF\n",
}


def draw_blank() -> None:
    """From now on this process writes blank pictures."""
    matplotlib.figure.Figure.savefig = _save_blank


def run_as_main(module: str, words: list[str]) -> None:
    """Run `python -m module words...` in this process, with blank pictures."""
    draw_blank()
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _save_blank(_: object, file: io.BytesIO, *, format: str, **__: object) -> None:
    file.write(_BLANK[format])
