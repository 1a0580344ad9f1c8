"""Flow in pixels to 0..255: what each rule keeps of a clip, and what min-max loses."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from sklearn.linear_model import RidgeClassifier

from input_pipeline.core.errors import InputError
from input_pipeline.core.map_form import NORMALISATIONS
from input_pipeline.flow import normalisations, strain
from input_pipeline.flow.normalisations import minmax, symmetric


def test_each_channel_spans_0_to_255_on_its_own():
    flow = np.stack([np.arange(12.0).reshape(3, 4), -np.arange(12.0).reshape(3, 4) / 7], axis=-1)
    maps = minmax(flow)
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
    maps = minmax(flow)
    shifted = minmax(scale * flow + level)
    # Adding a level of 50 to values of 0.01 costs four digits of double precision.
    np.testing.assert_allclose(shifted, maps, atol=1e-3)
    assert maps.min(axis=(0, 1)).tolist() == [0, 0, 0]
    assert maps.max(axis=(0, 1)).tolist() == [255, 255, 255]


def test_a_constant_channel_becomes_zero():
    flow = np.zeros((4, 4, 3))
    flow[..., 0] = -7.5
    flow[1, 2, 2] = 0.5
    maps = minmax(flow)
    assert (maps[..., :2] == 0).all()
    assert maps[1, 2, 2] == 255
    assert maps.sum() == 255


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_poison_is_refused(poison):
    flow = np.ones((4, 4, 3))
    flow[2, 2, 1] = poison
    for rule in normalisations.RULES.values():
        with pytest.raises(InputError, match="NaN or infinity"):
            rule(flow)


def test_every_rule_that_can_be_asked_for_exists():
    assert tuple(normalisations.RULES) == NORMALISATIONS


def test_symmetric_by_hand():
    # Largest |flow| 4 (in v), largest strain 0.5.
    u, v, s = [[-2.0, 0.0]], [[4.0, 1.0]], [[0.0, 0.5]]
    maps = symmetric(np.stack([u, v, s], axis=-1))
    assert maps.dtype == np.float32
    assert maps[..., 0].tolist() == [[127.5 * 0.5, 127.5]]
    assert maps[..., 1].tolist() == [[255.0, 127.5 * 1.25]]
    assert maps[..., 2].tolist() == [[0.0, 255.0]]


def test_no_motion_is_the_middle_grey_and_no_strain():
    assert (symmetric(np.zeros((3, 4, 3))) == [127.5, 127.5, 0.0]).all()
    assert (symmetric(np.zeros((3, 4, 6))) == [127.5, 127.5, 0.0] * 2).all()


@hypothesis.given(scale=strategies.floats(1e-3, 1e3), seed=strategies.integers(0))
@hypothesis.settings(deadline=None)
def test_symmetric_keeps_zero_sign_and_proportion(scale, seed):
    flow = np.random.default_rng(seed % 2**32).uniform(-1, 1, (5, 5, 6))
    flow[..., 2::3] = np.abs(flow[..., 2::3])
    flow[0, 0] = 0
    maps = symmetric(flow)
    np.testing.assert_allclose(symmetric(scale * flow), maps, atol=1e-4)
    assert maps[0, 0].tolist() == [127.5, 127.5, 0.0] * 2
    assert maps.min() >= 0
    assert maps.max() == 255
    moving = np.delete(maps, [2, 5], axis=-1) - 127.5
    # One scale for u and v of both phases.
    expected = np.delete(flow, [2, 5], axis=-1)
    np.testing.assert_allclose(
        moving / np.abs(moving).max(), expected / np.abs(expected).max(), atol=1e-5
    )
    # The mirrored motion is the mirrored grey value.
    np.testing.assert_allclose(
        symmetric(flow * [-1, 1, 1, -1, 1, 1])[..., 0], 255 - maps[..., 0], atol=1e-4
    )


def flow_of(a: float, b: float) -> np.ndarray:
    """The same pattern in u and v, a and b times: a ramp along the diagonal."""
    y, x = np.mgrid[:12, :12].astype(np.float64)
    pattern = (x + y - 11) / 11
    u, v = a * pattern, b * pattern
    return np.stack([u, v, strain.optical_strain(u, v)], axis=-1)


@hypothesis.given(a=strategies.floats(0.05, 20), b=strategies.floats(0.05, 20))
@hypothesis.settings(deadline=None)
def test_minmax_loses_the_ratio_of_u_and_v(a, b):
    # Rounding of the constant strain would be stretched to 0..255.
    maps, reference = (minmax(np.round(flow_of(*pair), 9)) for pair in ((a, b), (1.0, 1.0)))
    np.testing.assert_allclose(maps, reference, atol=1e-3)


def test_symmetric_maps_tell_the_ratio_of_u_and_v():
    rng = np.random.default_rng(5)
    ratios = (0.5, 1.0, 2.0)
    label = np.repeat(np.arange(3), 20)
    size = rng.uniform(0.2, 5.0, len(label))
    flows = [np.round(flow_of(s * ratios[k], s), 9) for s, k in zip(size, label, strict=True)]
    test = np.arange(len(label)) % 2 == 0
    correct = {}
    for name, rule in normalisations.RULES.items():
        pixels = np.stack([rule(flow).ravel() for flow in flows]) / 255
        machine = RidgeClassifier(alpha=1e-3).fit(pixels[~test], label[~test])
        correct[name] = float((machine.predict(pixels[test]) == label[test]).mean())
    assert correct["symmetric"] == 1
    # All maps are one: whatever is said of them, it is the same class for all.
    assert correct["minmax"] == pytest.approx(1 / 3)
