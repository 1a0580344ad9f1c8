"""Region layouts against hand-worked windows, direct slices and block means."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from input_pipeline.core.map_form import CUTS
from input_pipeline.maps import layouts

MEAN = layouts.MEAN_LANDMARKS_5x2
COORDINATES = strategies.floats(-5.0, 33.0)
LANDMARKS = strategies.lists(
    strategies.tuples(COORDINATES, COORDINATES), min_size=5, max_size=5
).map(np.array)


def face_of(size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, (size, size, 3)).astype(np.float32)


def boxes(layout: str, landmarks: np.ndarray, size: int = 28) -> list[tuple]:
    found = layouts.windows(layout, landmarks, size)
    return [(w.name, w.top, w.left, w.height, w.width, w.slot_top, w.slot_left) for w in found]


def test_five_windows_worked_by_hand():
    # Eye left at (7.0, 8.7): top floor(8.7 - 2 + 0.5) - 7 = 0, left floor(7.5) - 7 = 0; and so on.
    assert boxes("five", MEAN) == [
        ("eye_left", 0, 0, 14, 14, 0, 0),
        ("eye_right", 0, 14, 14, 14, 0, 14),
        ("nose", 13, 0, 7, 28, 14, 0),
        ("lip_left", 18, 2, 7, 14, 21, 0),
        ("lip_right", 17, 13, 7, 14, 21, 14),
    ]


def test_quad_windows_worked_by_hand():
    assert boxes("quad", MEAN) == [
        ("eye_left", 2, 0, 14, 14, 0, 0),
        ("eye_right", 2, 14, 14, 14, 0, 14),
        ("lip_left", 14, 2, 14, 14, 14, 0),
        ("lip_right", 13, 13, 14, 14, 14, 14),
    ]


def test_quad_htnet_takes_x_as_row_and_joins_eyes_above_mouth_corners():
    # The constants HTNet's code falls back on, clipped to 7..21 and cut to whole numbers.
    landmarks = np.array(
        [(9.53, 11.06), (21.40, 10.92), (15.38, 17.38), (10.26, 22.12), (20.58, 22.26)]
    )
    face = face_of(28)
    above = np.concatenate([face[2:16, 4:18], face[14:28, 3:17]], axis=1)
    below = np.concatenate([face[3:17, 14:28], face[13:27, 14:28]], axis=1)
    composed = layouts.compose("quad_htnet", face, landmarks)
    np.testing.assert_array_equal(composed, np.concatenate([above, below], axis=0))
    names = [window.name for window in layouts.windows("quad_htnet", landmarks, 28)]
    assert names == ["eye_left", "lip_left", "eye_right", "lip_right"]


def test_quad_htnet_resizes_a_larger_face_first():
    face = face_of(56)
    halved = face.reshape(28, 2, 28, 2, 3).mean(axis=(1, 3), dtype=np.float64).astype(np.float32)
    np.testing.assert_allclose(
        layouts.compose("quad_htnet", face, MEAN * 2),
        layouts.compose("quad_htnet", halved, MEAN),
        rtol=1e-6,
    )


def test_windows_at_the_border_move_inside():
    corner = np.array([(0, 0), (27, 0), (14, 27), (0, 27), (27, 27)], np.float32)
    assert boxes("five", corner) == [
        ("eye_left", 0, 0, 14, 14, 0, 0),
        ("eye_right", 0, 14, 14, 14, 0, 14),
        ("nose", 21, 0, 7, 28, 14, 0),
        ("lip_left", 21, 0, 7, 14, 21, 0),
        ("lip_right", 21, 14, 7, 14, 21, 14),
    ]


def test_sizes_and_shift_scale_with_the_face():
    # At 224 pixels everything is eight times larger: eye left at (56.0, 69.6), raised by 16.
    assert boxes("five", MEAN * 8, 224)[0] == ("eye_left", 0, 0, 112, 112, 0, 0)
    lower = MEAN + [(0, 4)] * 5
    assert boxes("five", lower * 8, 224)[0] == ("eye_left", 30, 0, 112, 112, 0, 0)


@hypothesis.given(landmarks=LANDMARKS, layout=strategies.sampled_from(CUTS))
@hypothesis.settings(deadline=None)
def test_at_28_pixels_every_slot_is_a_bitwise_copy_of_its_window(landmarks, layout):
    face = face_of(28)
    composed = layouts.compose(layout, face, landmarks)
    covered = np.zeros((28, 28), int)
    for w in layouts.windows(layout, landmarks, 28):
        assert w.top >= 0
        assert w.left >= 0
        cut = face[w.top : w.top + w.height, w.left : w.left + w.width]
        rows = slice(w.slot_top, w.slot_top + w.slot_height)
        columns = slice(w.slot_left, w.slot_left + w.slot_width)
        assert composed[rows, columns].tobytes() == cut.tobytes()
        covered[rows, columns] += 1
    assert (covered == 1).all()


@hypothesis.given(landmarks=LANDMARKS, size=strategies.integers(28, 90))
@hypothesis.settings(max_examples=40, deadline=None)
def test_windows_stay_inside_faces_of_any_size(landmarks, size):
    for layout in ("five", "quad", "whole"):
        for w in layouts.windows(layout, landmarks * size / 28, size):
            assert 0 <= w.top <= w.top + w.height <= size
            assert 0 <= w.left <= w.left + w.width <= size


def test_large_face_equals_block_means():
    face = face_of(224)
    composed = layouts.compose("five", face, MEAN * 8)
    for w in layouts.windows("five", MEAN * 8, 224):
        cut = face[w.top : w.top + w.height, w.left : w.left + w.width].astype(np.float64)
        means = cut.reshape(w.slot_height, 8, w.slot_width, 8, 3).mean(axis=(1, 3))
        slot = composed[w.slot_top :, w.slot_left :][: w.slot_height, : w.slot_width]
        np.testing.assert_allclose(slot, means, rtol=1e-6)


@pytest.mark.parametrize(("source", "target"), [(42, 28), (30, 28), (21, 14), (100, 7)])
def test_area_average_with_parts_of_pixels(source, target):
    # Repeating each pixel `target` times makes the target's blocks whole.
    face = face_of(source)
    fine = face.astype(np.float64).repeat(target, axis=0).repeat(target, axis=1)
    means = fine.reshape(target, source, target, source, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(layouts.area_average(face, target, target), means, rtol=1e-6)


def test_area_average_keeps_constants_and_range():
    full = np.full((45, 45, 3), 255, np.float32)
    assert (layouts.area_average(full, 28, 28) == 255).all()


@pytest.mark.parametrize("layout", CUTS)
def test_every_slot_edge_lies_on_the_patch_grid(layout):
    for w in layouts.windows(layout, MEAN, 28):
        assert (w.slot_top % 7, w.slot_left % 7, w.slot_height % 7, w.slot_width % 7) == (0,) * 4


@pytest.mark.parametrize(
    ("layout", "landmarks", "size", "named"),
    [
        ("six", MEAN, 28, "six"),
        ("five", MEAN, 27, "27"),
        ("quad_htnet", MEAN, 56, "56"),
        ("five", MEAN * np.nan, 28, "finite"),
        ("five", MEAN[:4], 28, "5x2"),
    ],
)
def test_impossible_requests_are_refused(layout, landmarks, size, named):
    with pytest.raises(ValueError, match=named):
        layouts.windows(layout, landmarks, size)


def test_a_face_that_is_not_square_is_refused():
    with pytest.raises(ValueError, match="square"):
        layouts.compose("five", np.zeros((28, 30, 3), np.float32), MEAN)
