"""From a clip's files to its map: content, rules, reason codes, and the same bytes everywhere."""

import dataclasses
import hashlib
import multiprocessing
import pickle

import numpy as np
import pytest
from command_runner import assert_mistake, run_command
from pretend_clips import clip, encoded, face, smiling

from input_pipeline import benchmark
from input_pipeline.core.clip_faults import REASONS, RULES, ClipFault
from input_pipeline.faces import detection
from input_pipeline.faces.frames import grey
from input_pipeline.flow import normalisations, optical, strain
from input_pipeline.flow.clip_maps import MapSettings, make_maps
from input_pipeline.maps import layouts

# Farnebäck's flow takes a tenth of the time; what is tested here does not depend on the method.
FAST = MapSettings(flow="farneback")


@pytest.fixture
def smile(tmp_path):
    """Frames 1 to 9, the corners of the mouth pulled most in frame 5."""
    return clip(tmp_path, {1: face(), 3: smiling(1.0), 5: smiling(2.5), 9: smiling(0.5)})


def fault_of(record, settings=FAST) -> ClipFault:
    with pytest.raises(ClipFault) as caught:
        make_maps(record, settings)
    assert caught.value.code in REASONS
    assert "\n" not in str(caught.value)
    if record.frames:
        assert str(record.frames[0][1].parent) not in str(caught.value)
    return caught.value


def test_the_map_is_flow_and_strain_of_the_aligned_face(smile):
    maps = make_maps(smile, MapSettings())
    found = detection.find_face(face())
    onset, apex = detection.crop(grey(face()), found), detection.crop(grey(smiling(2.5)), found)
    np.testing.assert_array_equal(maps.onset_SxS, onset)
    np.testing.assert_array_equal(maps.apex_SxS, apex)
    expected = optical.optical_flow(onset, apex)
    assert maps.flow_SxSxC.shape == (224, 224, 3)
    assert maps.flow_SxSxC.dtype == np.float32
    np.testing.assert_array_equal(maps.flow_SxSxC[..., :2], expected)
    np.testing.assert_allclose(
        maps.flow_SxSxC[..., 2],
        strain.optical_strain(expected[..., 0], expected[..., 1]),
        rtol=1e-6,
    )
    assert maps.landmarks_5x2.shape == (5, 2)
    assert maps.landmarks_68x2.shape == (68, 2)
    quality = maps.quality
    assert quality.rules == ()
    assert (quality.onset_frame, quality.apex_frame) == (1, 5)
    assert quality.detector_score == found.score
    assert 2.0 < quality.flow_max_px < 3.0
    assert quality.strain_mean == pytest.approx(maps.flow_SxSxC[..., 2].mean(), rel=1e-4)
    assert set(maps.seconds) == {"reading", "detector", "landmarks", "flow", "regions"}


def test_the_corners_of_the_mouth_go_up_and_apart_at_their_landmarks(smile):
    maps = make_maps(smile, FAST)
    for name, sign in (("lip_left", -1), ("lip_right", 1)):
        x, y = np.rint(maps.landmarks_5x2[layouts.LANDMARKS.index(name)]).astype(int)
        u, v = maps.flow_SxSxC[y - 8 : y + 8, x - 8 : x + 8, :2].mean(axis=(0, 1))
        assert sign * u > 0.3
        assert v < -0.3


def test_settings_choose_flow_and_strain(smile):
    plain, other = make_maps(smile, FAST), make_maps(smile, MapSettings("farneback", "htnet"))
    np.testing.assert_array_equal(plain.flow_SxSxC[..., :2], other.flow_SxSxC[..., :2])
    assert (plain.flow_SxSxC[..., 2] != other.flow_SxSxC[..., 2]).any()
    told = MapSettings("farneback", "htnet").provenance()
    assert (told["flow"], told["strain"]) == ("farneback", "htnet")
    assert {"opencv", "dlib", "mediapipe", "landmark_model_sha256"} <= set(told)
    for name in ("flow", "strain", "smic_apex", "zero_motion"):
        with pytest.raises(ValueError, match=f"{name} is 'odd'"):
            dataclasses.replace(FAST, **{name: "odd"})


