"""Windows of own clips become the maps of a build, their apex spotted where it is not given.

Modules tried here: input_pipeline.own_clips.spotting, input_pipeline.own_clips.to_maps.
"""

import dataclasses

import numpy as np
import own_videos
import pretend_clips
import pytest
from scipy import ndimage

from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.core.clips import CLASS_NAMES
from input_pipeline.core.map_form import FORMS
from input_pipeline.flow import face_film, second_phase
from input_pipeline.flow.clip_maps import MapSettings, make_maps
from input_pipeline.maps import from_frames, layouts, sample
from input_pipeline.maps.sample import to_clips
from input_pipeline.own_clips import source, spotting, to_maps
from input_pipeline.own_clips.windows import Asked, of_clip

SETTINGS = MapSettings(flow="farneback")


def window_of(clip, **marks):
    (window,) = of_clip(clip.numbers, clip.rate, Asked(**marks))
    return window


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return own_videos.write_folder(tmp_path_factory.mktemp("own") / "clip", own_videos.frames(), 1)


def test_the_apex_is_spotted(folder):
    clip = source.opened(folder)
    told = []
    found = spotting.spot(clip, window_of(clip), lambda: told.append(1))
    assert found.apex == 6
    assert len(told) == len(found.numbers_F) == 8
    # It rises to the apex and falls behind it.
    assert (np.diff(found.flow_px_F[:5]) > 0).all()
    assert (np.diff(found.flow_px_F[5:]) < 0).all()


def test_a_drifting_head_does_not_make_the_last_frame_the_apex(tmp_path):
    """Each frame stands half a pixel farther to the right and lower than the one before."""
    shown = [
        ndimage.shift(frame, (place / 2, place / 2, 0), order=1, mode="nearest")
        for place, frame in enumerate(own_videos.frames())
    ]
    clip = source.opened(own_videos.write_folder(tmp_path / "drift", shown))
    assert spotting.spot(clip, window_of(clip)).apex == 5


def test_a_clip_without_motion_is_refused(tmp_path):
    still = own_videos.write_folder(tmp_path / "still", [pretend_clips.face()] * 4)
    clip = source.opened(still)
    for marks in ({}, {"onset": 0, "apex": 2}):
        with pytest.raises(ClipFault) as caught:
            to_maps.made(clip, window_of(clip, **marks), SETTINGS, "five", CLASS_NAMES)
        assert caught.value.code == "no_motion"


@pytest.mark.parametrize("layout", ["five", "whole_symmetric_phases2_36"])
def test_maps_are_those_of_a_build(folder, tmp_path, layout):
    clip = source.opened(folder)
    window = window_of(clip, onset=1, apex=6, offset=9)
    made = to_maps.made(clip, window, SETTINGS, layout, CLASS_NAMES)
    shown = dict(enumerate(own_videos.frames(), start=1))
    record = pretend_clips.clip(tmp_path / "built", shown, marks=(1, 6, 9))
    maps = make_maps(record, SETTINGS)
    form = FORMS[layout]
    if form.phases == 2:
        maps = from_frames.with_second(maps, second_phase.make(record, SETTINGS, maps))
    built = to_clips(
        [from_frames.sample_of(record, maps, form)],
        where="here",
        dataset="casme2",
        layout=layout,
        provenance={},
    )
    np.testing.assert_array_equal(made.clips.flow_NxHxWxC, built.flow_NxHxWxC)
    np.testing.assert_array_equal(made.clips.flow_whole_NxHxWxC, built.flow_whole_NxHxWxC)
    assert made.spotted is None
    assert made.clips.flow_NxHxWxC.shape[1:] == form.shape


def test_frames_are_those_of_a_build(folder, tmp_path):
    clip = source.opened(folder)
    window = window_of(clip, onset=1, apex=6, offset=9)
    made = to_maps.made(clip, window, SETTINGS, "rgb224", CLASS_NAMES)
    shown = dict(enumerate(own_videos.frames(), start=1))
    record = pretend_clips.clip(tmp_path / "built", shown, marks=(1, 6, 9))
    film = face_film.make(record, make_maps(record, SETTINGS))
    np.testing.assert_array_equal(made.clips.faces["frames"][0], film.frames_FxSxSx3)


def test_a_spotted_window_is_the_window_of_its_apex(folder):
    clip = source.opened(folder)
    spotted = to_maps.made(clip, window_of(clip), SETTINGS, "five", CLASS_NAMES)
    given = to_maps.made(clip, window_of(clip, apex=6), SETTINGS, "five", CLASS_NAMES)
    assert spotted.maps.quality == dataclasses.replace(given.maps).quality
    np.testing.assert_array_equal(spotted.clips.flow_NxHxWxC, given.clips.flow_NxHxWxC)


def test_regions_follow_the_landmarks(folder):
    clip = source.opened(folder)
    made = to_maps.made(clip, window_of(clip, apex=6), SETTINGS, "five", CLASS_NAMES)
    one = from_frames.sample_of(
        to_maps._record(window_of(clip, apex=6), 6), made.maps, FORMS["five"]
    )
    composed = layouts.compose("five", one.map_HxWxC, made.maps.landmarks_5x2)
    assert isinstance(one, sample.MapSample)
    np.testing.assert_array_equal(made.clips.flow_NxHxWxC[0], composed)


def test_frames_without_a_face_are_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (2, 240, 320, 3), np.uint8)
    clip = source.opened(own_videos.write_folder(tmp_path / "noise", noise))
    with pytest.raises(ClipFault) as caught:
        to_maps.made(clip, window_of(clip), SETTINGS, "five", CLASS_NAMES)
    assert caught.value.code == "no_face"
