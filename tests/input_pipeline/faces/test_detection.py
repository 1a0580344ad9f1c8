"""Detection, landmarks, alignment and the face mesh on pretend faces, and what is refused."""

import dataclasses
import importlib
import pathlib
import sys
import types

import numpy as np
import pytest
from PIL import Image
from pretend_clips import LANDMARKS, face

from input_pipeline.core import extras
from input_pipeline.core.clip_faults import RULES, ClipFault
from input_pipeline.core.errors import InputError
from input_pipeline.faces import detection, mesh
from input_pipeline.faces.frames import grey
from input_pipeline.maps import layouts
from input_pipeline.pretend import portraits


def resized(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS))


def turned(frame: np.ndarray, degrees: float) -> np.ndarray:
    """Turned anticlockwise about the middle of the face."""
    picture = Image.fromarray(frame)
    return np.asarray(
        picture.rotate(degrees, Image.Resampling.BICUBIC, center=portraits.FACE_CENTRE)
    )


def eyes(found: detection.Face) -> np.ndarray:
    points = found.to_face(found.landmarks_68x2)
    return np.array([points[36:42].mean(axis=0), points[42:48].mean(axis=0)])


def refused(frame: np.ndarray) -> str:
    with pytest.raises(ClipFault) as caught:
        detection.find_face(frame)
    return caught.value.code


@pytest.mark.parametrize("degrees", [-25, 0, 20])
def test_eyes_are_level_and_all_landmarks_inside(degrees):
    found = detection.find_face(turned(face(), degrees))
    (left_x, left_y), (right_x, right_y) = eyes(found)
    assert left_y == pytest.approx(right_y, abs=1e-9)
    assert right_x - left_x > 0.3 * detection.FACE_SIZE
    points = found.to_face(found.landmarks_68x2)
    assert points.min() > 0
    assert points.max() < detection.FACE_SIZE - 1
    # Square: nothing is stretched.
    turn = found.transform_2x3[:, :2]
    np.testing.assert_allclose(turn @ turn.T, np.eye(2) * np.linalg.det(turn), atol=1e-9)
    assert found.rules == ()
    assert found.score > 0.5


def test_crop_shows_what_the_transform_says():
    # Dots of known places in the frame are found where the transform puts them.
    found = detection.find_face(face())
    dots = np.array([(250.0, 200.0), (320.0, 240.0), (380.0, 290.0)])
    for dot in dots:
        y, x = np.mgrid[: portraits.HEIGHT, : portraits.WIDTH]
        frame = 250 * np.exp(-((x - dot[0]) ** 2 + (y - dot[1]) ** 2) / (2 * 3.0**2))
        cut = detection.crop(np.rint(frame).astype(np.uint8), found).astype(float)
        y, x = np.mgrid[: detection.FACE_SIZE, : detection.FACE_SIZE]
        centre = np.array([(x * cut).sum(), (y * cut).sum()]) / cut.sum()
        np.testing.assert_allclose(centre, found.to_face(dot[None])[0], atol=0.1)


@pytest.mark.parametrize("scale", [0.75, 1.5, 2.5])
def test_the_crop_does_not_depend_on_the_camera_s_resolution(scale):
    # Blurred first, so that the small frame holds as much as the large one.
    plain = grey(resized(resized(face(), 240, 180), 640, 480))
    other = resized(plain, round(640 * scale), round(480 * scale))
    found = detection.find_face(plain)
    # The same points on the scaled frame; a pixel's middle is at its whole number.
    points = (found.landmarks_68x2 + 0.5) * scale - 0.5
    scaled = detection.Face(points, detection._crop_transform(points), other.shape, 1.0)
    difference = detection.crop(plain, found).astype(float) - detection.crop(other, scaled)
    # Half a pixel of shift would cost more than 2 grey values on average.
    assert np.abs(difference).mean() < 1.0


def test_grey_and_colour_frames_give_the_same_face():
    colour, single = detection.find_face(face()), detection.find_face(grey(face()))
    np.testing.assert_array_equal(colour.transform_2x3, single.transform_2x3)


def test_another_frame_size_is_refused_by_the_crop():
    found = detection.find_face(face())
    with pytest.raises(ClipFault, match=r"size_differs.*640x470.*640x480"):
        detection.crop(face()[:470], found)


def test_no_face():
    assert refused(face()[:110]) == "no_face"
    assert refused(np.rot90(face())) == "no_face"
    assert refused(face()[::-1]) == "no_face"
    noise = np.random.default_rng(0).integers(0, 256, (240, 320), np.uint8)
    assert refused(noise) == "no_face"


@pytest.mark.parametrize(
    "half",
    [face()[:, :320], face()[:, 320:], face()[:, 300:], face()[:240], face()[:260], face()[190:]],
)
def test_half_a_face(half):
    assert refused(half) in ("no_face", "face_at_border")


def test_a_face_at_the_border_is_filled_up_to_a_tenth_of_the_crop():
    # The crop ends near row 345 and starts near row 120, and is about 223 px wide.
    low = detection.find_face(face()[:330])
    assert low.rules == ("border_filled",)
    # What lies beyond repeats the last row.
    widened = np.pad(grey(face()[:330]), ((0, 40), (0, 0)), mode="edge")
    inside = dataclasses.replace(low, frame_size=widened.shape)
    np.testing.assert_array_equal(
        detection.crop(grey(face()[:330]), low), detection.crop(widened, inside)
    )
    assert refused(face()[:290]) == "face_at_border"
    assert refused(face()[160:]) == "face_at_border"


