"""The settings of a model with inner selection: the best over subject-grouped folds of all clips.

One choice for all seeds, by the mean of their scores; a nested leave-one-subject-out run, which is
the model's estimate, chooses in each fold and seed anew.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from ahmsa_jax.config import NetworkConfig, TrainConfig
from ahmsa_jax.training.protocols import Fold
from ahmsa_jax.training.selection import best, inner_folds
from experiments.run.request import Run
from experiments.run.spec import Execution
from experiments.schedule import nested
from experiments.schedule.interruption import Interruption


class Chosen(NamedTuple):
    """The candidate's line, the epochs, their mean score, and the settings that they make."""

    line: str
    epochs: int
    score: float
    network: NetworkConfig
    training: TrainConfig


def choose(run: Run, execution: Execution, interruption: Interruption) -> Chosen:
    """Train every candidate on the inner folds, below the workdir, and take the best.

    Raises StoppedError where a signal asked for it; the same call then goes on.
    """
    parts = run.spec.inner_folds
    assert parts is not None, "a run with inner selection has inner folds"
    (fold,) = run.folds
    inner = inner_folds(fold, run.clips, parts)
    candidates = nested.candidates_of(run)
    found = []
    for candidate in candidates:
        nested.tell(candidate, len(candidates), nested.INNER)
        curves = nested.inner_curves(candidate, parts, execution, interruption)
        found.append(_best_epochs(candidate, curves, inner, run))
    return found[best([chosen.score for chosen in found])]


def _best_epochs(
    candidate: nested.Candidate,
    curves: dict[nested.JobKey, nested.Curve],
    inner: list[Fold],
    run: Run,
) -> Chosen:
    by_seed = []
    for seed in run.spec.seeds:
        own = [(fold, curves[seed, fold.key]) for fold in inner]
        by_seed.append(nested.scores_of(own, run.clips, run.spec.select_by or ""))
    mean_V = np.mean(by_seed, axis=0).tolist()
    epochs_V = curves[run.spec.seeds[0], inner[0].key].epochs_V
    place = best(mean_V) if np.isfinite(mean_V).all() else -1
    epochs, training = int(epochs_V[place]), candidate.run.train_config
    if candidate.chooses_epochs:
        training = dataclasses.replace(training, epochs=epochs)
    return Chosen(candidate.line, epochs, mean_V[place], candidate.run.network_config, training)
