"""How clips are split into training and held-out ones, and the batch shapes of the folds.

Letters in array names: N clips of the data set, S folds, T held-out clips of a fold (padded).
"""

import dataclasses
import zlib
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from ahmsa_jax.config import ConfigError


@dataclasses.dataclass(frozen=True)
class Fold:
    """One split of the clips: everything about it that does not depend on a seed.

    Leave-one-subject-out folds are named by the held-out subject's key.
    """

    key: str
    train_N: np.ndarray  # bool: which clips train
    test_index: np.ndarray  # int: the held-out clips, ascending
    valid_N: np.ndarray | None = None  # bool: clips that choose between epochs or settings

    @property
    def stable_id(self) -> int:
        """CRC-32 of the key: the fold's randomness follows its name, not its position."""
        return zlib.crc32(self.key.encode())

    @property
    def n_train(self) -> int:
        """Clips to train on."""
        return int(self.train_N.sum())


@dataclasses.dataclass(frozen=True)
class Job:
    """One fold under one seed: the unit of work."""

    seed: int
    fold: Fold


@dataclasses.dataclass(frozen=True)
class EpochShape:
    """Steps of one epoch: steps - 1 of batch_size clips, then one of last_size places.

    A fold fills the places of its last step as far as its clips go; the rest is masked. The shape
    is taken over all folds of the data set with as many steps, so that it does not depend on which
    folds are trained.
    """

    steps: int
    batch_size: int
    last_size: int

    @property
    def places(self) -> int:
        """Places of all steps of an epoch."""
        return (self.steps - 1) * self.batch_size + self.last_size


def loso_folds(subject_key_N: Sequence[str]) -> list[Fold]:
    """One fold per subject, in the order of the keys.

    Raises ConfigError where fewer than two subjects are given: nothing would be left to train on.
    """
    subjects = np.asarray(subject_key_N)
    keys = sorted(set(subject_key_N))
    if len(keys) < 2:
        raise ConfigError(
            f"leave-one-subject-out needs clips of at least 2 subjects; the data set has "
            f"{len(keys)} ({', '.join(keys) or 'none'})."
        )
    return [
        Fold(key, train_N=subjects != key, test_index=np.flatnonzero(subjects == key))
        for key in keys
    ]


class SplitClips(Protocol):
    """What a split may look at: (N,) arrays of every clip."""

    @property
    def label_N(self) -> np.ndarray:
        """Class of each clip."""

    @property
    def database_N(self) -> np.ndarray:
        """Database of each clip."""

    @property
    def subject_key_N(self) -> list[str]:
        """`database/subject` of each clip."""


def database_folds(clips: SplitClips) -> list[Fold]:
    """One fold per database, which it holds out; raises ConfigError where there is one alone."""
    databases = np.asarray(clips.database_N)
    names = sorted(set(databases.tolist()))
    if len(names) < 2:
        raise ConfigError(
            f"--split=holdout_database needs clips of at least 2 databases; the data set has "
            f"{', '.join(names) or 'none'}."
        )
    return [
        Fold(f"holdout_database/{name}", databases != name, np.flatnonzero(databases == name))
        for name in names
    ]


def subject_parts(clips: SplitClips, parts: int) -> list[Fold]:
    """K folds of whole subjects, balanced by class.

    The largest subjects are placed first, each where its classes are rarest so far; the same clips
    and K always give the same parts. Raises ConfigError where there are fewer subjects than parts.
    """
    subjects, place_N = np.unique(np.asarray(clips.subject_key_N), return_inverse=True)
    if len(subjects) < parts:
        raise ConfigError(
            f"--folds={parts}: the data set has {len(subjects)} subjects; give at most so many."
        )
    classes, class_N = np.unique(clips.label_N, return_inverse=True)
    count_SxC = np.zeros((len(subjects), len(classes)))
    np.add.at(count_SxC, (place_N, class_N), 1)
    placed_KxC = np.zeros((parts, len(classes)))
    part_S = np.zeros(len(subjects), int)
    for subject in np.argsort(-count_SxC.sum(axis=1), kind="stable"):
        crowd_K = placed_KxC @ (count_SxC[subject] / count_SxC.sum(axis=0))
        part = min(range(parts), key=lambda k: (crowd_K[k], placed_KxC[k].sum(), k))
        placed_KxC[part] += count_SxC[subject]
        part_S[subject] = part
    return _parts("kfold", part_S[place_N], parts)


