"""Strict reading of one published flow map: a 28x28 RGB PNG whose channels are (u, v, strain)."""

import io
import os
import pathlib
import struct

import numpy as np
from PIL import Image

from input_pipeline.core import png_chunks
from input_pipeline.core.clips import MAP_SIZE
from input_pipeline.core.errors import InputError
from input_pipeline.core.files import UnfitFileError, read_whole

_RGB = 2
_COLOUR_TYPES = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}
# A 28x28 map takes 3 KB; anything near this size is no map.
_MOST_BYTES = 1 << 20
_WANTED = f"allowed is a {MAP_SIZE}x{MAP_SIZE} RGB PNG with 8 bits a channel"


def read_bytes(path: pathlib.Path) -> bytes:
    """A map file's bytes; raises InputError on what is missing or is no regular, small file."""
    try:
        return read_whole(path, _MOST_BYTES)
    except UnfitFileError as error:
        raise InputError(f"the map is no map: {error}; {_WANTED}.") from error
    except OSError as error:
        raise InputError(
            f"the map cannot be opened ({error.strerror}); {_WANTED} inside the source folder."
        ) from error


def decode(data: bytes) -> np.ndarray:
    """The 28x28x3 uint8 map in (u, v, strain) order; raises InputError on any other picture.

    Size and mode are judged from the header, before anything is unpacked; the check sums of
    all chunks are verified.
    """
    _check_header(data)
    # Pillow checks every chunk but the last.
    if not data.endswith(png_chunks.END):
        raise _broken("cut off or damaged at its end")
    if not png_chunks.has_all_pixels(data):
        raise _broken(f"damaged (its data hold other than {MAP_SIZE} rows)")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            picture.verify()
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            return np.array(picture.convert("RGB"), np.uint8)
    # Pillow reports damage as OSError, SyntaxError, ValueError, struct.error or zlib.error.
    except Exception as error:
        raise _broken(f"damaged ({error})") from error


def _broken(what: str) -> InputError:
    return InputError(f"the map is {what}; {_WANTED}; copy it again.")


def _check_header(data: bytes) -> None:
    if not data:
        raise _broken("an empty file")
    if not data.startswith(png_chunks.SIGNATURE):
        raise InputError(f"the map is no PNG file, whatever its name says; {_WANTED}.")
    if len(data) < 33 or data[8:16] != b"\x00\x00\x00\x0dIHDR":
        raise _broken("cut off within its header")
    width, height, bits, colour_type = struct.unpack(">IIBB", data[16:26])
    if (width, height) != (MAP_SIZE, MAP_SIZE):
        raise InputError(f"the map has {width}x{height} pixels; {_WANTED}.")
    if png_chunks.headers(data) > 1:
        raise _broken("damaged (it has a second header)")
    if bits != 8 or colour_type != _RGB:
        mode = _COLOUR_TYPES.get(colour_type, f"of unknown colour type {colour_type}")
        raise InputError(f"the map is {mode} with {bits} bits a channel; {_WANTED}.")


def path_inside(source: pathlib.Path, name: str) -> pathlib.Path:
    """The map that a table names, relative to `source`, which is a resolved folder.

    Raises InputError on a name that leads out of the folder, also by a symbolic link, or that
    no file system takes.
    """
    rule = "allowed is the name of a PNG file inside the source folder"
    if not name or not name.isprintable():
        raise InputError(
            f"the map name {name[:40]!a} is empty or holds control characters; {rule}."
        )
    parts = pathlib.PurePosixPath(name.replace("\\", "/"))
    if len(name) > 1000 or any(len(os.fsencode(part)) > 255 for part in parts.parts):
        raise InputError(
            f"the map name '{name[:40]}...' is over-long with {len(name)} characters; {rule}."
        )
    try:
        resolved = (source / name).resolve()
    except (OSError, RuntimeError) as error:
        raise InputError(f"the map '{name}' cannot be followed to a file; {rule}.") from error
    is_relative = not parts.is_absolute() and ".." not in parts.parts
    if not is_relative or not resolved.is_relative_to(source):
        raise InputError(f"the map '{name}' leads out of the source folder; {rule}.")
    return resolved
