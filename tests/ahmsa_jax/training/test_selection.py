"""Inner selection: whose clips choose, and by which score."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ahmsa_jax.config import ConfigError
from ahmsa_jax.training.protocols import Fold, loso_folds, split
from ahmsa_jax.training.selection import SELECT_BY, best, inner_folds, inner_parts


@dataclasses.dataclass(frozen=True)
class Clips:
    """What a split looks at."""

    label_N: np.ndarray
    subject_key_N: list[str]

    @property
    def database_N(self) -> np.ndarray:
        return np.full(len(self.label_N), "x")


@st.composite
def clips(draw):
    subjects = draw(st.lists(st.sampled_from("abcdefgh"), min_size=6, max_size=60))
    subjects += ["i", "j", "k"]
    labels = draw(st.lists(st.integers(0, 2), min_size=len(subjects), max_size=len(subjects)))
    return Clips(np.array(labels), subjects)


def alike(first: list[Fold], second: list[Fold]) -> bool:
    return [(f.key, f.train_N.tolist(), f.test_index.tolist()) for f in first] == [
        (f.key, f.train_N.tolist(), f.test_index.tolist()) for f in second
    ]


@given(clips(), st.integers(2, 6))
@settings(max_examples=60, deadline=None)
def test_held_out_clips_stand_in_no_inner_fold(found, parts):
    subjects = np.array(found.subject_key_N)
    for fold in split("loso", found):
        inner = inner_folds(fold, found, parts)
        assert len(inner) == inner_parts(fold, found, parts)
        assert [one.key for one in inner] == [f"{fold.key}/inner/{i}" for i in range(len(inner))]
        chosen_on = np.concatenate([one.test_index for one in inner])
        assert sorted(chosen_on.tolist()) == np.flatnonzero(fold.train_N).tolist()
        for one in inner:
            assert not one.train_N[fold.test_index].any()
            assert not one.train_N[one.test_index].any()
            assert one.n_train + len(one.test_index) == fold.n_train
            assert not set(subjects[one.test_index]) & set(subjects[one.train_N])


@given(clips(), st.integers(1, 2), st.data())
@settings(max_examples=60, deadline=None)
def test_labels_of_held_out_clips_change_nothing(found, turn, data):
    fold = data.draw(st.sampled_from(split("loso", found)))
    other = found.label_N.copy()
    other[fold.test_index] = (other[fold.test_index] + turn) % 3
    changed = dataclasses.replace(found, label_N=other)
    assert alike(inner_folds(fold, found, 4), inner_folds(fold, changed, 4))


def test_labels_of_training_clips_change_the_parts():
    # The positive control: class by class the subjects are dealt out otherwise.
    keys = [f"s{number}" for number in range(9)]
    by_thirds = Clips(np.repeat([0, 1, 2], 3), keys)
    in_turn = Clips(np.tile([0, 1, 2], 3), keys)
    fold = loso_folds(keys)[0]
    assert not alike(inner_folds(fold, by_thirds, 3), inner_folds(fold, in_turn, 3))


def test_parts_are_balanced_by_class():
    # Subjects of one class each, four a class, and one held out: each of 4 parts has all three.
    keys = [f"s{number:02d}" for number in range(13) for _ in range(2)]
    labels = np.repeat(np.r_[0, np.arange(12) // 4], 2)
    inner = inner_folds(loso_folds(keys)[0], Clips(labels, keys), 4)
    assert [np.bincount(labels[one.test_index]).tolist() for one in inner] == [[2, 2, 2]] * 4


def test_fewer_subjects_than_parts_and_one_alone():
    few = Clips(np.arange(4) % 2, list("abcd"))
    fold = loso_folds(few.subject_key_N)[0]
    assert inner_parts(fold, few, 5) == 3
    assert [one.test_index.tolist() for one in inner_folds(fold, few, 5)] == [[1], [2], [3]]
    two = Clips(np.arange(3) % 2, list("aab"))
    with pytest.raises(ConfigError, match=r"at least 2 training subjects; the fold of a has 1"):
        inner_folds(loso_folds(two.subject_key_N)[0], two, 5)


def test_scores_by_hand():
    probability = np.array([[0.5, 0.5], [0.8, 0.2], [0.25, 0.75]])
    label = np.array([0, 0, 1])
    # Class 0: (ln 2 + ln 1.25) / 2, class 1: ln 4/3; the mean of both, turned round.
    expected = -((math.log(2) + math.log(1.25)) / 2 + math.log(4 / 3)) / 2
    assert SELECT_BY["logloss"](probability, label) == pytest.approx(expected)
    # 0.5 and 0.8 both lie above 0.25.
    assert SELECT_BY["auc"](probability, label) == 1.0
    # argmax: 0, 0, 1 (of equal ones the first).
    assert SELECT_BY["uf1"](probability, label) == 1.0
    assert SELECT_BY["uf1"](probability[:, ::-1], label) == pytest.approx((2 * 1 / 4 + 0) / 2)


@pytest.mark.parametrize("name", SELECT_BY)
def test_larger_is_better(name):
    label = np.array([0, 1, 2, 0])
    right = np.eye(3)[label] * 0.7 + 0.1
    wrong = np.eye(3)[(label + 1) % 3] * 0.7 + 0.1
    assert SELECT_BY[name](right, label) > SELECT_BY[name](wrong, label)


def test_of_equal_scores_the_first_is_taken_and_nan_never():
    assert best([0.2, 0.5, 0.5]) == 1
    assert best([math.nan, 0.1]) == 1
    assert best([math.nan, math.nan]) == 0
