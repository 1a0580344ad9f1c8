"""Blank pictures for commands whose pictures no test looks at.

A picture takes a second to draw, most of it fonts; the axes of a run's take a third of one.
"""

import base64
import functools
import io
import multiprocessing
from collections.abc import Callable
from typing import Any

import matplotlib.figure

from experiments.scores import figures

_BLANK = {
    "png": base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
    ),
    "pdf": b"%PDF-1.4\n%%EOF\n",
}


def draw_blank() -> None:
    """From now on this process writes blank pictures."""
    matplotlib.figure.Figure.savefig = _save_blank
    figures.pictures = _nothing_drawn


def draw_blank_in_children() -> None:
    """From now on the processes that this one starts from a fork server write blank pictures."""
    multiprocessing.context.ForkServerProcess.__init__ = _blank_first


def _save_blank(_: object, file: io.BytesIO, *, format: str, **__: object) -> None:
    file.write(_BLANK[format])


def _nothing_drawn(records: figures.Records) -> dict[str, matplotlib.figure.Figure]:
    return {name: matplotlib.figure.Figure() for name in figures.wanted(records)}


_start = multiprocessing.context.ForkServerProcess.__init__


def _blank_first(self: Any, *arguments: Any, target: Callable[..., None], **more: Any) -> None:
    _start(self, *arguments, target=functools.partial(_blank_then, target), **more)


def _blank_then(target: Callable[..., None], *arguments: Any) -> None:
    draw_blank()
    target(*arguments)
