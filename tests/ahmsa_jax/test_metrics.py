"""UF1, UAR and accuracy against scikit-learn and against numbers worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

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
