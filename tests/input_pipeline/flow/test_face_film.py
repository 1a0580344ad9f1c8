"""The eight frames of a clip: which ones, in which crop, and what the cache keeps."""

import dataclasses

import numpy as np
import pytest
from pretend_clips import clip, face, smiling

from input_pipeline.faces import detection
from input_pipeline.flow import face_film, workers
from input_pipeline.flow.cache import MapCache
from input_pipeline.flow.clip_maps import MapSettings, make_maps

FAST = MapSettings(flow="farneback")


@pytest.mark.parametrize(
    ("onset", "offset", "expected"),
    [
        (10, 20, [10, 12, 14, 16, 18, 20]),
        (1, 4, [1, 2, 2, 3, 3, 4]),
        (7, 7, [7] * 6),
        # Reversed: the onset alone.
        (9, 3, [9] * 6),
        # Never farther than 50 frames from the onset.
        (100, 400, [100, 110, 120, 130, 140, 150]),
        (0, 50, [0, 10, 20, 30, 40, 50]),
        # Halves go to the even number, as Python rounds.
        (0, 5, [0, 1, 2, 3, 4, 5]),
        (0, 9, [0, 2, 4, 5, 7, 9]),
    ],
)
def test_uniform_numbers_by_hand(onset, offset, expected):
    assert face_film.uniform_numbers(onset, offset) == expected


@pytest.fixture
def smile(tmp_path):
    """Frames 1 to 9 without 4 and 8, the corners of the mouth pulled most in frame 5."""
    shown = {1: 0.0, 2: 0.6, 3: 1.0, 5: 2.5, 6: 2.0, 7: 1.0, 9: 0.5}
    return clip(tmp_path, {n: smiling(s) if s else face() for n, s in shown.items()})


def chosen_with(record, onset: int, apex: int):
    maps = make_maps(record, FAST)
    quality = maps.quality._replace(onset_frame=onset, apex_frame=apex)
    return face_film.chosen(record, dataclasses.replace(maps, quality=quality))


def test_missing_and_repeated_frames_are_counted(smile):
    # Wanted are 1, 3, 4, 6, 7, 9; the fourth frame is missing, its lower neighbour stands in.
    taken, stored, rules = chosen_with(smile, 1, 5)
    assert taken == [1, 3, 3, 6, 7, 9, 1, 5]
    assert stored == [1, 3, -1, 6, 7, 9, 1, 5]
    assert rules == ("frames_replaced", "frames_repeated")
    # Short: 1, 1, 2, 2, 3, 3 rounded; onset and apex are stored as they are.
    short = dataclasses.replace(smile, offset=3)
    taken, stored, rules = chosen_with(short, 1, 3)
    assert taken == [1, 1, 2, 2, 3, 3, 1, 3]
    assert stored == [1, -1, 2, -1, 3, -1, 1, 3]
    assert rules == ("frames_repeated",)
    # An apex outside onset..offset is still shown.
    outside, _, _ = chosen_with(short, 1, 9)
    assert outside[-1] == 9


def test_all_frames_share_the_onset_s_transform(smile):
    maps = make_maps(smile, FAST)
    film = face_film.make(smile, maps)
    assert film.frames_FxSxSx3.shape == (8, 224, 224, 3)
    assert film.frames_FxSxSx3.dtype == np.uint8
    assert film.numbers_F.tolist() == [1, 3, -1, 6, 7, 9, 1, 5]
    found = detection.find_face(face())
    for place, picture in ((0, face()), (5, smiling(0.5)), (6, face()), (7, smiling(2.5))):
        np.testing.assert_array_equal(film.frames_FxSxSx3[place], detection.crop(picture, found))
    # A repeated frame is the same picture.
    np.testing.assert_array_equal(film.frames_FxSxSx3[1], film.frames_FxSxSx3[2])


def test_frames_are_kept_beside_the_maps_and_made_once(smile, tmp_path, monkeypatch):
    cache = MapCache(tmp_path / "cache", FAST)
    assert workers.process(smile, FAST, cache).quality.rules == ()
    assert cache.load_film(smile) is None
    with_faces = workers.process(smile, FAST, cache, faces=True)
    assert with_faces.quality.rules == ("frames_replaced", "frames_repeated")
    expected = face_film.make(smile, make_maps(smile, FAST))
    kept = cache.load_film(smile)
    np.testing.assert_array_equal(kept.frames_FxSxSx3, expected.frames_FxSxSx3)
    np.testing.assert_array_equal(kept.numbers_F, expected.numbers_F)
    monkeypatch.setattr(face_film, "make", None)
    assert workers.process(smile, FAST, cache, faces=True) == with_faces
