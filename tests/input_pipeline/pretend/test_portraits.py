"""Pretend faces: one face each, all different, and a true flow that is true."""

import numpy as np
import pytest
from pretend_clips import LANDMARKS, face

from input_pipeline.core.clips import CLASS_NAMES
from input_pipeline.faces import detection
from input_pipeline.faces.frames import grey
from input_pipeline.pretend import portraits


@pytest.mark.parametrize("number", range(8))
def test_every_identity_shows_one_face_in_its_place(number):
    found = detection.find_face(face(number))
    assert found.rules == ()
    points = found.landmarks_68x2
    at = {
        "eye_left": points[36:42].mean(axis=0),
        "eye_right": points[42:48].mean(axis=0),
        "nose": points[30],
        "lip_left": points[48],
        "lip_right": points[54],
    }
    for name, expected in LANDMARKS.items():
        assert np.abs(at[name] - expected).max() <= 20, name


def test_identities_differ_and_stay_the_same():
    assert face().shape == (480, 640, 3)
    assert face().dtype == np.uint8
    np.testing.assert_array_equal(face(3), portraits.identity(3))
    for first in range(6):
        for second in range(first):
            difference = face(first).astype(int) - face(second)
            assert np.abs(difference).mean() > 5
    with pytest.raises(ValueError, match="-1"):
        portraits.identity(-1)


def test_no_motion_is_the_face_itself():
    for motions in ({}, {"jaw_drop": 0.0}):
        frame, flow = portraits.moved(face(), motions)
        np.testing.assert_array_equal(frame, face())
        assert flow.shape == (480, 640, 2)
        assert flow.dtype == np.float32
        assert not flow.any()


@pytest.mark.parametrize("name", portraits.MOTIONS)
def test_strength_is_the_largest_displacement_and_sides_mirror(name):
    _, flow = portraits.moved(face(), {name: 2.5})
    # Both sides of the mouth's and nose's motions reach a little across the middle.
    assert np.hypot(*np.moveaxis(flow, -1, 0)).max() == pytest.approx(2.5, abs=0.12)
    # The face's middle is column 320: column 320 - d mirrors column 320 + d.
    left, right = flow[:, 1:320], flow[:, :320:-1]
    np.testing.assert_allclose(left[..., 0], -right[..., 0], atol=1e-5)
    np.testing.assert_allclose(left[..., 1], right[..., 1], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "dot", "towards"),
    [
        ("brow_raise", (272, 160), (0.0, -1.0)),
        ("jaw_drop", (320, 306), (0.0, 1.0)),
        ("lip_corner_pull", (274, 260), (-0.753, -0.659)),
        ("lip_corner_pull", (366, 260), (0.753, -0.659)),
    ],
)
def test_a_dot_is_found_where_the_true_flow_says(name, dot, towards):
    y, x = np.mgrid[:480, :640]
    dots = np.rint(240 * np.exp(-((x - dot[0]) ** 2 + (y - dot[1]) ** 2) / (2 * 1.5**2)))
    still = np.repeat(dots.astype(np.uint8)[..., None], 3, axis=2)
    frame, flow = portraits.moved(still, {name: 2.0})
    np.testing.assert_allclose(flow[dot[1], dot[0]], 2.0 * np.array(towards), atol=0.02)
    # The dot's points move each by their own flow, and where they part they cover more pixels.
    stretch = (1 + np.gradient(flow[..., 0], axis=1)) * (1 + np.gradient(flow[..., 1], axis=0))
    stretch -= np.gradient(flow[..., 0], axis=0) * np.gradient(flow[..., 1], axis=1)
    expected = centre(x + flow[..., 0], y + flow[..., 1], dots * stretch)
    np.testing.assert_allclose(centre(x, y, frame[..., 0].astype(float)), expected, atol=0.02)


def centre(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.array([(x * weights).sum(), (y * weights).sum()]) / weights.sum()


def test_every_point_keeps_its_colour_along_the_flow():
    import cv2

    motions = {"brow_raise": 3.0, "lip_corner_pull": 3.0, "jaw_drop": 2.0}
    frame, flow = portraits.moved(face(), motions)
    y, x = np.mgrid[:480, :640].astype(np.float32)
    back = cv2.remap(grey(frame), x + flow[..., 0], y + flow[..., 1], cv2.INTER_CUBIC)
    moving = np.hypot(flow[..., 0], flow[..., 1]) > 0.5
    undone = np.abs(back.astype(int) - grey(face()))[moving].mean()
    left_as_is = np.abs(grey(frame).astype(int) - grey(face()))[moving].mean()
    assert undone < 0.25 * left_as_is


def test_motions_of_every_class_exist():
    assert tuple(portraits.MOTIONS_OF) == CLASS_NAMES
    for motions in portraits.MOTIONS_OF.values():
        assert set(motions) <= set(portraits.MOTIONS)
        assert max(motions.values()) == 1.0


def test_noise_is_grey_seeded_and_of_the_size_named():
    flat = np.full((480, 640, 3), 128, np.uint8)
    noisy = portraits.with_noise(flat, 2.0, 5)
    np.testing.assert_array_equal(noisy, portraits.with_noise(flat, 2.0, 5))
    assert (noisy != portraits.with_noise(flat, 2.0, 6)).any()
    assert (noisy[..., 0] == noisy[..., 2]).all()
    # Rounding to whole grey values adds 1/12 to the variance.
    assert noisy[..., 0].std() == pytest.approx(np.sqrt(4 + 1 / 12), rel=0.01)


@pytest.mark.parametrize(
    ("frame", "motions", "named"),
    [(face(), {"wink": 1.0}, "wink"), (face()[:100], {"jaw_drop": 1.0}, "480x640x3")],
)
def test_unknown_motions_and_sizes_are_refused(frame, motions, named):
    with pytest.raises(ValueError, match=named):
        portraits.moved(frame, motions)
