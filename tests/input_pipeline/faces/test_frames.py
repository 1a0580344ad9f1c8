"""Strict reading of frames: whole pictures by stated rules, everything else by reason code."""

import os
import struct
import threading
import tracemalloc
import zlib

import cv2
import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from PIL import Image
from pretend_clips import encoded, face

from input_pipeline.core.clip_faults import REASONS, ClipFault
from input_pipeline.faces import frames

SMALL = face()[150:214, 240:320]
JPEG = encoded(SMALL, "JPEG", quality=95)
PROGRESSIVE = encoded(SMALL, "JPEG", progressive=True)
PNG = encoded(SMALL)
BMP = encoded(SMALL, "BMP")


def read(tmp_path, data: bytes, name: str = "img1.jpg") -> np.ndarray:
    path = tmp_path / name
    path.write_bytes(data)
    return frames.read_frame(path)


def code_of(path, **options) -> str:
    with pytest.raises(ClipFault) as caught:
        frames.read_frame(path, **options)
    fault = caught.value
    assert fault.code in REASONS
    assert path.name in fault.detail
    assert str(path.parent) not in fault.detail
    assert "\n" not in str(fault)
    return fault.code


def refused(tmp_path, data: bytes) -> str:
    path = tmp_path / "img1.jpg"
    path.write_bytes(data)
    return code_of(path)


@pytest.mark.parametrize("data", [PNG, BMP])
def test_lossless_frames_keep_every_pixel(tmp_path, data):
    # The name's ending is no business of the reader.
    found = read(tmp_path, data)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, SMALL)


@pytest.mark.parametrize("data", [JPEG, PROGRESSIVE, encoded(SMALL, "JPEG", restart_marker_rows=1)])
def test_whole_jpegs_are_read(tmp_path, data):
    found = read(tmp_path, data)
    assert found.shape == SMALL.shape
    assert np.abs(found.astype(int) - SMALL).mean() < 6


@pytest.mark.parametrize("share", [0.001, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1])
def test_cut_jpegs_are_refused_although_opencv_takes_them(tmp_path, share):
    data = encoded(face(), "JPEG", quality=90)
    # At the last length only the end marker is lost.
    cut = data[: min(int(share * len(data)), len(data) - 2)]
    assert refused(tmp_path, cut) == "frame_damaged"
    if share >= 0.1:
        assert cv2.imread(str(tmp_path / "img1.jpg")).shape == face().shape


@pytest.mark.parametrize("whole", [JPEG, PROGRESSIVE, PNG, BMP])
@hypothesis.given(data=strategies.data())
@hypothesis.settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
def test_a_file_cut_anywhere_is_refused(tmp_path, whole, data):
    length = data.draw(strategies.integers(1, len(whole) - 1))
    assert refused(tmp_path, whole[:length]) in ("frame_damaged", "frame_format")
    # An interrupted copy may have the right size.
    filled = whole[:length] + bytes(len(whole) - length)
    if whole is not BMP and filled != whole:
        assert refused(tmp_path, filled) in ("frame_damaged", "frame_format")


def test_every_flipped_bit_of_a_png_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    for _ in range(60):
        data = bytearray(PNG)
        # Behind the signature, whose loss makes it another format.
        data[rng.integers(8, len(data))] ^= 1 << rng.integers(8)
        assert refused(tmp_path, bytes(data)).startswith("frame_")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "frame_empty"),
        (b"<!DOCTYPE html><html>Sign in</html>", "frame_format"),
        (b"GIF89a" + bytes(50), "frame_format"),
        (b"\xff\xd8\xff\xd9", "frame_damaged"),
        (b"\xff\xd8\xff\xe0" + bytes(20), "frame_damaged"),
        (b"BM" + bytes(10), "frame_damaged"),
        (b"BM" + struct.pack("<IHHIIHH", 26, 0, 0, 26, 12, 1, 1) + bytes(8), "frame_format"),
        (PNG[:16] + bytes(8) + PNG[24:], "frame_damaged"),
        (PNG[:25] + b"\x05" + PNG[26:], "frame_damaged"),
        (bytes(100), "frame_format"),
    ],
)
def test_what_is_no_picture(tmp_path, data, code):
    assert refused(tmp_path, data) == code


def test_missing_folder_pipe_and_circular_link(tmp_path):
    assert code_of(tmp_path / "img1.jpg") == "frame_unreadable"
    folder = tmp_path / "img2.jpg"
    folder.mkdir()
    assert code_of(folder) == "frame_not_a_file"
    pipe = tmp_path / "img3.jpg"
    os.mkfifo(pipe)
    assert code_of(pipe) == "frame_not_a_file"
    link = tmp_path / "img4.jpg"
    link.symlink_to(link)
    assert code_of(link) == "frame_unreadable"
    assert code_of(tmp_path / "img\0.jpg") == "frame_unreadable"


