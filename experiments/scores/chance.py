"""Scores of those who have learnt nothing: guessing at random, and always the same answer.

Letters in array names: K classes.
"""

import math

import numpy as np

from ahmsa_jax.metrics import Scores, pooled_scores


def guessing(count_K: np.ndarray) -> Scores:
    """Expected scores of answers drawn with equal chances, given the clips of each class.

    Exact: if p of N clips are answered with a class of n, p n / N of them are right on average, so
    its F1 is 2 p n / (N (n + p)) on average, and p is binomial. A class without clips counts 0.
    """
    count_K = np.asarray(count_K, np.int64)
    classes, total = len(count_K), int(count_K.sum())
    if not total:
        return Scores(0.0, 0.0, 0.0, 0)
    answered = np.arange(total + 1)
    log_weight = np.array([math.log(math.comb(total, p)) for p in range(total + 1)])
    log_weight += answered * math.log(1 / classes) + (total - answered) * math.log(1 - 1 / classes)
    weight = np.exp(log_weight)
    f1 = [float((weight * 2 * answered * n / (total * (n + answered))).sum()) for n in count_K if n]
    present = int((count_K > 0).sum())
    return Scores(sum(f1) / classes, present / classes**2, 1 / classes, total)


def majority(count_K: np.ndarray) -> Scores:
    """Scores of always answering the class with most clips; of equal ones, the first."""
    confusion_KxK = np.zeros((len(count_K), len(count_K)), np.int64)
    confusion_KxK[:, int(np.argmax(count_K))] = count_K
    return pooled_scores(confusion_KxK)
