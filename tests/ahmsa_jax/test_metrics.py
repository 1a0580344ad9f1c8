"""UF1, UAR and accuracy against scikit-learn and against numbers worked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from ahmsa_jax import metrics

LABELS = [0, 1, 2]
PAIRS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60)


@given(PAIRS)
@settings(max_examples=300, deadline=None)
def test_pooled_scores_are_scikit_learns(pairs):
    truth, prediction = map(np.array, zip(*pairs, strict=True))
    counts = metrics.confusion_matrix(truth, prediction, 3)
    np.testing.assert_array_equal(counts, confusion_matrix(truth, prediction, labels=LABELS))
    scores = metrics.pooled_scores(counts)
    options = {"labels": LABELS, "average": "macro", "zero_division": 0}
    assert scores.uf1 == pytest.approx(f1_score(truth, prediction, **options), abs=1e-12)
    assert scores.uar == pytest.approx(recall_score(truth, prediction, **options), abs=1e-12)
    assert scores.accuracy == pytest.approx(accuracy_score(truth, prediction), abs=1e-12)
    assert scores.n == len(pairs)


@given(PAIRS)
@settings(max_examples=200, deadline=None)
def test_subject_scores_are_scikit_learns_over_present_classes(pairs):
    truth, prediction = map(np.array, zip(*pairs, strict=True))
    present = sorted(set(truth.tolist()))
    scores = metrics.subject_scores(metrics.confusion_matrix(truth, prediction, 3))
    options = {"labels": present, "average": "macro", "zero_division": 0}
    assert scores.uf1 == pytest.approx(f1_score(truth, prediction, **options), abs=1e-12)
    assert scores.uar == pytest.approx(recall_score(truth, prediction, **options), abs=1e-12)


def test_by_hand():
    # Class 0: TP 3, FP 1, FN 1; class 1: TP 1, FP 1, FN 1; class 2 never occurs nor is said.
    counts = np.array([[3, 1, 0], [1, 1, 0], [0, 0, 0]])
    scores = metrics.pooled_scores(counts)
    assert scores.uf1 == pytest.approx((6 / 8 + 2 / 4 + 0) / 3)
    assert scores.uar == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)
    assert scores.accuracy == pytest.approx(4 / 6)
    subject = metrics.subject_scores(counts)
    assert subject.uf1 == pytest.approx((6 / 8 + 2 / 4) / 2)


def test_empty_counts_score_zero_not_nan():
    empty = np.zeros((3, 3), np.int64)
    assert metrics.pooled_scores(empty) == metrics.Scores(0.0, 0.0, 0.0, 0)
    assert metrics.subject_scores(empty) == metrics.Scores(0.0, 0.0, 0.0, 0)


PREDICTED = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=60
)


def told(rows: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and probabilities in tenths so that many are equal."""
    label_N, first_N, second_N = map(np.array, zip(*rows, strict=True))
    raw_NxK = np.stack([first_N, second_N, np.maximum(0, 8 - first_N)], axis=1) + 1.0
    return label_N, raw_NxK / raw_NxK.sum(axis=1, keepdims=True)


@given(PREDICTED)
@settings(max_examples=200, deadline=None)
def test_log_losses_are_scikit_learns(rows):
    label, probability = told(rows)
    expected = sklearn_log_loss(label, probability, labels=LABELS)
    assert metrics.log_loss(probability, label) == pytest.approx(expected, abs=1e-9)
    weight = 1 / np.bincount(label)[label]
    balanced = sklearn_log_loss(label, probability, labels=LABELS, sample_weight=weight)
    assert metrics.balanced_log_loss(probability, label) == pytest.approx(balanced, abs=1e-9)


@given(PREDICTED)
@settings(max_examples=200, deadline=None)
def test_macro_auc_is_scikit_learns(rows):
    label, probability = told(rows)
    counts = np.bincount(label, minlength=3)
    counted = [k for k in LABELS if 0 < counts[k] < len(label)]
    areas = [roc_auc_score(label == k, probability[:, k]) for k in counted]
    expected = np.mean(areas) if areas else 0.5
    assert metrics.macro_auc(probability, label) == pytest.approx(expected, abs=1e-12)


def test_losses_of_probabilities_by_hand():
    probability = np.array([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]])
    label = np.array([0, 0, 1])
    # The last clip's class was given no chance: counted as 1e-7.
    never = -math.log(1e-7)
    assert metrics.log_loss(probability, label) == pytest.approx((math.log(8) + never) / 3)
    balanced = (math.log(8) / 2 + never) / 2
    assert metrics.balanced_log_loss(probability, label) == pytest.approx(balanced)
    # Class 0: 0.5 and 0.25 both lie below 1.0. Class 1: 0.5 and 0.75, its clip has 0.
    assert metrics.macro_auc(probability, label) == 0.0
    assert metrics.macro_auc(np.full((3, 2), 0.5), label) == 0.5
