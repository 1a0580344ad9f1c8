"""Augmentations of a clip: inverses, hand-worked turns, and what they leave alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ahmsa_jax.config import TrainConfig
from ahmsa_jax.inputs.mirror import mirrored
from ahmsa_jax.training.augmentations import affine, mirror, moved_map, turned_flow

CENTRED = TrainConfig(input_norm="robust")
RAW = TrainConfig()
NOTHING = {"augment_shift": 0.0, "augment_zoom": 0.0, "augment_turn": 0.0, "augment_gain": 0.0}
MAP = np.random.default_rng(2).normal(size=(28, 28, 3)).astype(np.float32)


def flow_of(change, training, key=0, image=MAP):
    return np.asarray(change(jax.random.key(key), {"flow": jnp.asarray(image)}, training)["flow"])


@pytest.mark.parametrize("training", [RAW, CENTRED], ids=["raw", "centred"])
def test_half_of_the_clips_are_mirrored_and_the_others_left(training):
    centred = training is CENTRED
    image = MAP if centred else np.round(127 + 40 * MAP).clip(0, 255)
    turned, kept = mirrored(image, centred=centred), 0
    for key in range(60):
        found = flow_of(mirror, training, key, image)
        is_kept = (found == image).all()
        assert is_kept or (found == turned).all()
        kept += is_kept
    # Five deviations of a fair coin.
    assert abs(kept - 30) < 20


@pytest.mark.parametrize("training", [RAW, CENTRED], ids=["raw", "centred"])
def test_affine_of_nothing_is_the_identity(training):
    still = TrainConfig(input_norm=training.input_norm, **NOTHING)
    np.testing.assert_allclose(flow_of(affine, still), MAP, atol=2e-5)


def test_a_shift_carries_a_pixel_along():
    image = np.zeros((9, 9, 3), np.float32)
    image[3, 4] = 1
    found = np.asarray(moved_map(image, (jnp.float32(2), jnp.float32(1)), jnp.float32(0), 1.0))
    assert np.argwhere(found[..., 0]).tolist() == [[4, 6]]
    half = np.asarray(moved_map(image, (jnp.float32(0.5), jnp.float32(0)), jnp.float32(0), 1.0))
    # Linear between pixels.
    np.testing.assert_allclose(half[3, 4:6, 0], [0.5, 0.5], atol=1e-6)


def test_a_quarter_turn_takes_x_to_y():
    """Of an odd map about its middle: right goes down, and a vector with it."""
    image = np.zeros((7, 7, 3), np.float32)
    image[3, 5] = (1.0, 0.0, 4.0)
    quarter = jnp.float32(np.pi / 2)
    moved = moved_map(image, (jnp.float32(0), jnp.float32(0)), quarter, 1.0)
    found = np.asarray(turned_flow(moved, quarter, 1.0, 1.0, 0.0))
    np.testing.assert_allclose(found[5, 3], (0.0, 1.0, 4.0), atol=1e-5)
    assert np.abs(np.delete(found.reshape(-1, 3), 5 * 7 + 3, axis=0)).max() < 1e-5


def test_zoom_lengthens_vectors_and_leaves_the_strain():
    """Flow of a zoom, u = a x and v = a y, stays itself, and its strain too."""
    y, x = np.mgrid[-4:5, -4:5].astype(np.float32)
    image = np.stack([0.2 * x, 0.2 * y, np.full_like(x, 0.2 * np.sqrt(2))], axis=-1)
    moved = moved_map(image, (jnp.float32(0), jnp.float32(0)), jnp.float32(0), 1.25)
    found = np.asarray(turned_flow(moved, jnp.float32(0), 1.25, 1.0, 0.0))
    np.testing.assert_allclose(found, image, atol=1e-6)


def test_no_motion_stays_no_motion_whatever_is_drawn():
    for training, still in ((RAW, 127.5), (CENTRED, 0.0)):
        image = np.full((28, 28, 3), still, np.float32)
        image[..., 2] = 0
        for key in range(5):
            np.testing.assert_allclose(flow_of(affine, training, key, image), image, atol=1e-4)


def test_affine_stays_within_its_bounds():
    """A bright pixel near the middle moves by the shift, the zoom and the turn at most."""
    image = np.zeros((28, 28, 3), np.float32)
    image[13:15, 13:15] = 1
    change = jax.jit(functools.partial(affine, training=CENTRED))
    places, sizes = [], []
    rows, columns = np.mgrid[:28, :28] - 13.5
    for key in range(200):
        found = np.asarray(change(jax.random.key(key), {"flow": image})["flow"])
        strain = found[..., 2]
        places.append([(strain * axis).sum() / strain.sum() for axis in (columns, rows)])
        sizes.append(strain.max())
    places = np.abs(places)
    assert places.max() < 1.5 + 0.05
    assert places.max() > 1.2
    assert max(sizes) <= np.exp(0.2) + 1e-5
