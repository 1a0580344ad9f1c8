"""What a run's probabilities say beyond their classes, and how far its scores may be off.

Letters in array names: N clips, S subjects, R seeds, K classes.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ahmsa_jax.metrics import f1_per_class, log_loss, macro_auc, recall_per_class
from experiments.files.run_files import Prediction
from experiments.scores import paired

_SCORES = {"uf1_interval": f1_per_class, "uar_interval": recall_per_class}


def probability_scores(by_seed: Sequence[Sequence[Prediction]]) -> dict[str, float | None]:
    """Macro AUC and log-loss (nats) of the probabilities, means over seeds.

    None where there are none.
    """
    found = []
    for rows in filter(None, by_seed):
        probability_NxK = np.array([row.probability_K for row in rows])
        label_N = np.array([row.label for row in rows])
        found.append((macro_auc(probability_NxK, label_N), log_loss(probability_NxK, label_N)))
    if not found:
        return {"auc": None, "log_loss": None}
    auc, loss = np.mean(found, axis=0)
    return {"auc": float(auc), "log_loss": float(loss)}


def intervals(rows: Sequence[Prediction], num_classes: int) -> dict[str, list[float] | None]:
    """95 % intervals of UF1 and UAR, means over seeds, subjects drawn within each database.

    None where each database has one subject alone, which leaves nothing to draw.
    """
    subjects = sorted({row.subject_key for row in rows})
    databases = [key.split("/")[0] for key in subjects]
    if len(set(databases)) == len(subjects):
        return dict.fromkeys(_SCORES)
    counts_SxRxKxK = paired.confusions(rows, subjects, num_classes)
    return {
        name: list(paired.score_interval(counts_SxRxKxK, score, databases))
        for name, score in _SCORES.items()
    }


def averaged(rows: Sequence[Prediction]) -> list[Prediction]:
    """One row a clip, with its probabilities averaged over the seeds that predicted it."""
    by_clip: dict[tuple[str, str], list[Prediction]] = defaultdict(list)
    for row in rows:
        by_clip[row.subject_key, row.clip].append(row)
    found = []
    for each in by_clip.values():
        mean_K = np.mean([row.probability_K for row in each], axis=0)
        answer = int(np.argmax(mean_K))
        mean = dataclasses.replace(
            each[0], seed=0, prediction=answer, probability_K=tuple(mean_K.tolist())
        )
        found.append(mean)
    return found


def scores(by_seed: Sequence[Sequence[Prediction]], num_classes: int) -> dict[str, Any]:
    """All of the above of a run."""
    rows = [row for own in by_seed for row in own]
    return probability_scores(by_seed) | intervals(rows, num_classes)
