"""Recovered flow against known warps, its settings, and the frames and flows that are refused."""

import cv2
import numpy as np
import pytest
from pretend_clips import face, smiling

from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.faces import detection
from input_pipeline.faces.frames import grey
from input_pipeline.flow import optical, strain
from input_pipeline.pretend import accuracy, portraits

RNG_FRAME = cv2.GaussianBlur(
    np.random.default_rng(0).integers(0, 256, (96, 96)).astype(np.uint8), (0, 0), 1.5
)


def moved(x: float, y: float) -> np.ndarray:
    shift = np.array([[1, 0, x], [0, 1, y]], np.float64)
    return cv2.warpAffine(RNG_FRAME, shift, (96, 96), borderMode=cv2.BORDER_REPLICATE)


@pytest.fixture(scope="module")
def recovered():
    """Every motion at the weakest and the strongest of the range, clean and with noise."""
    return {
        (name, pixels, noise): accuracy.recover(0, name, pixels, noise=noise)
        for name in portraits.MOTIONS
        for pixels in (0.5, 3.0)
        for noise in (0.0, 2.0)
    }


@pytest.mark.parametrize("pixels", [0.5, 3.0])
@pytest.mark.parametrize(("noise", "most"), [(0.0, 0.12), (2.0, 0.2)])
def test_median_end_point_error_of_the_moving_pixels(recovered, pixels, noise, most):
    errors = [recovered[name, pixels, noise].errors() for name in portraits.MOTIONS]
    assert all(len(found) > 200 for found in errors)
    assert np.median(np.concatenate(errors)) <= most


@pytest.mark.parametrize("name", portraits.MOTIONS)
def test_every_motion_has_the_right_direction_in_its_region(recovered, name):
    for pixels in (0.5, 3.0):
        for noise in (0.0, 2.0):
            assert recovered[name, pixels, noise].degrees_off() < 20


def test_the_measure_tells_a_wrong_flow(recovered):
    right = recovered["brow_raise", 3.0, 0.0]
    for wrong, degrees in (
        (-right.true_SxSx2, 180),
        (right.true_SxSx2[..., ::-1], 90),
    ):
        found = accuracy.Recovered(right.true_SxSx2, wrong, right.is_moving_SxS)
        assert found.degrees_off() == pytest.approx(degrees, abs=12)
        assert np.median(found.errors()) > 2
    exact = accuracy.Recovered(right.true_SxSx2, right.true_SxSx2, right.is_moving_SxS)
    assert (np.median(exact.errors()), exact.degrees_off()) == (0, pytest.approx(0, abs=0.1))


@pytest.mark.parametrize("method", optical.METHODS)
@pytest.mark.parametrize(("x", "y"), [(1.5, 0.0), (0.0, -1.5), (1.0, 2.0)])
def test_u_is_to_the_right_and_v_downwards(method, x, y):
    found = optical.optical_flow(RNG_FRAME, moved(x, y), method)
    assert found.dtype == np.float32
    assert found.shape == (96, 96, 2)
    inner = found[16:-16, 16:-16].reshape(-1, 2)
    np.testing.assert_allclose(np.median(inner, axis=0), [x, y], atol=0.1)


@pytest.mark.parametrize("method", optical.METHODS)
def test_flow_is_the_same_on_repeat_and_for_any_number_of_threads(method):
    first = optical.optical_flow(RNG_FRAME, moved(1.0, 0.5), method)
    optical.optical_flow(moved(2.0, 0.0), RNG_FRAME, method)
    try:
        cv2.setNumThreads(4)
        again = optical.optical_flow(RNG_FRAME, moved(1.0, 0.5), method)
    finally:
        cv2.setNumThreads(1)
    assert first.tobytes() == again.tobytes()


def test_opencv_runs_on_one_thread():
    optical.optical_flow(RNG_FRAME, moved(1.0, 0.0), "farneback")
    assert cv2.getNumThreads() == 1


