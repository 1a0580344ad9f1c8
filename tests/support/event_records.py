"""Reads event files byte by byte: lengths and checksums by hand, the content by its protobuf class.

A record is its length (8 bytes), the length's checksum (4), the data and the data's checksum (4);
little-endian. A checksum is a CRC-32C, turned right by 15 bits, plus a constant.
"""

import pathlib
import struct
from collections import defaultdict
from typing import Any

from tensorboardX.proto import event_pb2


def _checksum(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def events(path: pathlib.Path) -> list[Any]:
    """All events of a file that is whole."""
    data, found = path.read_bytes(), []
    while data:
        length, of_length = struct.unpack("<QI", data[:12])
        content, (of_content,) = data[12 : 12 + length], struct.unpack_from("<I", data, 12 + length)
        assert of_length == _checksum(data[:8])
        # Of a picture it would take long.
        assert length > 10_000 or of_content == _checksum(content)
        found.append(event_pb2.Event.FromString(content))
        data = data[16 + length :]
    return found


def scalars(path: pathlib.Path) -> dict[str, list[tuple[int, float]]]:
    """Steps and values of each curve, in the order in which they were written."""
    found = defaultdict(list)
    for event in events(path):
        for value in event.summary.value:
            if value.WhichOneof("value") == "simple_value":
                found[value.tag].append((event.step, value.simple_value))
    return dict(found)


def pictures(path: pathlib.Path) -> dict[str, tuple[int, bytes]]:
    """Step and bytes of each picture."""
    return {
        value.tag: (event.step, value.image.encoded_image_string)
        for event in events(path)
        for value in event.summary.value
        if value.WhichOneof("value") == "image"
    }


def files(workdir: pathlib.Path) -> list[pathlib.Path]:
    """The event files with curves of a run, oldest first."""
    found = [path for path in (workdir / "tensorboard").iterdir() if path.suffix != ".pictures"]
    return sorted(found, key=lambda path: path.stat().st_mtime_ns)
