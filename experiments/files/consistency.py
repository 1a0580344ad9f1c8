"""Whether the files of a run fit each other: none may be cut or changed into other scores."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from ahmsa_jax.config import ConfigError
from ahmsa_jax.metrics import confusion_matrix
from experiments.files import run_files
from experiments.files.run_files import FoldKey, FoldRow, LogEntry, Prediction
from experiments.run.inner_selection import INNER
from experiments.run.spec import RunSpec

_AGAIN = "Start the run's command again, which writes"


def refuse_repeats(predictions: Iterable[Prediction], folds: Iterable[FoldRow]) -> None:
    """Raise ConfigError where a clip or a fold stands in the files twice."""
    names = [f"{row.subject_key}/{row.clip} (seed {row.seed})" for row in predictions]
    names += [f"{row.fold_key} (seed {row.seed})" for row in folds]
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
    spec: RunSpec,
    num_classes: int,
) -> None:
    """Raise ConfigError where predictions, folds and log do not tell of the same run.

    A row of predictions.csv names its clip's subject: where folds are no subjects, the folds of a
    seed are checked together.
    """
    is_loso = spec.split == "loso"
    rows_of: dict[FoldKey, list[Prediction]] = defaultdict(list)
    for row in predictions:
        rows_of[row.seed, row.subject_key if is_loso else "all folds"].append(row)
    folds_of: dict[FoldKey, list[FoldRow]] = defaultdict(list)
    for fold in folds:
        folds_of[fold.seed, fold.fold_key if is_loso else "all folds"].append(fold)
    entries_of: dict[FoldKey, list[LogEntry]] = defaultdict(list)
    for entry in log:
        entries_of[entry.seed, entry.fold_key].append(entry)
    for key, group in folds_of.items():
        rows, name = rows_of.pop(key, []), f"{key[1]} (seed {key[0]})"
        ended = [fold for fold in group if fold.status == "finished"]
        if not ended and not rows:
            continue
        clips, correct = sum(fold.n_test for fold in ended), sum(fold.correct for fold in ended)
        hits = sum(row.label == row.prediction for row in rows)
        if (len(rows), hits) != (clips, correct):
            raise ConfigError(
                f"{run_files.PREDICTIONS_FILE} holds {len(rows)} clips of {name}, {hits} right; "
                f"{run_files.FOLDS_FILE} says {clips}, {correct} right. {_AGAIN} both anew."
            )
        entries = [entries_of[fold.seed, fold.fold_key] for fold in ended]
        if fault := _fault_of_log(entries, confusion_of(rows, num_classes), spec):
            raise ConfigError(f"{run_files.METRICS_FILE} {fault} of {name}. {_AGAIN} it anew.")
    # Labels shuffled by another seed differ, and are meant to.
    _refuse_other_clips(predictions, with_labels=not spec.shuffled_labels)
    if rows_of:
        seed, subject_key = min(rows_of)
        raise ConfigError(
            f"{run_files.PREDICTIONS_FILE} holds clips of {subject_key} (seed {seed}), of which "
            f"{run_files.FOLDS_FILE} says nothing. Start the run's command again."
        )


def _refuse_other_clips(predictions: Sequence[Prediction], *, with_labels: bool) -> None:
    """Raise ConfigError where a subject's clips or labels differ between seeds."""
    clips_of: dict[FoldKey, set[tuple[str, int]]] = defaultdict(set)
    for row in predictions:
        clips_of[row.seed, row.subject_key].add((row.clip, row.label * with_labels))
    first: dict[str, FoldKey] = {}
    for key, clips in sorted(clips_of.items()):
        other = first.setdefault(key[1], key)
        if odd := sorted(clips ^ clips_of[other]):
            raise ConfigError(
                f"{run_files.PREDICTIONS_FILE} has the clip {odd[0][0]} of {key[1]} with one label "
                f"under one of the seeds {other[0]} and {key[0]} only. {_AGAIN} it anew."
            )


def _fault_of_log(
    entries_of_folds: Sequence[Sequence[LogEntry]], final_KxK: np.ndarray, spec: RunSpec
) -> str | None:
    """What of the folds' logs cannot be: epochs missing, or counts that are not of their clips."""
    epochs, every = spec.epochs, spec.eval_every
    if spec.kind == "classical":
        return "has entries, which no classical method makes," if any(entries_of_folds) else None
    if spec.select == INNER:
        # The epochs are each fold's own: its last entry is what it predicts.
        return _fault_of_last(entries_of_folds, final_KxK)
    wanted = sorted({*range(every, epochs + 1, every), epochs}) if every else [epochs]
    counts_of = dict.fromkeys(wanted, np.zeros_like(final_KxK))
    for entries in entries_of_folds:
        evaluated = [(e.epoch, e.confusion_KxK) for e in entries if e.confusion_KxK is not None]
        if sorted(epoch for epoch, _ in evaluated) != wanted:
            return "lacks epochs, or holds others,"
        for epoch, counts_KxK in evaluated:
            if counts_KxK.shape != final_KxK.shape:
                return f"has a confusion matrix of the shape {counts_KxK.shape}"
            counts_of[epoch] = counts_of[epoch] + counts_KxK
    for epoch, counts_KxK in counts_of.items():
        # The held-out clips are the same at every epoch: so is the number of each true class.
        if not np.array_equal(counts_KxK.sum(axis=1), final_KxK.sum(axis=1)):
            found, held_out = (matrix.sum(axis=1).tolist() for matrix in (counts_KxK, final_KxK))
            return f"counts {found} clips of each class at epoch {epoch}, not the {held_out}"
    if not np.array_equal(counts_of[epochs], final_KxK):
        return f"differs from {run_files.PREDICTIONS_FILE} at the last epoch"
    return None


def _fault_of_last(
    entries_of_folds: Sequence[Sequence[LogEntry]], final_KxK: np.ndarray
) -> str | None:
    counts_KxK = np.zeros_like(final_KxK)
    for entries in entries_of_folds:
        evaluated = [e.confusion_KxK for e in entries if e.confusion_KxK is not None]
        if len(evaluated) != 1 or evaluated[0].shape != final_KxK.shape:
            return "has not one evaluation of each fold"
        counts_KxK += evaluated[0]
    if not np.array_equal(counts_KxK, final_KxK):
        return f"differs from {run_files.PREDICTIONS_FILE} at the chosen epoch"
    return None


def confusion_of(rows: Iterable[Prediction], num_classes: int) -> np.ndarray:
    """Pooled confusion matrix of some rows, rows the truth."""
    pairs_Nx2 = np.array([(row.label, row.prediction) for row in rows], np.int64).reshape(-1, 2)
    return confusion_matrix(pairs_Nx2[:, 0], pairs_Nx2[:, 1], num_classes)