def test_a_hung_disk_is_given_up(tmp_path, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(frames, "read_whole", lambda path, most: released.wait(60) and b"")
    assert code_of(tmp_path / "img1.jpg", seconds=0.1) == "frame_timeout"
    released.set()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_a_huge_picture_in_a_small_file_is_refused_from_its_header(tmp_path):
    rows = zlib.compress(bytes(20_000 * 2501), 9)
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    data = PNG[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    assert len(data) < 50_000
    path = tmp_path / "img1.png"
    path.write_bytes(data)
    tracemalloc.start()
    assert code_of(path) == "frame_too_large"
    assert tracemalloc.get_traced_memory()[1] < 4 * len(data)
    tracemalloc.stop()


@pytest.mark.parametrize("width", [63, 80, 20_000])
@pytest.mark.parametrize("place", [b"IDAT", b"IEND"])
def test_a_png_with_a_second_header_is_damaged(tmp_path, width, place):
    at = PNG.index(place) - 4
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, width, 8, 2, 0, 0, 0))
    tracemalloc.start()
    assert refused(tmp_path, PNG[:at] + header + PNG[at:]) == "frame_damaged"
    assert tracemalloc.get_traced_memory()[1] < 50 * len(PNG)
    tracemalloc.stop()


def test_the_cap_is_2_to_the_24_for_every_format(tmp_path):
    at = JPEG.index(b"\xff\xc0") + 5
    assert refused(tmp_path, JPEG[:at] + b"\xff\xff\xff\xff" + JPEG[at + 4 :]) == "frame_too_large"
    large = struct.pack("<ii", 5000, -5000)
    assert refused(tmp_path, BMP[:18] + large + BMP[26:]) == "frame_too_large"
    just = np.zeros((4096, 4096), np.uint8)
    assert read(tmp_path, encoded(just)).shape == (4096, 4096)


def test_an_oversized_file_is_not_read(tmp_path):
    path = tmp_path / "img1.bmp"
    with path.open("wb") as stream:
        stream.truncate(200_000_000)
    assert code_of(path) == "frame_too_large"


def test_grey_stays_grey_and_16_bits_keep_their_high_byte(tmp_path):
    grey = SMALL[..., 0]
    np.testing.assert_array_equal(read(tmp_path, encoded(grey)), grey)
    assert read(tmp_path, encoded(grey, "JPEG")).shape == grey.shape
    deep = np.arange(80 * 64, dtype=np.uint16).reshape(64, 80) * 12
    found = read(tmp_path, encoded(deep))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, deep // 256)
    deep_rgb = np.stack([deep, deep + 300, 65535 - deep], axis=-1)
    data = cv2.imencode(".png", deep_rgb[..., ::-1])[1].tobytes()
    np.testing.assert_array_equal(read(tmp_path, data), deep_rgb // 256)


def test_palette_and_opaque_alpha_become_plain(tmp_path):
    palette = Image.fromarray(SMALL).quantize(16)
    palette.save(tmp_path / "palette.png")
    found = frames.read_frame(tmp_path / "palette.png")
    np.testing.assert_array_equal(found, np.asarray(palette.convert("RGB")))
    opaque = np.dstack([SMALL, np.full(SMALL.shape[:2], 255, np.uint8)])
    np.testing.assert_array_equal(read(tmp_path, encoded(opaque)), SMALL)
    grey_opaque = np.ascontiguousarray(opaque[..., [0, 3]])
    np.testing.assert_array_equal(read(tmp_path, encoded(grey_opaque)), SMALL[..., 0])


def test_transparency_and_cmyk_are_refused(tmp_path):
    alpha = np.dstack([SMALL, np.full(SMALL.shape[:2], 255, np.uint8)])
    alpha[3, 4, 3] = 254
    assert refused(tmp_path, encoded(alpha)) == "frame_colour"
    Image.fromarray(SMALL).convert("CMYK").save(tmp_path / "cmyk.jpg")
    assert code_of(tmp_path / "cmyk.jpg") == "frame_colour"


def test_the_camera_s_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = read(tmp_path, encoded(np.ascontiguousarray(np.rot90(SMALL)), "JPEG", exif=exif))
    assert turned.shape == SMALL.shape
    assert np.abs(turned.astype(int) - SMALL).mean() < 8


def test_grey_values_are_those_of_bt_601():
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 256, (150, 40, 3), np.uint8)
    exact = rgb @ np.array([0.299, 0.587, 0.114])
    assert np.abs(frames.grey(rgb) - exact).max() <= 0.51
    np.testing.assert_array_equal(frames.grey(np.full((9, 9, 3), 255, np.uint8)), 255)
    np.testing.assert_array_equal(frames.grey(rgb[..., 0]), rgb[..., 0])


def test_an_unlisted_reason_cannot_be_raised():
    with pytest.raises(ValueError, match="unknown reason code 'odd'"):
        ClipFault("odd", "x.")
