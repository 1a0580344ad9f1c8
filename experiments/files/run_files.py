"""The files of a run that others read: written from chunk results, read back by the reports.

Formats (docs/running.md): CSV and JSON lines, UTF-8, LF; probabilities with 9 significant
digits, which give back the float32 bits.
"""

import csv
import dataclasses
import io
import json
import math
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from ahmsa_jax.config import ConfigError
from ahmsa_jax.metrics import confusion_matrix
from ahmsa_jax.training.protocols import Job
from experiments.run.chunk import Choice, Chunk, ChunkResult, History
from input_pipeline.core.clips import Clips
from input_pipeline.core.files import read_text, write_whole
from input_pipeline.core.tables import csv_text

PREDICTIONS_FILE = "predictions.csv"
FOLDS_FILE = "folds.csv"
METRICS_FILE = "metrics.jsonl"
# The columns of predictions.csv end with one of each class, in the order of the labels.
_PROBABILITY = "prob_"
_CLIP_COLUMNS = ("seed", "database", "subject", "clip", "label", "prediction")
_TRAINING = ("n_train", "n_test", "steps_per_epoch", "correct", "final_loss")
FOLD_COLUMNS = ("seed", "database", "subject", *_TRAINING, "status", "chunk", "seconds")
# Of runs with inner selection alone.
CHOICE_COLUMNS = ("epochs", "candidate", "inner_score")
# Of one of these files: 100,000 folds with 200 lines each stay below.
MOST_BYTES = 4 * 2**30
# At most about so many epochs of a fold are logged, besides those evaluated and the last.
LOGGED_EPOCHS = 200

FoldKey = tuple[int, str]  # seed and the fold's key
Row = TypeVar("Row")


@dataclasses.dataclass(frozen=True)
class Prediction:
    """One held-out clip's row; label and prediction index the run's class names."""

    seed: int
    database: str
    subject: str
    clip: str
    label: int
    prediction: int
    probability_K: tuple[float, ...] = ()

    @property
    def subject_key(self) -> str:
        """`database/subject` of the clip."""
        return f"{self.database}/{self.subject}"


@dataclasses.dataclass(frozen=True)
class FoldRow:
    """One fold's row of folds.csv."""

    seed: int
    fold_key: str
    n_train: int
    n_test: int
    correct: int
    status: str
    seconds: float
    choice: Choice | None = None  # of inner selection


@dataclasses.dataclass(frozen=True)
class LogEntry:
    """One line of metrics.jsonl; the confusion matrix only where the epoch was evaluated."""

    seed: int
    epoch: int
    fold_key: str
    train_loss: float
    confusion_KxK: np.ndarray | None


def prediction_columns(class_names: Sequence[str]) -> tuple[str, ...]:
    """The header of predictions.csv."""
    return (*_CLIP_COLUMNS, *(f"{_PROBABILITY}{name}" for name in class_names))


def write_run_files(
    workdir: pathlib.Path, clips: Clips, finished: Sequence[tuple[Chunk, ChunkResult]]
) -> None:
    """Write predictions.csv, folds.csv and metrics.jsonl of the chunks finished so far."""
    predictions: list[tuple[Any, ...]] = []
    folds: list[tuple[Any, ...]] = []
    metrics: list[tuple[int, int, str, str]] = []
    for chunk, result in finished:
        for row, job in enumerate(chunk.jobs):
            label_T = clips.label_N[job.fold.test_index]
            prediction_T = result.probability[row].argmax(axis=-1)
            done = result.finished(row)
            if done:
                predictions += _clip_rows(clips, job, prediction_T, result.probability[row])
            # A subject's key has two parts; of other folds the first column may be empty.
            database, _, subject = job.fold.key.rpartition("/")
            correct = int((label_T == prediction_T).sum()) if done else 0
            # Of given weights nobody knows the loss.
            loss = f"{result.loss_SxE[row, -1]:.9g}" if result.epoch else ""
            status, seconds = "finished" if done else "failed", result.seconds / len(chunk.jobs)
            training = (job.fold.n_train, len(label_T), chunk.shape.steps, correct, loss)
            ending = (status, chunk.number, f"{seconds:.3f}")
            choice = _choice_cells(result.choices[row]) if result.choices else ()
            folds.append((job.seed, database, subject, *training, *ending, *choice))
            metrics += _log_lines(job.seed, job.fold.key, row, result)
    columns: tuple[str, ...] = FOLD_COLUMNS
    if any(result.choices for _, result in finished):
        columns += CHOICE_COLUMNS
    texts = {
        PREDICTIONS_FILE: csv_text(prediction_columns(clips.class_names), sorted(predictions)),
        FOLDS_FILE: csv_text(columns, sorted(folds)),
        METRICS_FILE: "".join(f"{line}\n" for *_, line in sorted(metrics)),
    }
    for name, text in texts.items():
        path = workdir / name
        if not path.is_file() or path.read_bytes() != text.encode():
            write_whole(path, text)