def clip_parts(clips: SplitClips, parts: int) -> list[Fold]:
    """K folds of clips, balanced by class, whose subjects stand on both sides.

    That leaks what a subject looks like into the training; some papers split so. Clips of a class
    are dealt out in the data set's order. Raises ConfigError where there are fewer clips than
    parts.
    """
    if len(clips.label_N) < parts:
        raise ConfigError(
            f"--folds={parts}: the data set has {len(clips.label_N)} clips; give at most so many."
        )
    order_N = np.argsort(clips.label_N, kind="stable")
    part_N = np.zeros(len(order_N), int)
    part_N[order_N] = np.arange(len(order_N)) % parts
    return _parts("clip_kfold", part_N, parts)


def _parts(name: str, part_N: np.ndarray, parts: int) -> list[Fold]:
    return [
        Fold(f"{name}/{part}", part_N != part, np.flatnonzero(part_N == part))
        for part in range(parts)
    ]


# How to split a data set into folds, by the name after --split.
SPLITS: dict[str, Callable[[SplitClips], list[Fold]]] = {
    "loso": lambda clips: loso_folds(clips.subject_key_N),
    "holdout_database": database_folds,
}
# Splits into as many parts as --folds says.
K_SPLITS: dict[str, Callable[[SplitClips, int], list[Fold]]] = {
    "kfold": subject_parts,
    "clip_kfold": clip_parts,
}


def split(name: str, clips: SplitClips, parts: int | None = None) -> list[Fold]:
    """The folds of the split named; `parts` is for those of K_SPLITS."""
    if name in SPLITS:
        return SPLITS[name](clips)
    assert parts is not None, f"{name} needs a number of parts"
    return K_SPLITS[name](clips, parts)


def with_fewer_subjects(
    folds: Sequence[Fold], clips: SplitClips, share: float, seed: int
) -> list[Fold]:
    """The folds with a share (0..1] of their training subjects each, rounded, at least one.

    All subjects are put in one order by the seed, and each fold keeps the first of those it may
    train on: a smaller share is a part of a larger one, and the folds lack the same subjects.
    """
    subject_N = np.asarray(clips.subject_key_N)
    in_order = np.random.Generator(np.random.PCG64(seed)).permutation(np.unique(subject_N))
    found = []
    for fold in folds:
        mine = set(subject_N[fold.train_N].tolist())
        kept = [subject for subject in in_order if subject in mine]
        kept = kept[: max(1, round(share * len(kept)))]
        train_N = fold.train_N & np.isin(subject_N, kept)
        found.append(dataclasses.replace(fold, train_N=train_N))
    return found


def epoch_shapes(
    folds: Sequence[Fold], batch_size: int, *, drop_last: bool = False
) -> dict[str, EpochShape]:
    """The epoch shape of each fold, by its key.

    The last step's places are rounded up to a multiple of 8 (a register's worth of rows), at most
    the batch size. With `drop_last` a last step that is no full batch is left out, unless it is
    the only one.
    """
    steps_of = {fold.key: -(-fold.n_train // batch_size) for fold in folds}
    shapes = {}
    if drop_last:
        steps_of = {fold.key: max(1, fold.n_train // batch_size) for fold in folds}
    for steps in set(steps_of.values()):
        if drop_last and any(
            fold.n_train >= batch_size for fold in folds if steps_of[fold.key] == steps
        ):
            shapes[steps] = EpochShape(steps, batch_size, batch_size)
            continue
        most = max(fold.n_train for fold in folds if steps_of[fold.key] == steps)
        last = most - (steps - 1) * batch_size
        shapes[steps] = EpochShape(steps, batch_size, min(batch_size, -(-last // 8) * 8))
    return {key: shapes[steps] for key, steps in steps_of.items()}


def vanished_classes(fold: Fold, label_N: np.ndarray, num_classes: int) -> list[int]:
    """Classes of which no clip is left to train on in this fold though the data set has some."""
    present = set(np.unique(label_N).tolist())
    trained = set(np.unique(label_N[fold.train_N]).tolist())
    return [label for label in range(num_classes) if label in present - trained]


def padded_test_index(folds: Sequence[Fold], places: int) -> np.ndarray:
    """Held-out clips of each fold as (S, T) indices; padding repeats the fold's first.

    `places` is T, at least the largest number of held-out clips.
    """
    index_SxT = np.zeros((len(folds), places), np.int32)
    for row, fold in enumerate(folds):
        index_SxT[row] = fold.test_index[0]
        index_SxT[row, : len(fold.test_index)] = fold.test_index
    return index_SxT
