"""One published map: every picture that is not a whole 28x28 RGB PNG is refused.

Modules tried here without being imported:
input_pipeline.core.png_chunks.
"""

import io
import struct
import zlib

import numpy as np
import pretend_maps
import pytest
from command_runner import assert_mistake, run_command
from PIL import Image

from input_pipeline.core.errors import InputError
from input_pipeline.maps import picture


def chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


def huge_png() -> bytes:
    """20,000 x 20,000 pixels declared and delivered in some 40 KB."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0))
    packer = zlib.compressobj()
    body = b"".join(packer.compress(bytes(60_001)) for _ in range(20)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def picture_of_mode(mode: str) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (28, 28)).save(buffer, "PNG")
    return buffer.getvalue()


def second_header(data: bytes, width: int, place: bytes) -> bytes:
    """The picture with a header of another width before one of its chunks."""
    at = data.index(place) - 4
    body = struct.pack(">IIBBBBB", width, width, 8, 2, 0, 0, 0)
    return data[:at] + chunk(b"IHDR", body) + data[at:]


MAP = pretend_maps.png(pretend_maps.values(0))


@pytest.mark.parametrize("width", [27, 28, 20_000])
@pytest.mark.parametrize("place", [b"IDAT", b"IEND"])
def test_a_second_header_is_refused(width, place):
    with pytest.raises(InputError, match="has a second header"):
        picture.decode(second_header(MAP, width, place))


def with_rows(count: int) -> bytes:
    """A map's header with the pixels of so many rows, all check sums right."""
    row = b"\0" + bytes(range(84))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 28, 28, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(row * count))
    return b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b"")


def test_rows_that_are_missing_or_too_many_are_refused():
    assert picture.decode(with_rows(28)).shape == (28, 28, 3)
    for count in (0, 20, 27, 29):
        with pytest.raises(InputError, match="hold other than 28 rows"):
            picture.decode(with_rows(count))


def test_an_interlaced_map_is_read(tmp_path):
    # Adam7's seven passes of 28x28 pixels, by hand: 4x4, 3x4, 7x3, 7x7, 14x7, 14x14 and 28x14.
    sizes = ((4, 4), (3, 4), (7, 3), (7, 7), (14, 7), (14, 14), (28, 14))
    packed = b"".join((b"\0" + bytes(3 * columns)) * rows for columns, rows in sizes)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 28, 28, 8, 2, 0, 0, 1))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(packed))
    assert not picture.decode(data + chunk(b"IEND", b"")).any()


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "empty file"),
        (b"<html><body>404</body></html>", "no PNG"),
        (b"\xff\xd8\xff\xe0 a JPEG by its first bytes", "no PNG"),
        (pretend_maps.png(pretend_maps.values(0))[:20], "header"),
        (pretend_maps.png(np.zeros((28, 29, 3), np.uint8)), "29x28"),
        (pretend_maps.png(np.zeros((1, 1, 3), np.uint8)), "1x1"),
        (huge_png(), "20000x20000"),
        (picture_of_mode("L"), "grey"),
        (picture_of_mode("P"), "palette"),
        (picture_of_mode("RGBA"), "alpha"),
        (picture_of_mode("I;16"), "16 bits"),
        (bytes(2 << 20), "bytes"),
        (second_header(MAP, 27, b"IDAT"), "second header"),
    ],
)
def test_other_pictures_are_refused(tmp_path, data, part):
    source = pretend_maps.write_table(tmp_path / "source")
    (source / "maps" / "sub01_EP02_01f.png").write_bytes(data)
    finished = run_command(
        "input_pipeline.import_maps",
        f"--source={source}",
        "--dataset=megc2019",
        f"--data_dir={tmp_path}",
    )
    assert_mistake(finished, "row 2", "sub01_EP02_01f.png", part, "28x28 RGB PNG")
    assert not (tmp_path / "megc2019").exists()


def test_every_cut_and_every_flipped_bit_of_a_picture_is_refused():
    smooth = np.zeros((28, 28, 3), np.uint8)
    smooth[5:9, 3:20] = (200, 100, 50)
    data = pretend_maps.png(smooth)
    np.testing.assert_array_equal(picture.decode(data), smooth)
    for length in range(len(data)):
        with pytest.raises(InputError):
            picture.decode(data[:length])
    for position in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(InputError):
            picture.decode(bytes(flipped))