def counts_of(job: Job, clips: Clips, probability_TxK: np.ndarray) -> np.ndarray:
    """Confusion counts (K, K) of a job's held-out clips, rows the truth."""
    label_T = clips.label_N[job.fold.test_index]
    return confusion_matrix(label_T, probability_TxK.argmax(axis=-1), probability_TxK.shape[-1])


def _choice_cells(choice: Choice) -> tuple[str, str, str]:
    epochs = "" if choice.epochs is None else str(choice.epochs)
    return epochs, choice.candidate, f"{choice.score:.9g}"


def _clip_rows(
    clips: Clips, job: Job, prediction_T: np.ndarray, probability_TxK: np.ndarray
) -> list[tuple[Any, ...]]:
    columns, names = (clips.database_N, clips.subject_N, clips.clip_N), clips.class_names
    rows = []
    held_out = zip(job.fold.test_index, prediction_T, probability_TxK, strict=True)
    for index, prediction, probability_K in held_out:
        clip = (str(column_N[index]) for column_N in columns)
        answers = (names[clips.label_N[index]], names[prediction])
        rows.append((job.seed, *clip, *answers, *(f"{value:.9g}" for value in probability_K)))
    return rows


def _log_lines(seed: int, key: str, row: int, result: History) -> list[tuple[int, int, str, str]]:
    epochs = result.epoch
    every = max(1, -(-epochs // LOGGED_EPOCHS))
    place_of = {int(epoch): place for place, epoch in enumerate(result.evaluated_V)}
    lines = []
    # Given weights, evaluated as they are, stand under epoch 0; a method without epochs nowhere.
    for epoch in range(1, epochs + 1) if epochs else place_of:
        if epoch % every and epoch not in place_of and epoch not in (1, epochs):
            continue
        loss = float(result.loss_SxE[row, epoch - 1]) if epochs else math.nan
        # JSON knows no NaN.
        shown = loss if math.isfinite(loss) else None
        entry: dict[str, Any] = {"seed": seed, "epoch": epoch, "fold": key, "train_loss": shown}
        if epoch in place_of:
            entry["confusion"] = result.confusion_SxVxKxK[row, place_of[epoch]].tolist()
        lines.append((seed, epoch, key, json.dumps(entry)))
    return lines


def read_predictions(workdir: pathlib.Path) -> tuple[tuple[str, ...], list[Prediction]]:
    """Class names and rows of predictions.csv; raises ConfigError on a missing or damaged file."""
    path = workdir / PREDICTIONS_FILE
    header, rows = _read_csv(path)
    names = tuple(name.removeprefix(_PROBABILITY) for name in header[len(_CLIP_COLUMNS) :])
    if len(names) < 2 or tuple(header) != prediction_columns(names):
        raise _damaged(path, "its header is not that of predictions")

    def prediction(row: dict[str, str]) -> Prediction:
        values = [float(row[f"{_PROBABILITY}{name}"]) for name in names]
        if not all(0 <= value <= 1 for value in values):
            raise ValueError(f"the probabilities of {row['clip'][:40]!a} do not lie in 0..1")
        seed, clip = int(row["seed"]), (row["database"], row["subject"], row["clip"])
        for word in (row["label"], row["prediction"]):
            if word not in names:
                raise ValueError(f"{word[:40]!a} is none of the classes {', '.join(names)}")
        answers = (names.index(row["label"]), names.index(row["prediction"]))
        return Prediction(seed, *clip, *answers, tuple(values))

    return names, _parsed(path, rows, prediction)


def read_folds(workdir: pathlib.Path) -> list[FoldRow]:
    """Rows of folds.csv; raises ConfigError on a missing or damaged file."""
    path = workdir / FOLDS_FILE
    header, rows = _read_csv(path)
    if tuple(header) not in (FOLD_COLUMNS, (*FOLD_COLUMNS, *CHOICE_COLUMNS)):
        raise _damaged(path, f"its header is not {','.join(FOLD_COLUMNS)}")

    def fold(row: dict[str, str]) -> FoldRow:
        if row["status"] not in ("finished", "failed"):
            raise ValueError(f"the status {row['status'][:20]!a} is none")
        key = f"{row['database']}/{row['subject']}" if row["database"] else row["subject"]
        numbers = ("seed", "n_train", "n_test", "correct")
        seed, n_train, n_test, correct = (int(row[name]) for name in numbers)
        ended = (row["status"], float(row["seconds"]), _choice(row))
        return FoldRow(seed, key, n_train, n_test, correct, *ended)

    return _parsed(path, rows, fold)


def _choice(row: dict[str, str]) -> Choice | None:
    if CHOICE_COLUMNS[0] not in row:
        return None
    epochs = int(row["epochs"]) if row["epochs"] else None
    return Choice(epochs, row["candidate"], float(row["inner_score"]))


def read_metrics(workdir: pathlib.Path) -> list[LogEntry]:
    """Lines of metrics.jsonl; raises ConfigError on a missing or damaged file."""
    path = workdir / METRICS_FILE

    def entry(line: str) -> LogEntry:
        found = json.loads(line)
        if not isinstance(found, dict):
            raise ValueError(f"{line[:40]!a} is no object")
        loss = found["train_loss"]
        return LogEntry(
            int(found["seed"]),
            int(found["epoch"]),
            str(found["fold"]),
            math.nan if loss is None else float(loss),
            _confusion(found["confusion"]) if "confusion" in found else None,
        )

    return _parsed(path, _text(path).splitlines(), entry)


def _confusion(rows: Sequence[Sequence[int]]) -> np.ndarray:
    try:
        counts_KxK = np.array(rows, np.int64)
    except ValueError:
        raise ValueError("the rows of a confusion matrix are no counts, equally many") from None
    if counts_KxK.ndim != 2 or len(set(counts_KxK.shape)) != 1:
        raise ValueError(f"a confusion matrix has the shape {counts_KxK.shape}")
    if (counts_KxK < 0).any():
        raise ValueError("a confusion matrix has a count below 0")
    return counts_KxK


def _parsed(path: pathlib.Path, rows: Iterable[Any], parse: Callable[[Any], Row]) -> list[Row]:
    found = []
    # Lines of a table begin below its header.
    for number, row in enumerate(rows, start=2 if path.suffix == ".csv" else 1):
        try:
            found.append(parse(row))
        except json.JSONDecodeError as error:
            raise _damaged(path, f"line {number}: {error.msg}, character {error.colno}") from None
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise _damaged(path, f"line {number}: {error}") from None
    return found


def _read_csv(path: pathlib.Path) -> tuple[list[str], list[dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))
    try:
        rows = list(reader)
    except csv.Error as error:
        raise _damaged(path, error) from None
    if any(None in row or None in row.values() for row in rows):
        raise _damaged(path, "a row has not as many fields as the header")
    return list(reader.fieldnames or ()), rows


def _text(path: pathlib.Path) -> str:
    try:
        return read_text(path, MOST_BYTES)
    except FileNotFoundError:
        raise ConfigError(
            f"'{path}' is missing; no chunk of the run has finished yet, or it is no run's workdir."
        ) from None
    except ValueError as error:
        raise _damaged(path, error) from None


def _damaged(path: pathlib.Path, error: Exception | str) -> ConfigError:
    return ConfigError(
        f"'{path}' is damaged ({error}); start the run's command again, which writes it anew."
    )
