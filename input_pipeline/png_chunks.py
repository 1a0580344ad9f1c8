"""The chunks of a PNG file, without unpacking anything."""

import struct

_SIGNATURE_BYTES = 8
# Length, name and check sum around a chunk's body.
_FRAME_BYTES = 12


def headers(data: bytes) -> int:
    """How many header chunks (IHDR) the file has; a decoder takes the last, not the checked first.

    Counts up to where the file is cut off; whether it is whole is for its reader to say.
    """
    count, at = 0, _SIGNATURE_BYTES
    while at + _FRAME_BYTES <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        count += name == b"IHDR"
        at += _FRAME_BYTES + length
    return count
