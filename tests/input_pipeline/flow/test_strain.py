"""Optical strain on fields whose strain is known, and the normalisation to 0..255."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from input_pipeline.core.errors import InputError
from input_pipeline.flow import strain

SLOPES = strategies.floats(-3.0, 3.0)


def grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:height, :width].astype(np.float64)
    return x, y


@hypothesis.given(a=SLOPES, b=SLOPES, c=SLOPES, d=SLOPES)
@hypothesis.settings(deadline=None)
def test_linear_fields_have_constant_strain(a, b, c, d):
    # u_x = a, u_y = b, v_x = c, v_y = d everywhere, borders included.
    x, y = grid(6, 9)
    expected = np.sqrt(a**2 + d**2 + 0.5 * (b + c) ** 2)
    found = strain.optical_strain(a * x + b * y, c * x + d * y)
    np.testing.assert_allclose(found, np.full((6, 9), expected), rtol=1e-9, atol=1e-12)


def test_axes_are_not_swapped():
    # Only u changes, and only along x, in a field that is not square.
    x, _ = grid(4, 7)
    found = strain.optical_strain(x**2, np.zeros((4, 7)))
    # Central differences of x^2 are 2x, one-sided ones 1 and 2 * 6 - 1.
    assert found[2].tolist() == [1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 11.0]


def test_rigid_motion_has_no_strain():
    x, y = grid(8, 8)
    turning = strain.optical_strain(3.0 - 0.1 * y, -2.0 + 0.1 * x)
    np.testing.assert_allclose(turning, 0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("u", "v"),
    [
        (np.zeros((4, 4)), np.zeros((4, 5))),
        (np.zeros((1, 4)), np.zeros((1, 4))),
        (np.zeros((4, 4, 2)), np.zeros((4, 4, 2))),
    ],
)
def test_strain_refuses_other_shapes(u, v):
    with pytest.raises(ValueError, match="2x2"):
        strain.optical_strain(u, v)


def test_each_channel_spans_0_to_255_on_its_own():
    flow = np.stack([np.arange(12.0).reshape(3, 4), -np.arange(12.0).reshape(3, 4) / 7], axis=-1)
    maps = strain.normalise_to_255(flow)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps[..., 0].ravel(), np.arange(12) * 255 / 11, rtol=1e-6)
    np.testing.assert_allclose(maps[..., 1].ravel(), 255 - np.arange(12) * 255 / 11, atol=3e-5)


@hypothesis.given(
    level=strategies.floats(-50, 50),
    scale=strategies.floats(0.01, 100),
    seed=strategies.integers(0),
)
@hypothesis.settings(deadline=None)
def test_scale_and_offset_do_not_matter(level, scale, seed):
    flow = np.random.default_rng(seed % 2**32).uniform(-1, 1, (5, 5, 3))
    maps = strain.normalise_to_255(flow)
    shifted = strain.normalise_to_255(scale * flow + level)
    # Adding a level of 50 to values of 0.01 costs four digits of double precision.
    np.testing.assert_allclose(shifted, maps, atol=1e-3)
    assert maps.min(axis=(0, 1)).tolist() == [0, 0, 0]
    assert maps.max(axis=(0, 1)).tolist() == [255, 255, 255]


def test_a_constant_channel_becomes_zero():
    flow = np.zeros((4, 4, 3))
    flow[..., 0] = -7.5
    flow[1, 2, 2] = 0.5
    maps = strain.normalise_to_255(flow)
    assert (maps[..., :2] == 0).all()
    assert maps[1, 2, 2] == 255
    assert maps.sum() == 255


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_poison_is_refused(poison):
    flow = np.ones((4, 4, 3))
    flow[2, 2, 1] = poison
    with pytest.raises(InputError, match="NaN or infinity"):
        strain.normalise_to_255(flow)
