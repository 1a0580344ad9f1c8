"""Frames of own videos and folders: numbered, decoded once, refused with a reason.

Modules tried here: input_pipeline.own_clips.source.
"""

import os
import struct

import cv2
import numpy as np
import own_videos
import pretend_clips
import pytest

from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.own_clips import source


def code_of(path) -> str:
    with pytest.raises(ClipFault) as caught:
        source.opened(path)
    return caught.value.code


def test_a_folder_counts_by_the_numbers_of_its_names(tmp_path):
    for name in ("img10.bmp", "img9.BMP", "img2.bmp"):
        pretend_clips.write(tmp_path / name, pretend_clips.face())
    (tmp_path / ".hidden3.bmp").write_bytes(b"x")
    (tmp_path / "notes4.txt").write_text("x")
    folder = source.opened(tmp_path)
    assert folder.numbers == (2, 9, 10)
    assert folder.rate is None
    np.testing.assert_array_equal(folder.read(9), pretend_clips.face())


def test_names_without_numbers_of_their_own_count_from_0(tmp_path):
    for name in ("a1.bmp", "b1.bmp", "c.bmp"):
        pretend_clips.write(tmp_path / name, pretend_clips.face())
    assert source.opened(tmp_path).numbers == (0, 1, 2)


@pytest.mark.parametrize(("name", "codec"), [("clip.avi", "MJPG"), ("clip.mp4", "mp4v")])
def test_frames_in_any_order_are_those_of_reading_on(tmp_path, name, codec):
    path = own_videos.write_video(tmp_path / name, own_videos.frames(), 25, codec)
    capture, expected = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        expected.append(read[1][..., ::-1])
    video = source.opened(path)
    assert video.numbers == tuple(range(9))
    assert video.rate == 25
    for number in (7, 2, 8, 0, 2):
        np.testing.assert_array_equal(video.read(number), expected[number])
    # As written, but for the codec; red and blue swapped would be far off.
    written_HxWx3 = own_videos.frames()[0].astype(int)
    right, swapped = (
        np.abs(video.read(0)[..., order] - written_HxWx3).mean() for order in ([0, 1, 2], [2, 1, 0])
    )
    assert right < swapped / 3


def test_frames_behind_the_window_are_forgotten_and_read_again(tmp_path):
    video = source.opened(own_videos.write_video(tmp_path / "a.avi", own_videos.frames()))
    first = video.read(1).copy()
    video.begin(5)
    assert all(number >= 5 for number in video._kept)
    np.testing.assert_array_equal(video.read(1), first)


def test_a_video_larger_than_what_is_kept_is_decoded_again(tmp_path, monkeypatch):
    path = own_videos.write_video(tmp_path / "a.avi", own_videos.frames())
    expected = [source.opened(path).read(number) for number in range(9)]
    monkeypatch.setattr(source, "_MOST_KEPT_BYTES", 0)
    video = source.opened(path)
    for number in (4, 0, 8):
        np.testing.assert_array_equal(video.read(number), expected[number])
    assert not video._kept


def test_what_is_no_clip(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.mp4").write_text("no video")
    (tmp_path / "nothing.avi").write_bytes(b"")
    pretend_clips.write(tmp_path / "one.bmp", pretend_clips.face())
    assert code_of(tmp_path / "absent.mp4") == "no_such_clip"
    assert code_of(tmp_path / "pipe") == "no_such_clip"
    assert code_of(tmp_path / "empty") == "no_frames"
    assert code_of(tmp_path / "words.mp4") == "video_unreadable"
    assert code_of(tmp_path / "nothing.avi") == "video_unreadable"
    assert code_of(tmp_path / "one.bmp") == "too_short"


def test_a_video_cut_off_says_where(tmp_path):
    path = own_videos.write_video(tmp_path / "a.avi", own_videos.frames())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert code_of(path) == "video_unreadable"


def test_what_a_container_guesses_is_counted(tmp_path, monkeypatch):
    path = own_videos.write_video(tmp_path / "a.avi", own_videos.frames())
    renamed = path.rename(tmp_path / "a.mkv")
    monkeypatch.setattr(cv2, "CAP_PROP_FRAME_COUNT", cv2.CAP_PROP_FRAME_WIDTH)
    # It says 640 and has 9.
    assert code_of(renamed) == "video_unreadable"
    monkeypatch.setattr(cv2, "CAP_PROP_FRAME_COUNT", cv2.CAP_PROP_SAR_NUM)
    assert len(source.opened(renamed).numbers) == 9


# Of the track header, in 16.16 fixed point: a phone turned to the right, to the left, on its head.
ONE, W = 1 << 16, 1 << 30
TURNS = {
    1: (0, ONE, 0, -ONE, 0, 0, 0, 0, W),
    3: (0, -ONE, 0, ONE, 0, 0, 0, 0, W),
    2: (-ONE, 0, 0, 0, -ONE, 0, 0, 0, W),
}


@pytest.mark.parametrize("turns", TURNS)
def test_a_phone_s_video_is_turned_upright(tmp_path, turns):
    lying = [np.rot90(frame, turns) for frame in own_videos.frames()]
    path = own_videos.write_video(tmp_path / "phone.mp4", lying, 30, "mp4v")
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44
    data[place : place + 36] = struct.pack(">9i", *TURNS[turns])
    path.write_bytes(data)
    upright_HxWx3 = own_videos.frames()[0]
    found_HxWx3 = source.opened(path).read(0)
    assert found_HxWx3.shape == upright_HxWx3.shape
    assert np.abs(found_HxWx3.astype(int) - upright_HxWx3).mean() < 8


def test_what_is_odd_about_a_folder_is_noted(tmp_path):
    for number in (1, 2, 5):
        pretend_clips.write(tmp_path / f"img{number}.bmp", pretend_clips.face())
    (note,) = source.opened(tmp_path).notes
    assert "2 frames are missing" in note
    pretend_clips.write(tmp_path / "img1.png.bmp", pretend_clips.face())
    (tmp_path / "img01.bmp").write_bytes((tmp_path / "img1.bmp").read_bytes())
    (note,) = source.opened(tmp_path).notes
    assert "counted from 0" in note
