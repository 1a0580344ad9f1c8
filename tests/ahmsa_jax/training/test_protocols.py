"""Splits and batch shapes: who trains, who is held out, how many steps."""

import zlib
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ahmsa_jax import ConfigError
from ahmsa_jax.training.protocols import (
    epoch_shapes,
    loso_folds,
    padded_test_index,
    split,
    vanished_classes,
    with_fewer_subjects,
)

KEYS = st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=80).filter(
    lambda keys: len(set(keys)) > 1
)


@given(KEYS)
@settings(max_examples=100, deadline=None)
def test_every_clip_is_held_out_once_and_no_subject_is_on_both_sides(keys):
    folds = loso_folds(keys)
    held_out = np.concatenate([fold.test_index for fold in folds])
    assert sorted(held_out.tolist()) == list(range(len(keys)))
    subjects = np.array(keys)
    for fold in folds:
        assert set(subjects[fold.test_index]) == {fold.key}
        assert fold.key not in subjects[fold.train_N]
        assert fold.n_train + len(fold.test_index) == len(keys)


class Keyed(NamedTuple):
    subject_key_N: list[str]
    label_N: np.ndarray
    database_N: np.ndarray


@given(KEYS, st.floats(0.01, 1), st.integers(0, 9))
@settings(max_examples=100, deadline=None)
def test_fewer_subjects_are_whole_ones_in_one_order_for_all_folds(keys, share, seed):
    clips = Keyed(keys, np.zeros(len(keys), int), np.array(["x"] * len(keys)))
    folds, subjects = loso_folds(keys), np.array(keys)
    small, large = (with_fewer_subjects(folds, clips, one, seed) for one in (share / 2, share))
    for fold, few, more in zip(folds, small, large, strict=True):
        mine = set(subjects[fold.train_N])
        assert len(set(subjects[more.train_N])) == max(1, round(share * len(mine)))
        # No subject in part; a smaller share is a part of a larger one.
        kept = set(subjects[more.train_N])
        assert more.n_train == sum(key in kept for key in keys)
        assert not (few.train_N & ~more.train_N).any()
        assert fold.key not in kept
        np.testing.assert_array_equal(more.test_index, fold.test_index)
    whole = with_fewer_subjects(folds, clips, 1.0, seed)
    assert all((a.train_N == b.train_N).all() for a, b in zip(folds, whole, strict=True))
    # What two folds may both train on is left out by both, but for the place of one subject.
    left = [set(keys) - {fold.key} - set(subjects[fold.train_N]) for fold in large]
    assert all(len(one ^ other) <= 3 for one in left for other in left)


def test_another_seed_draws_other_subjects():
    keys = [f"s{number:02d}" for number in range(40)]
    clips = Keyed(keys, np.zeros(40, int), np.array(["x"] * 40))
    first, second = (with_fewer_subjects(loso_folds(keys), clips, 0.5, seed) for seed in (0, 1))
    assert (first[0].train_N != second[0].train_N).any()


