"""Noise of lost keys and skipped paths, clip by clip."""

import jax
import jax.numpy as jnp
import numpy as np

from ahmsa_jax.networks.parts import noise


def test_the_share_of_lost_places_is_met():
    is_lost = noise.lost(jax.random.key(0), (20, 1001), 0.3)
    assert is_lost.shape == (20, 1001)
    # Five deviations of 20,020 draws.
    assert abs(float(is_lost.mean()) - 0.3) < 5 * np.sqrt(0.21 / 20_020)
    assert not noise.lost(jax.random.key(0), (2, 9), 0.0).any()
    assert noise.lost(jax.random.key(0), (2, 9), 1 - 1e-9).all()


def test_a_skipped_path_is_skipped_for_the_whole_clip():
    values = noise.path_dropped(jax.random.key(1), jnp.ones((4000, 2, 3)), 0.2)
    of_clip = np.asarray(values).reshape(4000, -1)
    assert (of_clip == of_clip[:, :1]).all()
    assert set(np.unique(of_clip)) == {0.0, np.float32(1 / 0.8)}
    assert abs((of_clip[:, 0] == 0).mean() - 0.2) < 5 * np.sqrt(0.16 / 4000)


def test_a_clips_noise_depends_on_its_place_alone():
    key, values = jax.random.key(2), jnp.ones((6, 40))
    for draw in (noise.dropped, noise.path_dropped):
        np.testing.assert_array_equal(draw(key, values, 0.5)[:3], draw(key, values[:3], 0.5))
    most, few = noise.lost(key, (6, 41), 0.5), noise.lost(key, (3, 41), 0.5)
    np.testing.assert_array_equal(most[:3], few)
