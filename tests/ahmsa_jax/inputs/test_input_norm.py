"""Normalisation per clip: hand-worked maps, and what each rule promises of every map."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ahmsa_jax.inputs.input_norm import ANGLES_A, INPUT_NORMS, LIMIT, normalised, strain_angles

SEEDS = st.integers(0, 10_000)


def maps(seed: int, count: int = 3) -> np.ndarray:
    """Smooth random maps (N, 28, 28, 3) that span 0..255 in each channel."""
    rng = np.random.default_rng(seed)
    maps_NxHxWxC = rng.normal(size=(count, 28, 28, 3)).cumsum(axis=1).cumsum(axis=2)
    low = maps_NxHxWxC.min(axis=(1, 2), keepdims=True)
    high = maps_NxHxWxC.max(axis=(1, 2), keepdims=True)
    return (255 * (maps_NxHxWxC - low) / (high - low)).astype(np.float32)


def cut(whole_NxHxWxC: np.ndarray) -> np.ndarray:
    """A layout that repeats a corner of the face."""
    return np.tile(whole_NxHxWxC[:, :14, :14], (1, 2, 2, 1))


def test_none_changes_nothing():
    flow = maps(0)
    np.testing.assert_array_equal(normalised("none", cut(flow), flow), cut(flow))


@pytest.mark.parametrize("name", INPUT_NORMS)
@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_numbers_come_from_the_whole_face_and_a_pixel_means_the_same_everywhere(name, seed):
    whole = maps(seed)
    of_cut = normalised(name, cut(whole), whole)
    of_whole = normalised(name, whole, whole)
    assert of_cut.dtype == np.float32
    np.testing.assert_array_equal(of_cut, cut(of_whole))


@pytest.mark.parametrize("name", INPUT_NORMS)
def test_a_clip_does_not_depend_on_those_beside_it(name):
    whole = maps(7, count=5)
    together = normalised(name, cut(whole), whole)
    for place in range(5):
        alone = normalised(name, cut(whole)[place : place + 1], whole[place : place + 1])
        np.testing.assert_allclose(together[place : place + 1], alone, atol=1e-5)


def test_center_and_unit_by_hand():
    # Mean (1 + 3) / 2 = 2 in u; deviations of 1 at 784 pixels, length 28. Strain is constant.
    whole = np.zeros((1, 28, 28, 3), np.float32)
    whole[0, :, ::2, 0], whole[0, :, 1::2, 0] = 1, 3
    whole[0, 0, 0, 1] = 784
    whole[..., 2] = 37.3
    flow = np.full((1, 1, 1, 3), 9, np.float32)
    centre = normalised("center", flow, whole)[0, 0, 0]
    np.testing.assert_allclose(centre, [7, 8, 9 - 37.3], rtol=1e-6)
    # v: mean 1, deviations -1 at 783 pixels and 783 at one: length sqrt(783 * 784).
    unit = normalised("unit", flow, whole)[0, 0, 0]
    np.testing.assert_allclose(unit, [7 / 28, 8 / np.sqrt(783 * 784), 0], rtol=1e-6)


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_unit_has_mean_zero_and_length_one_in_each_channel(seed):
    flow = maps(seed)
    unit = normalised("unit", flow, flow).astype(np.float64)
    np.testing.assert_allclose(unit.sum(axis=(1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose((unit**2).sum(axis=(1, 2)), 1, rtol=1e-5)


@given(SEEDS, st.floats(0.2, 1), st.floats(0.2, 1), st.floats(0, 50))
@settings(max_examples=20, deadline=None)
def test_grey_scale_of_a_clip_drops_out(seed, gain, weight, offset):
    # center keeps the gain alone, unit nothing.
    flow = maps(seed)
    changed = flow * np.float32([gain, gain * weight, gain]) + np.float32(offset)
    unit = normalised("unit", flow, flow)
    np.testing.assert_allclose(normalised("unit", changed, changed), unit, atol=1e-5)
    centre = normalised("center", flow, flow)[..., 0]
    np.testing.assert_allclose(
        normalised("center", changed, changed)[..., 0], gain * centre, atol=1e-2
    )


def of_motion(u_HxW: np.ndarray, v_HxW: np.ndarray, angle: float) -> np.ndarray:
    """A clip as stored whose true flow is (u cos a, v sin a): only the strain knows the angle."""
    u_y, u_x = np.gradient(np.cos(angle) * u_HxW)
    v_y, v_x = np.gradient(np.sin(angle) * v_HxW)
    strain_HxW = np.sqrt(u_x**2 + v_y**2 + (u_y + v_x) ** 2 / 2)
    scaled = [255 * (m - m.min()) / (m.max() - m.min()) for m in (u_HxW, v_HxW, strain_HxW)]
    return np.stack(scaled, axis=-1)[None]


@pytest.mark.parametrize("place", [0, 7, 15, 22, 30])
def test_the_angle_is_the_one_that_made_the_strain(place):
    flow = maps(3, count=1)[0].astype(np.float64)
    made = of_motion(flow[..., 0], flow[..., 1], np.radians(ANGLES_A[place]))
    found = strain_angles(np.round(made, 3) / 255)
    np.testing.assert_allclose(np.degrees(found), ANGLES_A[place])


def test_angles_are_31_that_mirror_each_other():
    assert len(ANGLES_A) == 31
    assert ANGLES_A[15] == 45
    np.testing.assert_allclose(ANGLES_A + ANGLES_A[::-1], 90)


def test_robust_by_an_independent_computation():
    whole = maps(11, count=1)
    u, v, strain = np.moveaxis(whole[0].astype(np.float64), -1, 0) / 255
    u, v = u - np.median(u), v - np.median(v)
    fits = []
    for degrees in ANGLES_A:
        of_u, of_v = np.cos(np.radians(degrees)) * u, np.sin(np.radians(degrees)) * v
        (u_y, u_x), (v_y, v_x) = np.gradient(of_u), np.gradient(of_v)
        formula = np.sqrt(u_x**2 + v_y**2 + 0.5 * (u_y + v_x) ** 2)
        fits.append(np.corrcoef(formula.ravel(), strain.ravel())[0, 1])
    angle = np.radians(ANGLES_A[int(np.argmax(fits))])
    u, v = np.cos(angle) * u, np.sin(angle) * v
    size = np.sqrt(u**2 + v**2)
    most = np.percentile(size, 90)
    held = 1.5 * np.tanh(size / most / 1.5) / np.where(size > 0, size, 1)
    strain = 1.5 * np.tanh(strain / (np.percentile(strain, 90) + 0.01) / 1.5)
    expected = np.stack([u * held, v * held, strain], axis=-1)
    np.testing.assert_allclose(normalised("robust", whole, whole)[0], expected, atol=1e-6)


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_robust_holds_large_motion_back_and_keeps_its_direction(seed):
    flow = maps(seed)
    robust = normalised("robust", flow, flow).astype(np.float64)
    assert np.hypot(robust[..., 0], robust[..., 1]).max() <= LIMIT + 1e-6
    assert 0 <= robust[..., 2].min() <= robust[..., 2].max() <= LIMIT
    # No motion is 0: the medians are.
    np.testing.assert_allclose(np.median(robust[..., :2], axis=(1, 2)), 0, atol=1e-2)


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("name", INPUT_NORMS)
def test_constant_channels_give_finite_maps(name, channel):
    flow = maps(5)
    flow[..., channel] = 100.1
    assert np.isfinite(normalised(name, flow, flow)).all()
    if name == "unit":
        assert not normalised(name, flow, flow)[..., channel].any()
    still = np.zeros_like(flow)
    assert not normalised(name, still, still).any()


def test_an_unknown_name_is_a_key_error():
    with pytest.raises(KeyError, match="zscore"):
        normalised("zscore", maps(0), maps(0))
