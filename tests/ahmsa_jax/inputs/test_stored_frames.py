"""Stored pictures and flow at a network's size: area means, pixels, min-max, by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from ahmsa_jax.inputs import frames


def test_pictures_are_area_means_of_grey_values():
    stored = np.zeros((1, 8, 4, 4, 3), np.uint8)
    stored[0, 2, :2, :2, 1] = [[1, 2], [3, 250]]
    small = frames.pictures(stored, 2)
    assert small.shape == (1, 8, 2, 2, 3)
    assert small.dtype == jnp.float32
    assert small[0, 2, 0, 0].tolist() == [0, 64, 0]
    assert float(jnp.sum(small)) == 64
    np.testing.assert_array_equal(frames.pictures(stored, 4), stored)


def test_flow_is_in_pixels_of_the_smaller_side_and_strain_stays():
    stored = np.broadcast_to(np.array([3.0, -1.5, 0.25], np.float16), (2, 8, 8, 3))
    np.testing.assert_array_equal(frames.flow(stored, 8), stored)
    small = frames.flow(stored, 2)
    np.testing.assert_array_equal(small, np.broadcast_to([0.75, -0.375, 0.25], (2, 2, 2, 3)))


def test_min_max_is_per_clip_and_channel_and_a_constant_becomes_zero():
    flow = np.zeros((2, 1, 3, 3), np.float32)
    flow[0, 0, :, 0] = [-2, 0, 6]
    flow[0, 0, :, 1] = 5
    flow[1, 0, :, 2] = [1, 1, 2]
    scaled, gradient = jax.value_and_grad(lambda x: frames.min_max(x).sum())(flow)
    expected = np.zeros_like(flow)
    expected[0, 0, :, 0] = [0, 0.25, 1]
    expected[1, 0, :, 2] = [0, 0, 1]
    np.testing.assert_array_equal(frames.min_max(flow), expected)
    assert float(scaled) == expected.sum()
    assert np.isfinite(gradient).all()
