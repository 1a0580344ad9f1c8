"""Folds learnt and predicted one after another, with inner selection where it is asked for.

Letters in array names: N clips of the data set, T clips of a fold, K classes.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ahmsa_jax.config import Settings
from ahmsa_jax.training.protocols import Fold, Job
from ahmsa_jax.training.selection import SELECT_BY, best, inner_folds
from experiments.classical_methods.method import FoldTask, Method, Places
from experiments.run.chunk import NOT_TRAINED, Choice, Chunk, ChunkResult, empty_history
from input_pipeline.core.clips import Clips


class Candidates(NamedTuple):
    """What inner selection chooses among, and how."""

    lines: Sequence[str]
    settings: Sequence[Settings]  # of each line
    select_by: str
    parts: int


class _Descriptions:
    """What a method reads of the clips, computed once for the settings that it depends on."""

    def __init__(self, method: Method, clips: Clips, places: Places) -> None:
        self._method, self._clips, self._places = method, clips, places
        self._known: dict[tuple[object, ...], Any] = {}

    def under(self, settings: Settings) -> Any:
        key = tuple(getattr(settings, name) for name in self._method.describes_by)
        if key not in self._known:
            self._known[key] = self._method.described(self._clips, settings, self._places)
        return self._known[key]


def predict_all(
    method: Method,
    settings: Settings,
    clips: Clips,
    folds: Sequence[Fold],
    *,
    places: Places,
    seed: int = 0,
    candidates: Candidates | None = None,
) -> list[tuple[Chunk, ChunkResult]]:
    """One chunk a fold, with the probabilities of its held-out clips.

    `settings` are those of every fold, unless candidates are given. Raises InputError where the
    data set lacks what the method reads, ConfigError where a fold is too small to choose in.
    """
    described = _Descriptions(method, clips, places)
    finished: list[tuple[Chunk, ChunkResult]] = []
    for fold in folds:
        started = time.perf_counter()
        choices: tuple[Choice, ...] = ()
        if candidates is not None:
            settings, choice = _chosen(method, described, clips, fold, candidates)
            choices = (choice,)
        probability_TxK = _probabilities(method, described, clips, fold, settings)
        history = empty_history(1, len(clips.class_names))
        history.seconds = time.perf_counter() - started
        result = ChunkResult(**vars(history), probability=[probability_TxK], choices=choices)
        finished.append((Chunk(len(finished), NOT_TRAINED, 1, (Job(seed, fold),)), result))
    return finished


def _chosen(
    method: Method, described: _Descriptions, clips: Clips, fold: Fold, candidates: Candidates
) -> tuple[Settings, Choice]:
    """The settings that do best over the inner folds of a fold's training subjects."""
    inner = inner_folds(fold, clips, candidates.parts)
    label_T = clips.label_N[np.concatenate([one.test_index for one in inner])]
    scores = []
    for settings in candidates.settings:
        parts = [_probabilities(method, described, clips, one, settings) for one in inner]
        scores.append(SELECT_BY[candidates.select_by](np.concatenate(parts), label_T))
    place = best(scores)
    choice = Choice(None, candidates.lines[place], float(scores[place]))
    return candidates.settings[place], choice


def _probabilities(
    method: Method, described: _Descriptions, clips: Clips, fold: Fold, settings: Settings
) -> np.ndarray:
    train_index = np.flatnonzero(fold.train_N)
    label_T = clips.label_N[train_index]
    task = FoldTask(train_index, label_T, fold.test_index, len(clips.class_names))
    return method.predicted(described.under(settings), task, settings)
