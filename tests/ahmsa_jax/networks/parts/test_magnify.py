"""Magnification by warping against pictures whose motion is known exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ahmsa_jax.networks.parts.magnify import magnified

SIDE = 64


def field(x, y):
    """A smooth motion of up to 1.2 pixels around the middle, as (u, v)."""
    bump = np.exp(-(((x - 30) / 14) ** 2) - ((y - 34) / 12) ** 2)
    return 1.2 * bump, -0.7 * bump


def picture(x, y):
    """Grey values of a smooth picture at any place, three channels."""
    waves = [np.sin(x / 5) * np.cos(y / 6), np.cos(x / 7 + y / 9), np.sin(y / 4)]
    return 128 + 100 * np.stack(waves, axis=-1)


def moved(strength):
    """The picture after `strength` times the motion, inverted in float64 to the last digit."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    from_x, from_y = x, y
    for _ in range(200):
        u, v = field(from_x, from_y)
        from_x, from_y = x - strength * u, y - strength * v
    return picture(from_x, from_y)


def given():
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    onset = picture(x, y)[None].astype(np.float32)
    return onset, np.stack(field(x, y), axis=-1)[None].astype(np.float32)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 3.0, 5.0])
def test_the_motion_becomes_so_much_larger(alpha):
    """alpha 0 gives the apex; alpha gives 1 + alpha times its motion."""
    onset, flow = given()
    found = jax.jit(magnified)(onset, flow, jnp.asarray([alpha]))
    inside = (0, slice(8, -8), slice(8, -8))
    away = np.abs(np.asarray(found)[inside] - moved(1 + alpha)[inside[1:]])
    # Bilinear reading of waves of 25 pixels loses up to (pi / 25)^2 / 2 of their 100 grey values.
    assert away.max() < 2
    assert np.abs(moved(1 + alpha)[inside[1:]] - onset[inside]).max() > 5


def test_each_clip_has_its_own_strength_and_a_still_one_stays():
    onset, flow = given()
    both = magnified(
        np.repeat(onset, 3, axis=0),
        np.concatenate([flow, flow, 0 * flow]),
        jnp.asarray([0.0, 3.0, 3.0]),
    )
    np.testing.assert_allclose(both[0], magnified(onset, flow, jnp.zeros(1))[0], atol=1e-3)
    np.testing.assert_allclose(both[1], magnified(onset, flow, jnp.full(1, 3.0))[0], atol=1e-3)
    np.testing.assert_array_equal(both[2], onset[0])


def test_a_shift_out_of_the_picture_repeats_its_border():
    onset, flow = given()
    shifted = magnified(onset, np.full_like(flow, 1.5), jnp.ones(1))
    np.testing.assert_allclose(shifted[0, 3:, 3:], onset[0, :-3, :-3], atol=1e-3)
    np.testing.assert_allclose(shifted[0, 0, 0], onset[0, 0, 0], atol=1e-3)
    even = magnified(np.full_like(onset, 7), flow, jnp.full(1, 5.0))
    np.testing.assert_allclose(even, 7, rtol=1e-6)
