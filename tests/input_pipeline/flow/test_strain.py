"""Optical strain on fields whose strain is known."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

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