@given(KEYS, st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_epoch_shapes_hold_every_training_clip(keys, batch_size):
    folds = loso_folds(keys)
    for fold in folds:
        shape = epoch_shapes(folds, batch_size)[fold.key]
        assert (shape.steps - 1) * batch_size < fold.n_train <= shape.places
        assert shape.last_size <= batch_size


def test_composite_sized_shapes():
    # 442 clips, the largest subject 39: 403 to 441 train, in two steps; the second takes at most
    # 441 - 256 = 185, rounded up to 192 (performance note 7.4).
    sizes = [39, 31, 22, 20, 19] + [1] * 8 + [3] * 101
    keys = [f"s{number:03d}" for number, size in enumerate(sizes) for _ in range(size)]
    assert len(keys) == 442
    shapes = set(epoch_shapes(loso_folds(keys), 256).values())
    assert {(shape.steps, shape.last_size) for shape in shapes} == {(2, 192)}


def test_step_counts_part_the_folds():
    # 10 clips, batch 4: holding out 2 leaves 8 (two steps), holding out 1 leaves 9 (three).
    folds = loso_folds(list("aabbccddef"))
    shapes = epoch_shapes(folds, 4)
    assert [(shapes[key].steps, shapes[key].last_size) for key in "ae"] == [(2, 4), (3, 4)]


def test_stable_number_is_the_keys_crc32():
    fold = loso_folds(["casme2/sub01", "samm/006"])[0]
    assert fold.stable_id == zlib.crc32(b"casme2/sub01") == 0x73442776


def test_one_subject_is_refused():
    with pytest.raises(ConfigError, match="at least 2 subjects; the data set has 1"):
        loso_folds(["a", "a"])


def test_vanished_classes_are_named():
    label = np.array([0, 0, 2, 1, 0])
    folds = loso_folds(list("aabcc"))
    assert [vanished_classes(fold, label, 3) for fold in folds] == [[], [2], [1]]


def test_padding_repeats_a_held_out_clip():
    folds = loso_folds(list("aabbbc"))
    assert padded_test_index(folds, 4).tolist() == [[0, 1, 0, 0], [2, 3, 4, 2], [5, 5, 5, 5]]


class Clips(NamedTuple):
    """What a split looks at."""

    label_N: np.ndarray
    database_N: np.ndarray
    subject_key_N: list[str]


@st.composite
def clips(draw):
    """Clips of at least two subjects, three classes and two databases, sorted by subject."""
    subjects = sorted(draw(KEYS))
    labels = draw(st.lists(st.integers(0, 2), min_size=len(subjects), max_size=len(subjects)))
    databases = np.array(["x" if key < "d" else "y" for key in subjects])
    return Clips(np.array(labels), databases, subjects)


@given(clips(), st.integers(2, 6))
@settings(max_examples=100, deadline=None)
def test_parts_hold_out_every_clip_once(found, parts):
    for name, most in (("kfold", len(set(found.subject_key_N))), ("clip_kfold", len(found[0]))):
        if parts > most:
            with pytest.raises(ConfigError, match=f"--folds={parts}"):
                split(name, found, parts)
            continue
        folds = split(name, found, parts)
        assert [fold.key for fold in folds] == [f"{name}/{part}" for part in range(parts)]
        held_out = np.concatenate([fold.test_index for fold in folds])
        assert sorted(held_out.tolist()) == list(range(len(found.label_N)))
        for fold in folds:
            assert len(fold.test_index) > 0
            assert not fold.train_N[fold.test_index].any()
            assert fold.n_train + len(fold.test_index) == len(found.label_N)
            subjects = np.array(found.subject_key_N)
            if name == "kfold":
                assert not set(subjects[fold.test_index]) & set(subjects[fold.train_N])


@given(clips(), st.integers(2, 6))
@settings(max_examples=100, deadline=None)
def test_clips_of_a_class_are_dealt_out_evenly(found, parts):
    if parts > len(found.label_N):
        return
    folds = split("clip_kfold", found, parts)
    for label in range(3):
        counts = [int((found.label_N[fold.test_index] == label).sum()) for fold in folds]
        assert max(counts) - min(counts) <= 1


def test_parts_of_subjects_are_balanced_by_class():
    # Twelve subjects of equal size, four of each class alone: each part gets one of each.
    subjects = [f"s{number:02d}" for number in range(12) for _ in range(5)]
    labels = np.repeat(np.arange(12) // 4, 5)
    found = Clips(labels, np.full(60, "x"), subjects)
    for fold in split("kfold", found, 4):
        assert np.bincount(labels[fold.test_index]).tolist() == [5, 5, 5]


def test_databases_are_held_out_whole():
    found = Clips(np.zeros(5, int), np.array(list("xxyzz")), list("abcde"))
    folds = split("holdout_database", found)
    assert [fold.key.split("/") for fold in folds] == [["holdout_database", n] for n in "xyz"]
    assert [fold.test_index.tolist() for fold in folds] == [[0, 1], [2], [3, 4]]
    alone = found._replace(database_N=np.full(5, "x"))
    with pytest.raises(ConfigError, match="at least 2 databases; the data set has x"):
        split("holdout_database", alone)
