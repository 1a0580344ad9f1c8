"""Choosing between settings inside a fold: inner folds of its training subjects, and the scores.

No held-out clip of the outer fold is looked at. Letters in array names: N clips of the data set,
K classes.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from ahmsa_jax.config import ConfigError
from ahmsa_jax.metrics import balanced_log_loss, confusion_matrix, macro_auc, pooled_scores
from ahmsa_jax.training.protocols import Fold, SplitClips, subject_parts


@dataclasses.dataclass(frozen=True)
class _TrainingClips:
    """What a split may look at, of a fold's training clips."""

    label_N: np.ndarray
    database_N: np.ndarray
    subject_key_N: list[str]


def inner_parts(fold: Fold, clips: SplitClips, parts: int) -> int:
    """Parts that the training subjects of a fold can be split into: `parts`, or all there are.

    Raises ConfigError where the fold trains on one subject: nothing would be left to train on.
    """
    subjects = np.unique(np.asarray(clips.subject_key_N)[fold.train_N])
    if len(subjects) < 2:
        raise ConfigError(
            f"inner selection needs at least 2 training subjects; the fold of {fold.key} has "
            f"{len(subjects)}. Give --select=last or another --split."
        )
    return min(parts, len(subjects))


def inner_folds(fold: Fold, clips: SplitClips, parts: int) -> list[Fold]:
    """The training subjects of `fold` split into parts balanced by class, each held out once.

    Every training clip stands in the test_index of one inner fold and in train_N of all others;
    clips that the outer fold holds out stand in none. The parts follow from the data set, not
    from a seed. With fewer training subjects than parts there are as many parts as subjects
    (inner_parts), down to 2; raises ConfigError below.
    """
    place_T = np.flatnonzero(fold.train_N)
    training = _TrainingClips(
        label_N=np.asarray(clips.label_N)[place_T],
        database_N=np.asarray(clips.database_N)[place_T],
        subject_key_N=[clips.subject_key_N[place] for place in place_T],
    )
    found = []
    for number, part in enumerate(subject_parts(training, inner_parts(fold, clips, parts))):
        train_N = np.zeros(len(fold.train_N), bool)
        train_N[place_T[part.train_N]] = True
        found.append(Fold(f"{fold.key}/inner/{number}", train_N, place_T[part.test_index]))
    return found


def _uf1(probability_NxK: np.ndarray, label_N: np.ndarray) -> float:
    prediction_N = np.asarray(probability_NxK).argmax(axis=1)
    return pooled_scores(confusion_matrix(label_N, prediction_N, probability_NxK.shape[1])).uf1


# (probability_NxK, label_N) of all inner folds pooled -> score, larger is better; by the name
# after --select_by.
SELECT_BY: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "logloss": lambda probability_NxK, label_N: -balanced_log_loss(probability_NxK, label_N),
    "auc": macro_auc,
    "uf1": _uf1,
}


def best(scores: Sequence[float]) -> int:
    """The place of the largest score, of equal ones the first; NaN is never better."""
    return int(np.argmax([-np.inf if np.isnan(score) else score for score in scores]))
