"""Magnified pretend faces, measured by TV-L1: the motion is as much larger as was asked for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ahmsa_jax.networks.parts.magnify import magnified
from input_pipeline.faces import detection
from input_pipeline.faces.frames import grey
from input_pipeline.flow import optical
from input_pipeline.pretend import accuracy, portraits

PIXELS = 1.0


@pytest.fixture(scope="module")
def face():
    neutral = portraits.identity(0)
    return neutral, detection.find_face(neutral)


def crops(face, motion):
    """Onset and apex of a pretend face, cut as a build cuts them, and the true flow, in pixels."""
    neutral, found = face
    scale = float(np.hypot(*found.transform_2x3[0, :2]))
    apex, flow = portraits.moved(neutral, {motion: PIXELS / scale})
    onset_and_apex = [detection.crop(grey(frame), found) for frame in (neutral, apex)]
    return (*onset_and_apex, accuracy.in_crop(flow, found))


def after(onset, flow, alpha):
    picture = jax.jit(magnified)(
        jnp.asarray(onset, jnp.float32)[None, ..., None], flow[None], jnp.asarray([alpha])
    )
    return np.asarray(picture)[0, ..., 0]


@pytest.mark.parametrize("motion", portraits.MOTIONS)
def test_flow_between_onset_and_magnified_face_is_so_much_larger(face, motion):
    onset, apex, flow = crops(face, motion)
    mask = detection.face_mask(face[1])
    # Strength 0 gives the apex.
    assert np.abs(after(onset, flow, 0.0) - apex)[mask].mean() < 2
    is_moving = mask & (np.hypot(flow[..., 0], flow[..., 1]) > 0.5 * PIXELS)
    for alpha in (1.0, 3.0):
        picture = np.clip(np.rint(after(onset, flow, alpha)), 0, 255).astype(np.uint8)
        found = optical.optical_flow(onset, picture)
        along = (found * flow).sum(-1)[is_moving] / (flow**2).sum(-1)[is_moving]
        assert np.median(along) == pytest.approx(1 + alpha, rel=0.15)


def test_a_still_face_stays_itself(face):
    onset = detection.crop(grey(face[0]), face[1])
    flow = np.zeros((*onset.shape, 2), np.float32)
    np.testing.assert_array_equal(after(onset, flow, 5.0), onset.astype(np.float32))
