"""Whether the files of a run fit each other: none may be cut or changed into other scores."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ahmsa_jax.config import ConfigError
from ahmsa_jax.metrics import confusion_matrix
from experiments.files import run_files
from experiments.files.run_files import FoldKey, FoldRow, LogEntry, Prediction


def refuse_repeats(predictions: Iterable[Prediction], folds: Iterable[FoldRow]) -> None:
    """Raise ConfigError where a clip or a fold stands in the files twice."""
    names = [f"{row.database}/{row.subject}/{row.clip} (seed {row.seed})" for row in predictions]
    names += [f"{row.subject_key} (seed {row.seed})" for row in folds]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ConfigError(
            f"{twice[0]} stands in the files twice ({len(twice)} in all); each fold must come "
            "from one workdir only."
        )


def refuse_gaps(
    predictions: Sequence[Prediction],
    folds: Sequence[FoldRow],
    log: Sequence[LogEntry],
    config: dict[str, Any],
) -> None:
    """Raise ConfigError where predictions, folds and log do not tell of the same run."""
    rows_of: dict[FoldKey, list[Prediction]] = defaultdict(list)
    for row in predictions:
        rows_of[row.fold].append(row)
    entries_of: dict[FoldKey, list[LogEntry]] = defaultdict(list)
    for entry in log:
        entries_of[entry.seed, entry.subject_key].append(entry)
    for fold in folds:
        key = (fold.seed, fold.subject_key)
        rows = rows_of.pop(key, [])
        if fold.status == "failed" and not rows:
            continue
        name = f"{fold.subject_key} (seed {fold.seed})"
        hits = sum(row.label == row.prediction for row in rows)
        if (len(rows), hits) != (fold.n_test, fold.correct) or fold.status == "failed":
            raise ConfigError(
                f"{run_files.PREDICTIONS_FILE} holds {len(rows)} clips of {name}, {hits} right; "
                f"{run_files.FOLDS_FILE} says {fold.n_test}, {fold.correct} right, {fold.status}. "
                "Start the run's command again, which writes both anew."
            )
        if fault := _fault_of_log(entries_of[key], confusion_of(rows), config):
            raise ConfigError(
                f"{run_files.METRICS_FILE} {fault} of {name}. Start the run's command again, which "
                "writes it anew."
            )
    _refuse_other_clips(predictions)
    if rows_of:
        seed, subject_key = min(rows_of)
        raise ConfigError(
            f"{run_files.PREDICTIONS_FILE} holds clips of {subject_key} (seed {seed}), of which "
            f"{run_files.FOLDS_FILE} says nothing. Start the run's command again."
        )


def _refuse_other_clips(predictions: Sequence[Prediction]) -> None:
    """Raise ConfigError where a subject's clips or labels differ between seeds."""
    clips_of: dict[FoldKey, set[tuple[str, int]]] = defaultdict(set)
    for row in predictions:
        clips_of[row.fold].add((row.clip, row.label))
    first: dict[str, FoldKey] = {}
    for key, clips in sorted(clips_of.items()):
        other = first.setdefault(key[1], key)
        if odd := sorted(clips ^ clips_of[other]):
            raise ConfigError(
                f"{run_files.PREDICTIONS_FILE} has the clip {odd[0][0]} of {key[1]} with one label "
                f"under one of the seeds {other[0]} and {key[0]} only. Start the run's command "
                "again, which writes it anew."
            )


def _fault_of_log(
    entries: Sequence[LogEntry], final_KxK: np.ndarray, config: dict[str, Any]
) -> str | None:
    """What of a fold's log cannot be: epochs missing, or counts that are not those of its clips."""
    epochs, every = config["train_config"]["epochs"], config["eval_every"]
    wanted = sorted({*range(every, epochs + 1, every), epochs}) if every else [epochs]
    evaluated = [
        (entry.epoch, entry.confusion_KxK) for entry in entries if entry.confusion_KxK is not None
    ]
    if sorted(epoch for epoch, _ in evaluated) != wanted:
        return "lacks epochs, or holds others,"
    for epoch, counts_KxK in evaluated:
        # The held-out clips are the same at every epoch: so is the number of each true class.
        if not np.array_equal(counts_KxK.sum(axis=1), final_KxK.sum(axis=1)):
            found, held_out = (matrix.sum(axis=1).tolist() for matrix in (counts_KxK, final_KxK))
            return f"counts {found} clips of each class at epoch {epoch}, not the {held_out}"
    if not np.array_equal(dict(evaluated)[epochs], final_KxK):
        return f"differs from {run_files.PREDICTIONS_FILE} at the last epoch"
    return None


def confusion_of(rows: Iterable[Prediction]) -> np.ndarray:
    """Pooled confusion matrix of some rows, rows the truth."""
    rows = list(rows)
    truth = np.array([row.label for row in rows], np.int64)
    return confusion_matrix(truth, np.array([row.prediction for row in rows], np.int64))
