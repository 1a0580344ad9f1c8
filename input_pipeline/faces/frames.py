"""Strict reading of one video frame: what is not wholly there, or is no plain picture, is refused.

OpenCV accepts a JPEG cut at any length and fills the rest with grey, which optical flow then
reads as motion. So the size is judged from the header, the file is followed to its end marker,
and only then decoded. Letters in array names: H rows, W columns.
"""

import io
import os
import pathlib
import queue
import re
import stat
import struct
import threading
import warnings
from typing import NamedTuple

import numpy as np

from input_pipeline.core import png_chunks
from input_pipeline.core.clip_faults import ClipFault

# The largest frame of the four databases has about 2.2 million pixels.
MOST_PIXELS = 1 << 24
_MOST_BYTES = 6 * MOST_PIXELS + (1 << 20)
READ_SECONDS = 30.0
_STRIPE = 64
_WANTED = "allowed are JPEG, PNG and BMP pictures; copy the frame again from the database"

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_PNG_COLOURS = {0, 2, 3, 4, 6}
# In a JPEG's entropy-coded data a marker is an FF not followed by 00 (a stuffed byte), by a
# restart number or by another FF (filling).
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_JPEG_START_OF_FRAME = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class _Header(NamedTuple):
    kind: str
    width: int
    height: int


def read_frame(path: pathlib.Path, *, seconds: float = READ_SECONDS) -> np.ndarray:
    """One frame as uint8, HxW where the file is grey and HxWx3 RGB otherwise.

    JPEG, PNG and BMP only, known by their first bytes, up to 2^24 pixels. Rules: 16 bits a
    channel keep their high byte; a palette becomes RGB; an alpha channel is dropped where every
    pixel is opaque and refused otherwise; CMYK is refused, for its grey values depend on an ink
    profile; an EXIF orientation is applied. Raises ClipFault with a frame_* code on everything
    else, on a damaged or cut file, and on a file that takes longer than `seconds` to read.
    """
    data = _read_bytes(path, seconds)
    if not data:
        raise ClipFault("frame_empty", f"{path.name} has no bytes; {_WANTED}.")
    header = _header(path.name, data)
    if header.width < 1 or header.height < 1:
        raise _damaged(path.name, f"its header tells {header.width}x{header.height} pixels")
    if header.width * header.height > MOST_PIXELS:
        raise ClipFault(
            "frame_too_large",
            f"{path.name} has {header.width}x{header.height} pixels; allowed are 2^24 in all.",
        )
    return _decoded(path.name, data, header.kind)


def grey(frame: np.ndarray) -> np.ndarray:
    """The frame's grey values, HxW uint8: 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), rounded."""
    if frame.ndim == 2:
        return frame
    grey_HxW = np.empty(frame.shape[:2], np.uint8)
    # In stripes: a whole frame of 32-bit numbers would take twelve times its memory.
    for top in range(0, len(frame), _STRIPE):
        stripe = frame[top : top + _STRIPE].astype(np.uint32)
        # Whole numbers, so that every machine rounds alike.
        weighted = 19595 * stripe[..., 0] + 38470 * stripe[..., 1] + 7471 * stripe[..., 2]
        grey_HxW[top : top + _STRIPE] = (weighted + 32768) >> 16
    return grey_HxW


def _read_bytes(path: pathlib.Path, seconds: float) -> bytes:
    """The file's bytes, read beside the main thread: a hung network disk cannot be interrupted."""
    outcome: queue.SimpleQueue[bytes | OSError | ClipFault] = queue.SimpleQueue()

    def read() -> None:
        try:
            outcome.put(_regular_file(path))
        except (OSError, ValueError, ClipFault) as error:
            outcome.put(error if isinstance(error, ClipFault | OSError) else OSError(str(error)))

    threading.Thread(target=read, daemon=True).start()
    try:
        found = outcome.get(timeout=seconds)
    except queue.Empty:
        raise ClipFault(
            "frame_timeout",
            f"{path.name} was not read within {seconds:g} s; is its disk still there?",
        ) from None
    if isinstance(found, ClipFault):
        raise found
    if isinstance(found, OSError):
        reason = found.strerror or str(found)
        raise ClipFault("frame_unreadable", f"{path.name} cannot be read ({reason}).") from found
    return found


def _regular_file(path: pathlib.Path) -> bytes:
    # Without waiting for a writer, should the path be a pipe.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ClipFault("frame_not_a_file", f"{path.name} is a folder, a pipe or a device.")
        if status.st_size > _MOST_BYTES:
            raise ClipFault(
                "frame_too_large",
                f"{path.name} has {status.st_size} bytes; allowed are {_MOST_BYTES}.",
            )
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read()
    finally:
        os.close(descriptor)