def digest(record, settings) -> str:
    """Of everything in the result; runs in a process of its own, too."""
    maps = make_maps(record, settings)
    content = dataclasses.astuple(dataclasses.replace(maps, seconds={}))
    return hashlib.sha256(pickle.dumps(content)).hexdigest()


def test_the_same_bytes_on_repeat_after_other_clips_and_in_another_process(smile, tmp_path):
    first = digest(smile, MapSettings())
    other = clip(tmp_path / "other", {1: face(1), 5: smiling(2.0, 1)})
    assert digest(other, FAST) != digest(smile, FAST)
    assert digest(smile, MapSettings()) == first
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(digest, (smile, MapSettings())) == first


def test_a_fault_crosses_between_processes(tmp_path):
    empty = clip(tmp_path, {})
    with multiprocessing.get_context("spawn").Pool(1) as pool, pytest.raises(ClipFault) as caught:
        pool.apply(make_maps, (empty, FAST))
    assert caught.value.code == "no_frames"
    assert caught.value.detail == fault_of(empty).detail


def test_grey_frames_of_16_bits_give_the_same_map_as_8(smile, tmp_path):
    plain = {1: grey(face()), 5: grey(smiling(2.5))}
    deep = {number: encoded(frame.astype(np.uint16) * 256 + 77) for number, frame in plain.items()}
    first = make_maps(clip(tmp_path / "8", plain), FAST)
    second = make_maps(clip(tmp_path / "16", deep), FAST)
    np.testing.assert_array_equal(first.flow_SxSxC, second.flow_SxSxC)
    np.testing.assert_array_equal(first.flow_SxSxC, make_maps(smile, FAST).flow_SxSxC)


@pytest.mark.parametrize(
    ("choice", "apex_frame", "rules"),
    [
        ("offset", 9, ("apex_is_offset",)),
        ("middle", 5, ("apex_is_middle",)),
        ("spot", 5, ("apex_spotted",)),
    ],
)
@pytest.mark.parametrize("method", optical.METHODS)
def test_smic_s_apex(smile, choice, apex_frame, rules, method):
    smic = dataclasses.replace(smile, database="smic", apex=None)
    quality = make_maps(smic, MapSettings(flow=method, smic_apex=choice)).quality
    assert (quality.apex_frame, quality.rules) == (apex_frame, rules)
    assert set(rules) <= set(RULES)


@pytest.mark.parametrize("same_pixels", [False, True])
def test_zero_motion(smile, tmp_path, same_pixels):
    # Either the sheet names the onset as apex, or the apex's file holds the onset's pixels.
    frames = {1: face(), 4: face(), 6: smiling(2.0), 9: smiling(1.0)}
    still = clip(tmp_path / "still", frames, marks=(1, 4 if same_pixels else 1, 9))
    quality = make_maps(still, FAST).quality
    assert (quality.apex_frame, quality.rules) == (6, ("zero_motion", "apex_spotted"))
    dropped = fault_of(still, dataclasses.replace(FAST, zero_motion="drop"))
    assert dropped.code == "no_motion_annotated"
    kept = make_maps(still, dataclasses.replace(FAST, zero_motion="keep"))
    assert kept.quality.rules == ("zero_motion", "zero_motion_kept")
    assert not kept.flow_SxSxC.any()
    frozen = clip(tmp_path / "frozen", {n: face() for n in (1, 5, 9)})
    assert fault_of(frozen).code == "no_motion"


def test_a_missing_frame_is_replaced_within_2(tmp_path):
    near = clip(tmp_path, {2: face(), 7: smiling(2.0)})
    quality = make_maps(near, FAST).quality
    assert (quality.onset_frame, quality.apex_frame) == (2, 7)
    assert quality.rules == ("nearest_frame_onset", "nearest_frame_apex")
    # Both marks fall on the one file that is left: no motion, and nothing to spot.
    alone = dataclasses.replace(near, apex=2, frames=near.frames[:1])
    assert fault_of(alone).code == "frame_missing"


BLACK = np.zeros_like(face())
TWO = np.concatenate([face(), face(1)], axis=1)
NO_FACE = np.ascontiguousarray(face()[::-1])
HALF = np.where(np.arange(640)[None, :, None] < 320, face(), 90).astype(np.uint8)


