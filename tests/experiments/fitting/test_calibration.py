"""One temperature, by hand-worked cases and by what must not change it.

Modules tried here: experiments.fitting.calibration.
"""

import math

import numpy as np
import pytest

from experiments.fitting import calibration


def two_classes(sure: float, right: int, wrong: int):
    """Clips predicted as class 0 with `sure`, of which so many are right."""
    probability_NxK = np.tile([sure, 1 - sure], (right + wrong, 1))
    return probability_NxK, np.array([0] * right + [1] * wrong)


def test_the_temperature_makes_confidence_what_happens():
    probability_NxK, label_N = two_classes(0.9, 6, 4)
    found = calibration.temperature(probability_NxK, label_N)
    # Odds of 9 must become odds of 1.5.
    assert found == pytest.approx(math.log(9) / math.log(1.5), rel=1e-4)
    tempered_NxK = calibration.tempered(probability_NxK, found)
    np.testing.assert_allclose(tempered_NxK[:, 0], 0.6, atol=1e-4)
    assert calibration.bins(tempered_NxK, label_N).error == pytest.approx(0, abs=1e-4)
    assert calibration.bins(probability_NxK, label_N).error == pytest.approx(0.3)


def test_a_temperature_of_one_and_the_order_of_classes():
    probability_NxK = np.random.default_rng(0).dirichlet([1, 1, 1], 20)
    np.testing.assert_allclose(calibration.tempered(probability_NxK, 1.0), probability_NxK)
    for temperature in (0.3, 4.0):
        tempered_NxK = calibration.tempered(probability_NxK, temperature)
        np.testing.assert_array_equal(tempered_NxK.argmax(1), probability_NxK.argmax(1))
        np.testing.assert_allclose(tempered_NxK.sum(1), 1)
    # A probability of 0 is taken for 1e-7.
    certain_NxK = calibration.tempered(np.array([[1.0, 0.0]]), 2.0)
    assert certain_NxK[0, 1] == pytest.approx(math.sqrt(1e-7) / (1 + math.sqrt(1e-7)))


def test_a_subject_has_no_part_in_its_own_temperature():
    rng = np.random.default_rng(1)
    probability_NxK = rng.dirichlet([1, 1, 1], 30)
    label_N, subject_N = rng.integers(0, 3, 30), np.repeat(["a", "b", "c"], 10)
    found_NxK = calibration.cross_fitted(probability_NxK, label_N, subject_N)
    others_N = subject_N != "b"
    expected = calibration.temperature(probability_NxK[others_N], label_N[others_N])
    np.testing.assert_allclose(
        found_NxK[~others_N], calibration.tempered(probability_NxK[~others_N], expected)
    )
    relabelled_N = np.where(subject_N == "b", (label_N + 1) % 3, label_N)
    again_NxK = calibration.cross_fitted(probability_NxK, relabelled_N, subject_N)
    np.testing.assert_array_equal(found_NxK[~others_N], again_NxK[~others_N])
    assert not np.allclose(found_NxK[others_N], again_NxK[others_N])


def test_a_single_subject_keeps_its_probabilities():
    probability_NxK, label_N = two_classes(0.9, 6, 4)
    found_NxK = calibration.cross_fitted(probability_NxK, label_N, np.array(["a"] * 10))
    np.testing.assert_array_equal(found_NxK, probability_NxK)


def test_bins_by_hand():
    probability_NxK = np.array([[0.92, 0.08], [0.98, 0.02], [0.35, 0.65], [1.0, 0.0]])
    bins = calibration.bins(probability_NxK, np.array([0, 1, 1, 0]))
    np.testing.assert_array_equal(bins.count_B, [1, 3])
    np.testing.assert_allclose(bins.confidence_B, [0.65, (0.92 + 0.98 + 1.0) / 3])
    np.testing.assert_allclose(bins.right_B, [1, 2 / 3])
    assert bins.error == pytest.approx(0.25 * 0.35 + 0.75 * (0.9666667 - 2 / 3))