def test_several_faces():
    second = face(1)
    assert refused(np.concatenate([face(), second], axis=1)) == "several_faces"
    far = face().copy()
    far[280:472, :256] = resized(second, 256, 192)
    found = detection.find_face(far)
    assert found.rules == ("largest_face_taken",)
    assert eyes(found)[0] == pytest.approx(eyes(detection.find_face(face()))[0], abs=3)


def test_a_weak_second_detection_is_background(monkeypatch):
    box = np.array([(234.0, 134.0, 413.0, 313.0), (20.0, 200.0, 199.0, 379.0)])
    monkeypatch.setattr(detection, "_detections", lambda _: (box, np.array([1.2, 0.29])))
    assert detection.find_face(face()).rules == ("weak_detection_ignored",)
    monkeypatch.setattr(detection, "_detections", lambda _: (box, np.array([1.2, 0.31])))
    assert refused(face()) == "several_faces"


def test_a_small_face_is_found_by_doubling_the_frame():
    found = detection.find_face(resized(face(), 185, 139))
    assert found.rules == ("found_enlarged",)
    assert found.rules[0] in RULES
    expected = detection.find_face(face())
    scale = 640 / 185
    assert np.abs(found.landmarks_68x2 * scale - expected.landmarks_68x2).max() < 5 * scale


def test_small_frames_and_small_faces():
    assert refused(face()[:1, :1]) == "frame_small"
    assert refused(face()[:8, :8]) == "frame_small"
    assert refused(face()[:63]) == "frame_small"
    assert refused(resized(face(), 160, 120)) == "face_small"


@pytest.mark.parametrize(
    ("shift", "code"),
    [
        ((0.0, -165.0), "face_at_border"),
        ((0.0, 0.0), "landmarks_implausible"),
    ],
)
def test_landmarks_outside_or_not_as_on_a_face(monkeypatch, shift, code):
    points = detection.find_face(face()).landmarks_68x2 + shift
    if code == "landmarks_implausible":
        # The mouth beside the eyes.
        points[48:68] += (60.0, -85.0)
    monkeypatch.setattr(detection, "_landmarks", lambda *_: points)
    assert refused(face()) == code


@pytest.mark.parametrize("number", range(6))
def test_the_mesh_finds_the_five_landmarks_of_every_identity(number):
    found = detection.find_face(face(number))
    landmarks = mesh.five_landmarks(detection.crop(grey(face(number)), found))
    assert landmarks.shape == (5, 2)
    assert landmarks.dtype == np.float32
    expected = found.to_face(np.array([LANDMARKS[n] for n in layouts.LANDMARKS]))
    # The identities' features lie up to 20 px from LANDMARKS.
    assert np.abs(landmarks - expected).max() < 22
    dlib_eyes = eyes(found)
    assert np.abs(landmarks[:2] - dlib_eyes).max() < 8


def test_the_mesh_takes_colour_and_keeps_left_and_right_as_seen_in_the_image():
    cut = detection.crop(face(), detection.find_face(face()))
    plain, mirrored = mesh.five_landmarks(cut), mesh.five_landmarks(cut[:, ::-1])
    swapped = mirrored[[1, 0, 2, 4, 3]]
    swapped[:, 0] = detection.FACE_SIZE - 1 - swapped[:, 0]
    assert np.abs(plain - swapped).max() < 4


def test_the_mesh_finds_nothing_where_no_face_is():
    with pytest.raises(ClipFault, match="no_face_mesh"):
        mesh.five_landmarks(np.tile(np.arange(224, dtype=np.uint8), (224, 1)))


def test_a_face_left_aslant_is_refused():
    cut = detection.crop(turned(face(), 28), detection.find_face(face()))
    with pytest.raises(ClipFault, match="mesh_implausible"):
        mesh.five_landmarks(cut)


def test_the_mesh_writes_nothing_to_stderr(capfd):
    mesh._mesh.cache_clear()
    mesh.five_landmarks(detection.crop(face(), detection.find_face(face())))
    assert capfd.readouterr().err == ""
    print("still there", file=sys.stderr)
    assert capfd.readouterr().err == "still there\n"


def test_the_landmark_model_is_checked_by_its_hash(monkeypatch, tmp_path):
    assert detection.landmark_model().name == detection.LANDMARK_MODEL
    assert "face_recognition_models" not in sys.modules
    package = tmp_path / "face_recognition_models"
    (package / "models").mkdir(parents=True)
    spec = types.SimpleNamespace(origin=str(package / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(InputError, match="lacks shape_predictor_68"):
        detection.landmark_model()
    (package / "models" / detection.LANDMARK_MODEL).write_bytes(b"other bytes")
    with pytest.raises(InputError, match="SHA-256"):
        detection.landmark_model()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install .* '\.\[preprocess\]'"):
        detection.landmark_model()


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (ModuleNotFoundError("No module named 'cv2'", name="cv2"), r"\[preprocess\]'"),
        (ImportError("libGL.so.1: cannot open shared object file"), "libGL and glib"),
    ],
)
def test_a_missing_library_is_one_clear_line(monkeypatch, error, named):
    def refuse(name: str):
        raise error

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(InputError, match=named) as caught:
        extras.library("cv2")
    assert "\n" not in str(caught.value)
    assert str(pathlib.Path.home()) not in str(caught.value)