@pytest.mark.parametrize(
    ("frames", "marks", "code"),
    [
        ({}, (1, 5, 9), "no_frames"),
        ({1: face(), 5: smiling(2.0)}, (1, 8, 9), "frame_missing"),
        ({1: face(), 5: smiling(2.0)}, (1, None, 9), "apex_missing"),
        ({1: face(), 5: smiling(2.0)}, (1, 400, 500), "frame_missing"),
        ({1: face(), 5: b""}, (1, 5, 9), "frame_empty"),
        ({1: face(), 5: b"<html></html>"}, (1, 5, 9), "frame_format"),
        ({1: face(), 5: encoded(face(), "JPEG")[:9000]}, (1, 5, 9), "frame_damaged"),
        ({1: face(), 5: smiling(2.0)[:470]}, (1, 5, 9), "size_differs"),
        ({1: face(), 5: BLACK}, (1, 5, 9), "frame_constant"),
        ({1: BLACK + 200, 5: face()}, (1, 5, 9), "frame_constant"),
        ({1: face()[:8, :8], 5: face()[:8, :8]}, (1, 5, 9), "frame_small"),
        ({1: NO_FACE, 5: smiling(2.0)}, (1, 5, 9), "no_face"),
        ({1: HALF, 5: HALF}, (1, 5, 9), "no_face"),
        ({1: TWO, 5: TWO}, (1, 5, 9), "several_faces"),
        ({1: face()[:290], 5: smiling(2.0)[:290]}, (1, 5, 9), "face_at_border"),
    ],
)
def test_bad_clips(tmp_path, frames, marks, code):
    assert fault_of(clip(tmp_path, frames, marks=marks)).code == code


def test_a_face_in_the_onset_only(tmp_path, monkeypatch):
    # The flow of such a pair is absurd already; here the face mesh must see it.
    monkeypatch.setattr(optical, "check_flow", lambda _: None)
    wall = np.tile(np.linspace(60, 200, 640).astype(np.uint8)[None, :, None], (480, 1, 3))
    assert fault_of(clip(tmp_path / "wall", {1: face(), 5: wall})).code == "no_face_mesh"
    aside = np.roll(face(), 60, axis=1)
    found = fault_of(clip(tmp_path / "aside", {1: face(), 5: aside})).code
    assert found in ("apex_face_lost", "mesh_implausible", "no_face_mesh")


def test_a_face_that_jumps_is_absurd_flow(tmp_path):
    aside = np.roll(face(), 40, axis=1)
    assert fault_of(clip(tmp_path, {1: face(), 5: aside})).code in ("flow_absurd", "apex_face_lost")


def test_no_value_of_any_map_is_ever_poison(smile):
    maps = make_maps(smile, FAST)
    assert np.isfinite(maps.flow_SxSxC).all()
    map_28 = normalisations.minmax(maps.flow_SxSxC)
    assert map_28.max(axis=(0, 1)).tolist() == [255, 255, 255]
    assert np.isfinite(layouts.compose("five", map_28, maps.landmarks_5x2)).all()


def test_the_peak_memory_of_a_worker(tmp_path):
    records = benchmark.pretend_clips(tmp_path, 2)
    clips_per_second, seconds, peak_mb = benchmark.timed(records, FAST, 1)
    assert 50 < peak_mb < 700
    assert clips_per_second > 0
    assert all(seconds[stage] > 0 for stage in benchmark.STAGES)


def test_the_benchmark_s_manners():
    finished = run_command("input_pipeline.benchmark", "--help")
    assert (finished.status, finished.err) == (0, "")
    assert "  --clips: " in finished.out
    assert_mistake(run_command("input_pipeline.benchmark", "--clips=1"), "--clips=1", "2")
    assert_mistake(run_command("input_pipeline.benchmark", "--flow=raft"), "tvl1|farneback")
    for flag in ("identities", "clips", "workers"):
        endless = run_command("input_pipeline.benchmark", f"--{flag}=99999999")
        assert_mistake(endless, f"--{flag}=99999999", "in the range")
