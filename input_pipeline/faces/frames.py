"""Strict reading of one video frame: what is not wholly there, or is no plain picture, is refused.

OpenCV accepts a JPEG cut at any length and fills the rest with grey, which optical flow then
reads as motion; Pillow refuses it. Letters in array names: H rows, W columns.
"""

import concurrent.futures
import io
import pathlib
import threading
import warnings

import numpy as np
from PIL import Image, ImageOps

from input_pipeline.core import png_chunks
from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.core.files import IrregularFileError, OversizedFileError, read_whole

# The largest frame of the four databases has about 2.2 million pixels.
MOST_PIXELS = 1 << 24
_MOST_BYTES = 6 * MOST_PIXELS + (1 << 20)
READ_SECONDS = 30.0
_STRIPE = 64
_WANTED = "allowed are JPEG, PNG and BMP pictures; copy the frame again from the database"
_KIND_OF = {b"\xff\xd8\xff": "JPEG", png_chunks.SIGNATURE: "PNG", b"BM": "BMP"}
_JPEG_END = b"\xff\xd9"
# Of the first header that BMP files share today.
_BMP_HEADER_BYTES = 40


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
    kind = next((kind for mark, kind in _KIND_OF.items() if data.startswith(mark)), None)
    if kind is None:
        raise ClipFault(
            "frame_format",
            f"{path.name} is no picture, its first bytes are {data[:8]!r}; {_WANTED}.",
        )
    return _decoded(path.name, data, kind)


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
    outcome: concurrent.futures.Future[bytes] = concurrent.futures.Future()

    def read() -> None:
        try:
            outcome.set_result(read_whole(path, _MOST_BYTES))
        except (OSError, ValueError) as error:
            outcome.set_exception(error)

    threading.Thread(target=read, daemon=True).start()
    try:
        return outcome.result(timeout=seconds)
    except IrregularFileError:
        code, what = "frame_not_a_file", "is a folder, a pipe or a device"
    except OversizedFileError as error:
        code, what = "frame_too_large", f"is too large: {error}"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        code, what = "frame_unreadable", f"cannot be read ({reason})"
        if not outcome.done():
            code = "frame_timeout"
            what = f"was not read within {seconds:g} s; is its disk still there?"
    raise ClipFault(code, f"{path.name} {what}.")


def _decoded(name: str, data: bytes, kind: str) -> np.ndarray:
    _check_ends(name, data, kind)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if kind == "PNG":
                # Loading alone leaves check sums unread.
                with _opened(name, data, kind) as picture:
                    picture.verify()
            with _opened(name, data, kind) as picture:
                picture.load()
                return _plain(name, ImageOps.exif_transpose(picture) if kind == "JPEG" else picture)
    except ClipFault:
        raise
    except Image.DecompressionBombError:
        raise _too_large(name, "far more") from None
    # Pillow reports damage as OSError, SyntaxError, ValueError, struct.error or zlib.error.
    except Exception as error:
        raise _damaged(name, str(error)) from error


def _check_ends(name: str, data: bytes, kind: str) -> None:
    """What Pillow lets pass: headers that contradict each other, and a missing last mark."""
    if kind == "PNG" and png_chunks.headers(data) > 1:
        raise _damaged(name, "it has a second header")
    if kind == "JPEG" and _JPEG_END not in data:
        raise _damaged(name, "it is cut off before the end of the picture")
    if kind == "BMP" and 0 < int.from_bytes(data[14:18], "little") < _BMP_HEADER_BYTES:
        raise ClipFault("frame_format", f"{name} is a BMP of an unsupported, ancient kind.")


def _opened(name: str, data: bytes, kind: str) -> Image.Image:
    """The picture with its header read and its size checked, before any pixel is decoded."""
    picture = Image.open(io.BytesIO(data), formats=(kind,))
    width, height = picture.size
    if width * height > MOST_PIXELS:
        raise _too_large(name, f"{width}x{height}")
    # The size limit comes first: a picture may be refused for it however it ends.
    if kind == "PNG" and not data.endswith(png_chunks.END):
        raise _damaged(name, "it is cut off before its end chunk")
    return picture


def _too_large(name: str, size: str) -> ClipFault:
    return ClipFault("frame_too_large", f"{name} has {size} pixels; allowed are 2^24 in all.")


def _plain(name: str, picture: Image.Image) -> np.ndarray:
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
        return np.ascontiguousarray(rgba_HxWx4[..., 0 if picture.mode == "LA" else slice(3)])
    return np.array(picture.convert("RGB"), np.uint8)


def _damaged(name: str, what: str) -> ClipFault:
    return ClipFault("frame_damaged", f"{name} is damaged: {what}; copy it again.")
