"""Scores of the composite-database evaluation from a confusion matrix (paper eq. 6 and 7).

All are computed from counts pooled over the folds of a LOSO run, never as a mean over folds
(MEGC 2019 protocol, See et al., doi 10.1109/FG.2019.8756611), unless a name says otherwise.
log_loss and macro_auc judge the probabilities themselves; settings are chosen by them.
"""

import dataclasses

import numpy as np

_LEAST_PROBABILITY = 1e-7


@dataclasses.dataclass(frozen=True)
class Scores:
    """UF1, UAR and accuracy, each in 0..1, of n clips."""

    uf1: float
    uar: float
    accuracy: float
    n: int


def confusion_matrix(truth_N: np.ndarray, prediction_N: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts (num_classes, num_classes): rows the true class, columns the predicted one."""
    counts_KxK = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(counts_KxK, (np.asarray(truth_N), np.asarray(prediction_N)), 1)
    return counts_KxK


def f1_per_class(confusion_KxK: np.ndarray) -> np.ndarray:
    """F1 of each class, 2TP / (2TP + FP + FN) (eq. 6); 0 where the class occurs nowhere.

    Takes one matrix or many, (..., K, K).
    """
    # 2TP + FP + FN is the row sum plus the column sum.
    counted_K = confusion_KxK.sum(axis=-1) + confusion_KxK.sum(axis=-2)
    return _shares(2.0 * _hits(confusion_KxK), counted_K)


def recall_per_class(confusion_KxK: np.ndarray) -> np.ndarray:
    """Recall of each class, TP / clips of the class (eq. 7); 0 for a class without clips.

    Takes one matrix or many, (..., K, K).
    """
    return _shares(1.0 * _hits(confusion_KxK), confusion_KxK.sum(axis=-1))


def _hits(confusion_KxK: np.ndarray) -> np.ndarray:
    return np.diagonal(confusion_KxK, axis1=-2, axis2=-1)


def _shares(part_K: np.ndarray, whole_K: np.ndarray) -> np.ndarray:
    return np.divide(part_K, whole_K, out=np.zeros(part_K.shape), where=whole_K > 0)


def pooled_scores(confusion_KxK: np.ndarray) -> Scores:
    """UF1 and UAR as unweighted means over all classes, absent ones counting 0, and accuracy.

    Equal to scikit-learn's f1_score and recall_score with all labels given, average='macro' and
    zero_division=0. An empty matrix scores 0.
    """
    return _scores(confusion_KxK, np.ones(len(confusion_KxK), bool))


def subject_scores(confusion_KxK: np.ndarray) -> Scores:
    """The same over the classes present in one subject's clips only, for the mean over subjects."""
    return _scores(confusion_KxK, confusion_KxK.sum(axis=1) > 0)


def _scores(confusion_KxK: np.ndarray, counts_K: np.ndarray) -> Scores:
    total = int(confusion_KxK.sum())
    if not total:
        return Scores(0.0, 0.0, 0.0, 0)
    return Scores(
        uf1=float(f1_per_class(confusion_KxK)[counts_K].mean()),
        uar=float(recall_per_class(confusion_KxK)[counts_K].mean()),
        accuracy=float(np.trace(confusion_KxK) / total),
        n=total,
    )


def log_loss(probability_NxK: np.ndarray, label_N: np.ndarray) -> float:
    """Mean over clips of -ln p(true class), in nats; probabilities are clipped at 1e-7."""
    return float(_surprise(probability_NxK, label_N).mean())


def balanced_log_loss(probability_NxK: np.ndarray, label_N: np.ndarray) -> float:
    """The same as the mean over the classes present of each class's mean, in nats."""
    surprise_N, label_N = _surprise(probability_NxK, label_N), np.asarray(label_N)
    return float(np.mean([surprise_N[label_N == label].mean() for label in np.unique(label_N)]))


def _surprise(probability_NxK: np.ndarray, label_N: np.ndarray) -> np.ndarray:
    own_N = np.asarray(probability_NxK, np.float64)[np.arange(len(label_N)), np.asarray(label_N)]
    return -np.log(np.clip(own_N, _LEAST_PROBABILITY, 1.0))


def macro_auc(probability_NxK: np.ndarray, label_N: np.ndarray) -> float:
    """Area under the ROC curve, each class against the rest, as the mean over the classes.

    A class counts where it has clips and the rest has some; equal probabilities count half. 0.5,
    as guessing scores, where no class counts.
    """
    label_N = np.asarray(label_N)
    areas = []
    for label, probability_N in enumerate(np.asarray(probability_NxK).T):
        inside, outside = probability_N[label_N == label], np.sort(probability_N[label_N != label])
        if len(inside) and len(outside):
            below = np.searchsorted(outside, inside, side="left")
            not_above = np.searchsorted(outside, inside, side="right")
            areas.append((below + not_above).sum() / (2 * len(inside) * len(outside)))
    return float(np.mean(areas)) if areas else 0.5
