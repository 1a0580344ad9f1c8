"""From apex to offset: the flow, its cache, and clips without a way back."""

import dataclasses
import os

import numpy as np
import pytest
from pretend_clips import clip, face, smiling

from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.core.errors import InputError
from input_pipeline.faces import detection
from input_pipeline.faces.frames import grey
from input_pipeline.flow import kept_flow, optical, second_phase, strain, workers
from input_pipeline.flow.cache import MapCache
from input_pipeline.flow.clip_maps import MapSettings, make_maps

FAST = MapSettings(flow="farneback")


@pytest.fixture
def smile(tmp_path):
    """Frames 1 to 9, the corners of the mouth pulled most in frame 5."""
    return clip(tmp_path, {1: face(), 5: smiling(2.5), 9: smiling(0.5)})


def test_the_second_phase_is_the_flow_from_apex_to_offset(smile):
    first = make_maps(smile, FAST)
    found = second_phase.make(smile, FAST, first)
    placed = detection.find_face(face())
    apex, offset = (detection.crop(grey(frame), placed) for frame in (smiling(2.5), smiling(0.5)))
    expected = optical.optical_flow(apex, offset, "farneback")
    np.testing.assert_array_equal(found.flow_SxSxC[..., :2], expected)
    expected_strain = strain.optical_strain(expected[..., 0], expected[..., 1])
    np.testing.assert_allclose(found.flow_SxSxC[..., 2], expected_strain, rtol=1e-6)
    assert (found.offset_frame, found.rules) == (9, ())
    # Where the mouth moved much, it goes back.
    much = np.abs(first.flow_SxSxC[..., 0]) > 0.7 * np.abs(first.flow_SxSxC[..., 0]).max()
    there, back = first.flow_SxSxC[much, 0], found.flow_SxSxC[much, 0]
    assert (np.sign(there) == -np.sign(back)).mean() > 0.95


def test_an_offset_that_is_the_apex_or_shows_it_is_still(tmp_path, smile):
    same = dataclasses.replace(smile, offset=5)
    found = second_phase.make(same, FAST, make_maps(same, FAST))
    assert not found.flow_SxSxC.any()
    assert found.rules == ("second_phase_still",)
    (tmp_path / "again").mkdir()
    shown = clip(tmp_path / "again", {1: face(), 5: smiling(2.5), 9: smiling(2.5)})
    assert second_phase.make(shown, FAST, make_maps(shown, FAST)).rules == ("second_phase_still",)


def test_a_missing_offset_is_taken_from_beside_or_the_clip_is_bad(smile):
    near = dataclasses.replace(smile, offset=10)
    found = second_phase.make(near, FAST, make_maps(near, FAST))
    assert (found.offset_frame, found.rules) == (9, ("nearest_frame_offset",))
    assert second_phase.check(near) == ("nearest_frame_offset",)
    far = dataclasses.replace(smile, offset=13)
    with pytest.raises(ClipFault, match="offset frame 13"):
        second_phase.make(far, FAST, make_maps(far, FAST))
    with pytest.raises(ClipFault, match="offset frame 13"):
        second_phase.check(far)


def test_a_worker_keeps_both_phases_apart(smile, tmp_path):
    cache = MapCache(tmp_path / "cache", FAST)
    one = workers.process(smile, FAST, cache)
    assert len(os.listdir(tmp_path / "cache")) == 1
    kept = (tmp_path / "cache" / os.listdir(tmp_path / "cache")[0]).stat().st_mtime_ns
    two = workers.process(smile, FAST, cache, phases=2)
    assert one.quality == two.quality
    files = [tmp_path / "cache" / name for name in os.listdir(tmp_path / "cache")]
    # What was there stays as it is, and the new flow lies beside it.
    assert sorted(path.stat().st_mtime_ns for path in files)[0] == kept
    assert len(files) == 2
    second = cache.load_second(smile)
    expected = second_phase.make(smile, FAST, make_maps(smile, FAST))
    np.testing.assert_array_equal(second.flow_SxSxC, expected.flow_SxSxC)
    assert second[1:] == expected[1:]
    # A second time nothing is computed.
    before = [path.stat().st_mtime_ns for path in files]
    workers.process(smile, FAST, cache, phases=2)
    assert [path.stat().st_mtime_ns for path in files] == before
    # A damaged file is made anew.
    largest = min(files, key=lambda path: path.stat().st_size)
    largest.write_bytes(b"no archive")
    assert workers.process(smile, FAST, cache, phases=2).quality is not None
    assert cache.load_second(smile) is not None


def test_readers_of_the_first_phase_do_not_meet_the_second(smile, tmp_path):
    cache = MapCache(tmp_path / "cache", FAST)
    workers.process(smile, FAST, cache, phases=2)
    names = {path: kept_flow.marks_in(path) for path in (tmp_path / "cache").iterdir()}
    assert sum("apex to offset" in marks for marks in names.values()) == 1


def test_offsets_that_serve_as_apex_are_refused(smile):
    smic = dataclasses.replace(smile, database="smic", apex=None)
    with pytest.raises(InputError, match=r"--smic_apex=middle or spot"):
        second_phase.refuse_offsets_as_apex((smile, smic), "offset")
    second_phase.refuse_offsets_as_apex((smile, smic), "middle")
    second_phase.refuse_offsets_as_apex((smile,), "offset")
