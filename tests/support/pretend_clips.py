"""Clips of pretend faces on disk, for tests."""

import functools
import io
import pathlib

import numpy as np
from PIL import Image

from input_pipeline.databases.rows import ClipRecord
from input_pipeline.pretend import portraits

# Of every identity in its frame, give or take 20 pixels.
LANDMARKS = {
    "eye_left": (277.0, 185.0),
    "eye_right": (363.0, 185.0),
    "nose": (320.0, 244.0),
    "lip_left": (272.0, 260.0),
    "lip_right": (360.0, 260.0),
}


@functools.cache
def face(number: int = 0) -> np.ndarray:
    return portraits.identity(number)


@functools.cache
def smiling(pixels: float, number: int = 0) -> np.ndarray:
    return portraits.moved(face(number), {"lip_corner_pull": pixels})[0]


def encoded(frame: np.ndarray, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, kind, **options)
    return buffer.getvalue()


def write(path: pathlib.Path, frame: np.ndarray) -> pathlib.Path:
    # Uncompressed: tests read and write these much.
    path.write_bytes(encoded(frame, "BMP"))
    return path


def clip(
    folder: pathlib.Path,
    frames: dict[int, np.ndarray | bytes],
    *,
    marks: tuple[int | None, int | None, int | None] = (1, 5, 9),
    database: str = "casme2",
) -> ClipRecord:
    """A record whose frames are written to `folder`; bytes are written as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, frame in sorted(frames.items()):
        path = folder / f"img{number}.bmp"
        if isinstance(frame, bytes):
            path.write_bytes(frame)
        else:
            write(path, frame)
        files.append((number, path))
    numbers = dict(zip(("onset", "apex", "offset"), marks, strict=True))
    return ClipRecord(
        database=database,
        subject="sub01",
        clip="EP01",
        **numbers,
        emotion="happiness",
        label=1,
        frames=tuple(files),
    )
