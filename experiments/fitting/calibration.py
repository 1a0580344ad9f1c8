"""One temperature on averaged probabilities, and how far they then are from what happens.

Guo et al. 2017 (arXiv 1706.04599): log probabilities are divided by one number, found by maximum
likelihood on predictions of clips that were held out. Letters in array names: N clips, K classes.
"""

import math
from typing import NamedTuple

import numpy as np
import scipy.optimize

from ahmsa_jax.metrics import log_loss

# Probabilities are clipped here before their logarithm.
LEAST = 1e-7
# Temperatures are searched between 1/20 and 20.
_WIDEST = math.log(20.0)
BINS = 10


class Bins(NamedTuple):
    """Clips by their confidence, in equal steps of it: number, mean confidence, share right."""

    count_B: np.ndarray
    confidence_B: np.ndarray
    right_B: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error: |share right - confidence|, weighted by clips."""
        share_B = self.count_B / self.count_B.sum()
        return float((share_B * np.abs(self.right_B - self.confidence_B)).sum())


def tempered(probability_NxK: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(log p / T), with p clipped at LEAST; T = 1 gives p but for that."""
    log_NxK = np.log(np.maximum(probability_NxK, LEAST)) / temperature
    log_NxK = log_NxK - log_NxK.max(axis=-1, keepdims=True)
    found: np.ndarray = np.exp(log_NxK)
    return found / found.sum(axis=-1, keepdims=True)


def temperature(probability_NxK: np.ndarray, label_N: np.ndarray) -> float:
    """The temperature with the smallest log-loss on these clips, between 1/20 and 20."""
    found = scipy.optimize.minimize_scalar(
        lambda log_t: log_loss(tempered(probability_NxK, math.exp(log_t)), label_N),
        bounds=(-_WIDEST, _WIDEST),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return math.exp(float(found.x))


def cross_fitted(
    probability_NxK: np.ndarray, label_N: np.ndarray, subject_N: np.ndarray
) -> np.ndarray:
    """Each subject's probabilities under the temperature of all others, (N, K).

    A single subject keeps its own as they are.
    """
    found = np.array(probability_NxK, np.float64)
    for subject in np.unique(subject_N):
        own_N = subject_N == subject
        if not own_N.all():
            found[own_N] = tempered(
                probability_NxK[own_N], temperature(probability_NxK[~own_N], label_N[~own_N])
            )
    return found


def bins(probability_NxK: np.ndarray, label_N: np.ndarray) -> Bins:
    """The clips by the probability of their predicted class; empty bins are left out."""
    confidence_N = probability_NxK.max(axis=-1)
    right_N = probability_NxK.argmax(axis=-1) == label_N
    place_N = np.minimum((confidence_N * BINS).astype(int), BINS - 1)
    places = np.unique(place_N)
    rows = [
        (
            (place_N == place).sum(),
            confidence_N[place_N == place].mean(),
            right_N[place_N == place].mean(),
        )
        for place in places
    ]
    return Bins(*(np.array(column) for column in zip(*rows, strict=True)))
