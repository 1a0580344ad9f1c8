"""The mirrored map: by hand, twice the identity, and the map of the mirrored face."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ahmsa_jax.inputs.mirror import MIRROR_LAYOUTS, mirrored, refuses
from input_pipeline.maps.layouts import compose

SEEDS = st.integers(0, 10_000)
SIZE = 28


def face_of(seed: int, *, centred: bool, whole_numbers: bool) -> np.ndarray:
    rng = np.random.default_rng(seed)
    face = rng.uniform(-2, 2, (SIZE, SIZE, 3)) if centred else rng.uniform(0, 255, (SIZE, SIZE, 3))
    return np.round(face).astype(np.float32) if whole_numbers else face.astype(np.float32)


def landmarks_of(seed: int) -> np.ndarray:
    # Tenths of a pixel, never between two of them, where rounding prefers one side.
    rng = np.random.default_rng(seed)
    return rng.integers(0, SIZE, (5, 2)) + rng.choice([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8], (5, 2))


def across(landmarks_5x2: np.ndarray) -> np.ndarray:
    """The same points on the mirrored face, left and right again as seen in the image."""
    swapped = landmarks_5x2[[1, 0, 2, 4, 3]]
    return np.stack([SIZE - swapped[:, 0], swapped[:, 1]], axis=-1)


def test_by_hand():
    flow = np.float32([[[1, 2, 3], [10, 20, 30]]])
    np.testing.assert_array_equal(mirrored(flow, centred=False), [[[245, 20, 30], [254, 2, 3]]])
    np.testing.assert_array_equal(mirrored(flow, centred=True), [[[-10, 20, 30], [-1, 2, 3]]])


def test_two_phases_turn_both_horizontal_flows():
    flow = np.float32([[[1, 2, 3, 4, 5, 6]]])
    np.testing.assert_array_equal(mirrored(flow, centred=True), [[[-1, 2, 3, -4, 5, 6]]])


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("whole_numbers", [True, False])
@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_twice_is_the_identity(centred, whole_numbers, seed):
    face = face_of(seed, centred=centred, whole_numbers=whole_numbers)
    twice = mirrored(mirrored(face, centred=centred), centred=centred)
    # 255 - (255 - u) is rounded in float32 where u is no whole number.
    exact = centred or whole_numbers
    np.testing.assert_allclose(twice, face, rtol=0, atol=0 if exact else 2e-5)


@pytest.mark.parametrize("layout", MIRROR_LAYOUTS)
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("whole_numbers", [True, False])
@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_the_mirrored_map_is_that_of_the_mirrored_face(layout, centred, whole_numbers, seed):
    face = face_of(seed, centred=centred, whole_numbers=whole_numbers)
    landmarks = landmarks_of(seed)
    first = mirrored(compose(layout, face, landmarks), centred=centred)
    second = compose(layout, mirrored(face, centred=centred), across(landmarks))
    exact = centred or whole_numbers
    np.testing.assert_allclose(first, second, rtol=0, atol=0 if exact else 2e-5)


def test_htnets_cut_shows_other_parts_of_a_mirrored_face():
    # The positive control: why refuses() names it.
    face, landmarks = face_of(1, centred=True, whole_numbers=True), landmarks_of(1)
    first = mirrored(compose("quad_htnet", face, landmarks), centred=True)
    second = compose("quad_htnet", mirrored(face, centred=True), across(landmarks))
    assert (first != second).any()
    assert refuses("quad_htnet")


def test_variants_of_a_layout_follow_it():
    assert not any(refuses(name) for name in (*MIRROR_LAYOUTS, "whole_36", "five_symmetric"))
    assert refuses("quad_htnet_symmetric")
    assert refuses("rgb224")


def test_jax_arrays_give_the_same_bits_and_stay_jax_arrays():
    faces = np.stack([face_of(seed, centred=True, whole_numbers=False) for seed in range(3)])
    for centred in (True, False):
        found = mirrored(jnp.asarray(faces), centred=centred)
        assert isinstance(found, jnp.ndarray)
        assert found.dtype == mirrored(faces, centred=centred).dtype == np.float32
        np.testing.assert_array_equal(found, mirrored(faces, centred=centred))