def test_provenance_names_method_settings_and_version():
    told = optical.provenance("tvl1")
    assert told["flow"] == "tvl1"
    assert told["opencv"] == cv2.__version__
    assert told["opencv_optimized"] == "True"
    # OpenCV's defaults, that this project relies on.
    for setting in ("Tau 0.25", "Lambda 0.15", "Theta 0.3", "WarpingsNumber 5", "Epsilon 0.01"):
        assert setting in told["flow_settings"]
    assert "winsize 15" in optical.provenance("farneback")["flow_settings"]
    assert all(isinstance(text, str) for text in told.values())


@pytest.mark.parametrize(
    ("onset", "apex", "code"),
    [
        (RNG_FRAME, np.zeros((96, 96), np.uint8), "frame_constant"),
        (np.full((96, 96), 200, np.uint8), RNG_FRAME, "frame_constant"),
        (np.tile(np.arange(7, dtype=np.uint8), (7, 1)), RNG_FRAME[:7, :7], "frame_constant"),
    ],
)
def test_constant_frames_are_refused(onset, apex, code):
    with pytest.raises(ClipFault) as caught:
        optical.optical_flow(onset, apex)
    assert caught.value.code == code


def test_black_with_sensor_noise_counts_as_constant():
    noise = np.abs(np.random.default_rng(0).normal(0, 1.5, (96, 96))).astype(np.uint8)
    with pytest.raises(ClipFault, match="frame_constant"):
        optical.check_contrast("apex", noise)
    optical.check_contrast("apex", RNG_FRAME)


@pytest.mark.parametrize(
    ("poison", "code"),
    [(np.nan, "flow_not_finite"), (-np.inf, "flow_not_finite"), (22.5, "flow_absurd")],
)
def test_poisoned_and_absurd_flow_is_refused(poison, code):
    field = np.zeros((224, 224, 2), np.float32)
    field[7, 9, 1] = 22.0
    optical.check_flow(field)
    field[7, 9, 1] = poison
    with pytest.raises(ClipFault) as caught:
        optical.check_flow(field)
    assert caught.value.code == code


def test_another_picture_is_absurd_flow():
    found = detection.find_face(face())
    cut = detection.crop(grey(face()), found)
    with pytest.raises(ClipFault, match="flow_absurd"):
        optical.optical_flow(cut, np.ascontiguousarray(np.rot90(cut)), "farneback")


@pytest.mark.parametrize("wrong", [RNG_FRAME.astype(np.float32), np.dstack([RNG_FRAME] * 3)])
def test_only_grey_uint8_is_taken(wrong):
    with pytest.raises(ValueError, match="grey uint8"):
        optical.optical_flow(wrong, wrong)


def test_unknown_methods_are_refused():
    with pytest.raises(ValueError, match="raft"):
        optical.optical_flow(RNG_FRAME, RNG_FRAME, "raft")


def test_a_noisy_still_has_little_flow():
    found = detection.find_face(face())
    cuts = [detection.crop(grey(portraits.with_noise(face(), 2.0, seed)), found) for seed in (1, 2)]
    still = np.hypot(*np.moveaxis(optical.optical_flow(*cuts), -1, 0))
    smile = np.hypot(
        *np.moveaxis(
            optical.optical_flow(cuts[0], detection.crop(grey(smiling(2.0)), found)), -1, 0
        )
    )
    assert np.percentile(still, 99) < 0.5 < np.percentile(smile, 97)


def test_htnet_s_strain_differs_from_mfdan_s_in_the_shear_term():
    y, x = np.mgrid[:6, :9].astype(np.float64)
    # u_x = 1, u_y = 2, v_x = 3, v_y = -1: by hand, 1 + 1 + 25 / 2 and 1 + 1 + (4 + 9) / 2.
    u, v = x + 2 * y, 3 * x - y
    np.testing.assert_allclose(strain.optical_strain(u, v), np.sqrt(14.5))
    np.testing.assert_allclose(strain.optical_strain(u, v, "htnet"), np.sqrt(8.5))
    # Turning deforms nothing; HTNet's formula counts it.
    np.testing.assert_allclose(strain.optical_strain(-0.1 * y, 0.1 * x), 0, atol=1e-12)
    np.testing.assert_allclose(strain.optical_strain(-0.1 * y, 0.1 * x, "htnet"), 0.1)
    with pytest.raises(ValueError, match="meb"):
        strain.optical_strain(u, v, "meb")