def _header(name: str, data: bytes) -> _Header:
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg_header(name, data)
    if data.startswith(_PNG_SIGNATURE):
        return _png_header(name, data)
    if data.startswith(b"BM"):
        return _bmp_header(name, data)
    raise ClipFault(
        "frame_format", f"{name} is no picture, its first bytes are {data[:8]!r}; {_WANTED}."
    )


def _jpeg_header(name: str, data: bytes) -> _Header:
    """Follows the file's segments from the start marker to the end marker."""
    header, at = None, 2
    while True:
        while data[at : at + 2] == b"\xff\xff":
            at += 1
        if len(data) < at + 2:
            raise _damaged(name, "it is cut off before the end of the picture")
        if data[at] != 0xFF:
            raise _damaged(name, f"a marker is missing at byte {at}")
        marker = data[at + 1]
        if marker == 0xD9:
            break
        at += 2
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            continue
        if len(data) < at + 2:
            raise _damaged(name, "it is cut off before the end of the picture")
        length = struct.unpack_from(">H", data, at)[0]
        if marker in _JPEG_START_OF_FRAME:
            if length < 8 or len(data) < at + 8:
                raise _damaged(name, "its header is cut off")
            height, width, components = struct.unpack_from(">HHB", data, at + 3)
            if components == 4:
                raise ClipFault("frame_colour", f"{name} is CMYK; allowed are grey and RGB.")
            header = _Header("JPEG", width, height)
        at += length
        if marker == 0xDA:
            found = _JPEG_MARKER.search(data, at)
            if not found:
                raise _damaged(name, "it is cut off before the end of the picture")
            at = found.start()
    if header is None:
        raise _damaged(name, "it holds no picture")
    return header


def _png_header(name: str, data: bytes) -> _Header:
    if len(data) < 33 or data[8:16] != b"\x00\x00\x00\x0dIHDR":
        raise _damaged(name, "its header is cut off")
    width, height, _, colour = struct.unpack_from(">IIBB", data, 16)
    if colour not in _PNG_COLOURS:
        raise _damaged(name, f"its colour type is {colour}")
    # The size limit comes first: a picture may be refused for it however it ends.
    if width * height <= MOST_PIXELS and not data.endswith(_PNG_END):
        raise _damaged(name, "it is cut off before its end chunk")
    if png_chunks.headers(data) > 1:
        raise _damaged(name, "it has a second header")
    return _Header("PNG", width, height)


def _bmp_header(name: str, data: bytes) -> _Header:
    if len(data) < 30:
        raise _damaged(name, "its header is cut off")
    told, header_size = struct.unpack_from("<I", data, 2)[0], struct.unpack_from("<I", data, 14)[0]
    if header_size < 40:
        raise ClipFault("frame_format", f"{name} is a BMP of an unsupported, ancient kind.")
    if told > len(data):
        raise _damaged(name, f"it has {len(data)} of {told} bytes")
    width, height = struct.unpack_from("<ii", data, 18)
    return _Header("BMP", abs(width), abs(height))


def _decoded(name: str, data: bytes, kind: str) -> np.ndarray:
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if kind == "PNG":
                # Loading alone leaves check sums unread.
                with Image.open(io.BytesIO(data), formats=(kind,)) as picture:
                    picture.verify()
            with Image.open(io.BytesIO(data), formats=(kind,)) as picture:
                picture.load()
                upright = ImageOps.exif_transpose(picture) if kind == "JPEG" else picture
                return _plain(name, upright)
    except ClipFault:
        raise
    # Pillow reports damage as OSError, SyntaxError, ValueError, struct.error or zlib.error.
    except Exception as error:
        raise _damaged(name, str(error)) from error


def _plain(name: str, picture) -> np.ndarray:
    """HxW or HxWx3 uint8 from Pillow's picture, by the rules of read_frame."""
    if picture.mode.startswith("I") or picture.mode == "F":
        return (np.asarray(picture).astype(np.uint32) >> 8).astype(np.uint8)
    if picture.mode in ("1", "L") and "transparency" not in picture.info:
        return np.array(picture.convert("L"), np.uint8)
    if picture.mode == "CMYK":
        raise ClipFault("frame_colour", f"{name} is CMYK; allowed are grey and RGB.")
    if picture.mode in ("LA", "RGBA", "PA") or "transparency" in picture.info:
        rgba_HxWx4 = np.array(picture.convert("RGBA"), np.uint8)
        if rgba_HxWx4[..., 3].min() < 255:
            raise ClipFault(
                "frame_colour", f"{name} is partly transparent; a camera's frames are opaque."
            )
        if picture.mode == "LA":
            return np.ascontiguousarray(rgba_HxWx4[..., 0])
        return np.ascontiguousarray(rgba_HxWx4[..., :3])
    return np.array(picture.convert("RGB"), np.uint8)


def _damaged(name: str, what: str) -> ClipFault:
    return ClipFault("frame_damaged", f"{name} is damaged: {what}; copy it again.")
