"""The chunks of a PNG file, and whether its pixels are all there."""

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
# Length, name and check sum around a chunk's body.
_FRAME_BYTES = 12
# Adam7's passes: first column and row, and steps.
_INTERLACED = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)


def headers(data: bytes) -> int:
    """How many header chunks (IHDR) the file has; a decoder takes the last, not the checked first.

    Counts up to where the file is cut off; whether it is whole is for its reader to say.
    """
    return sum(name == b"IHDR" for name, _ in _chunks(data))


def has_all_pixels(data: bytes) -> bool:
    """Whether an RGB picture of 8 bits unpacks to its size; a decoder fills in what is missing."""
    width, height = struct.unpack(">II", data[16:24])
    passes = _INTERLACED if data[28] else ((0, 0, 1, 1),)
    expected = 0
    for left, top, right_step, down_step in passes:
        columns, rows = -(-(width - left) // right_step), -(-(height - top) // down_step)
        # Each row begins with the number of its filter.
        expected += rows * (1 + 3 * columns) if columns > 0 and rows > 0 else 0
    packed = b"".join(body for name, body in _chunks(data) if name == b"IDAT")
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(packed, expected + 1)
    except zlib.error:
        return False
    return len(found) == expected


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at + _FRAME_BYTES <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        yield name, data[at + 8 : at + 8 + length]
        at += _FRAME_BYTES + length
