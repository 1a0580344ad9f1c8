"""The files of a run that others read: written from chunk results, read back by the reports.

Formats as the Contract has them: CSV and JSON lines, UTF-8, LF; probabilities with 9 significant
digits, which give back the float32 bits.
"""

import csv
import dataclasses
import io
import json
import math
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ahmsa_jax.config import ConfigError
from input_pipeline.core.clips import CLASS_NAMES, Clips
from input_pipeline.core.files import read_text, write_whole

if TYPE_CHECKING:
    # Reports read these files without JAX.
    from experiments.files.chunks import ChunkResult
    from experiments.schedule.plan import Chunk

PREDICTIONS_FILE = "predictions.csv"
FOLDS_FILE = "folds.csv"
METRICS_FILE = "metrics.jsonl"
PROBABILITY_COLUMNS = tuple(f"prob_{name}" for name in CLASS_NAMES)
PREDICTION_COLUMNS = (
    "seed", "database", "subject", "clip", "label", "prediction", *PROBABILITY_COLUMNS,
)  # fmt: skip
FOLD_COLUMNS = (
    "seed", "database", "subject", "n_train", "n_test", "steps_per_epoch", "correct",
    "final_loss", "status", "chunk", "seconds",
)  # fmt: skip
# Of one of these files: 100,000 folds with 200 lines each stay below.
MOST_BYTES = 4 * 2**30
# At most about so many epochs of a fold are logged, besides those evaluated and the last.
LOGGED_EPOCHS = 200

FoldKey = tuple[int, str]  # seed and the held-out subject's key


@dataclasses.dataclass(frozen=True)
class Prediction:
    """One held-out clip's row; label and prediction index CLASS_NAMES."""

    seed: int
    database: str
    subject: str
    clip: str
    label: int
    prediction: int

    @property
    def fold(self) -> FoldKey:
        """Seed and subject key of the fold that the clip was held out of."""
        return self.seed, f"{self.database}/{self.subject}"


@dataclasses.dataclass(frozen=True)
class FoldRow:
    """One fold's row of folds.csv."""

    seed: int
    subject_key: str
    n_train: int
    n_test: int
    correct: int
    status: str
    seconds: float


@dataclasses.dataclass(frozen=True)
class LogEntry:
    """One line of metrics.jsonl; the confusion matrix only where the epoch was evaluated."""

    seed: int
    epoch: int
    subject_key: str
    train_loss: float
    confusion_KxK: np.ndarray | None


def write_run_files(
    workdir: pathlib.Path, clips: Clips, finished: Sequence[tuple["Chunk", "ChunkResult"]]
) -> None:
    """Write predictions.csv, folds.csv and metrics.jsonl of the chunks finished so far."""
    predictions: list[tuple[Any, ...]] = []
    folds: list[tuple[Any, ...]] = []
    metrics: list[tuple[int, int, str, str]] = []
    for chunk, result in finished:
        for row, job in enumerate(chunk.jobs):
            database, subject = job.fold.key.split("/")
            probability = result.probability[row]
            label = clips.label_N[job.fold.test_index]
            prediction = probability.argmax(axis=-1)
            done = result.finished(row)
            if done:
                for place, index in enumerate(job.fold.test_index):
                    predictions.append(
                        (
                            job.seed,
                            database,
                            subject,
                            str(clips.clip_N[index]),
                            CLASS_NAMES[label[place]],
                            CLASS_NAMES[prediction[place]],
                            *(f"{value:.9g}" for value in probability[place]),
                        )
                    )
            folds.append(
                (
                    job.seed,
                    database,
                    subject,
                    job.fold.n_train,
                    len(label),
                    chunk.shape.steps,
                    int((label == prediction).sum()) if done else 0,
                    # Of given weights nobody knows the loss.
                    f"{result.loss_SxE[row, -1]:.9g}" if result.loss_SxE.size else "",
                    "finished" if done else "failed",
                    chunk.number,
                    f"{result.seconds / len(chunk.jobs):.3f}",
                )
            )
            metrics += _log_lines(job.seed, job.fold.key, row, result)
    lines = [line for *_, line in sorted(metrics)]
    texts = {
        PREDICTIONS_FILE: _csv(PREDICTION_COLUMNS, sorted(predictions)),
        FOLDS_FILE: _csv(FOLD_COLUMNS, sorted(folds)),
        METRICS_FILE: "".join(f"{line}\n" for line in lines),
    }
    for name, text in texts.items():
        path = workdir / name
        if not path.is_file() or path.read_bytes() != text.encode():
            write_whole(path, text)


def _log_lines(
    seed: int, key: str, row: int, result: "ChunkResult"
) -> list[tuple[int, int, str, str]]:
    epochs = result.loss_SxE.shape[1]
    every = max(1, -(-epochs // LOGGED_EPOCHS))
    place_of = {int(epoch): place for place, epoch in enumerate(result.evaluated_V)}
    lines = []
    # Given weights, evaluated as they are, stand under epoch 0.
    for epoch in range(1, epochs + 1) if epochs else [0]:
        if epoch % every and epoch not in place_of and epoch not in (1, epochs):
            continue
        loss = float(result.loss_SxE[row, epoch - 1]) if epochs else math.nan
        entry: dict[str, Any] = {
            "seed": seed,
            "epoch": epoch,
            "fold": key,
            # JSON knows no NaN.
            "train_loss": loss if math.isfinite(loss) else None,
        }
        if epoch in place_of:
            entry["confusion"] = result.confusion_SxVxKxK[row, place_of[epoch]].tolist()
        lines.append((seed, epoch, key, json.dumps(entry)))
    return lines


def _csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def read_predictions(workdir: pathlib.Path) -> list[Prediction]:
    """Rows of predictions.csv; raises ConfigError on a missing or damaged file."""
    path = workdir / PREDICTIONS_FILE
    rows = _read_csv(path, PREDICTION_COLUMNS)
    try:
        for row in rows:
            _checked_probabilities(row)
        return [
            Prediction(
                int(row["seed"]),
                row["database"],
                row["subject"],
                row["clip"],
                CLASS_NAMES.index(row["label"]),
                CLASS_NAMES.index(row["prediction"]),
            )
            for row in rows
        ]
    except ValueError as error:
        raise _damaged(path, error) from None


def read_folds(workdir: pathlib.Path) -> list[FoldRow]:
    """Rows of folds.csv; raises ConfigError on a missing or damaged file."""
    path = workdir / FOLDS_FILE
    rows = _read_csv(path, FOLD_COLUMNS)
    try:
        return [
            FoldRow(
                int(row["seed"]),
                f"{row['database']}/{row['subject']}",
                int(row["n_train"]),
                int(row["n_test"]),
                int(row["correct"]),
                _status(row["status"]),
                float(row["seconds"]),
            )
            for row in rows
        ]
    except ValueError as error:
        raise _damaged(path, error) from None


def _status(text: str) -> str:
    if text not in ("finished", "failed"):
        raise ValueError(f"the status {text[:20]!a} is none")
    return text


def _checked_probabilities(row: dict[str, str]) -> None:
    values = [float(row[name]) for name in PROBABILITY_COLUMNS]
    if not all(0 <= value <= 1 for value in values):
        raise ValueError(f"the probabilities of {row['clip'][:40]!a} do not lie in 0..1")


def read_metrics(workdir: pathlib.Path) -> list[LogEntry]:
    """Lines of metrics.jsonl; raises ConfigError on a missing or damaged file."""
    path = workdir / METRICS_FILE
    try:
        entries = [json.loads(line) for line in read_text(path, MOST_BYTES).splitlines()]
        return [
            LogEntry(
                int(entry["seed"]),
                int(entry["epoch"]),
                str(entry["fold"]),
                math.nan if entry["train_loss"] is None else float(entry["train_loss"]),
                _confusion(entry["confusion"]) if "confusion" in entry else None,
            )
            for entry in entries
        ]
    except FileNotFoundError:
        raise _missing(path) from None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise _damaged(path, error) from None


def _confusion(rows: Any) -> np.ndarray:
    counts_KxK = np.array(rows, np.int64)
    if counts_KxK.shape != (len(CLASS_NAMES), len(CLASS_NAMES)):
        raise ValueError(f"a confusion matrix has the shape {counts_KxK.shape}")
    if (counts_KxK < 0).any():
        raise ValueError("a confusion matrix has a count below 0")
    return counts_KxK


def _read_csv(path: pathlib.Path, columns: Sequence[str]) -> list[dict[str, str]]:
    try:
        reader = csv.DictReader(io.StringIO(read_text(path, MOST_BYTES), newline=""))
        rows = list(reader)
        if tuple(reader.fieldnames or ()) != tuple(columns):
            raise ValueError(f"its header is not {','.join(columns)}")
        if any(None in row or None in row.values() for row in rows):
            raise ValueError("a row has not as many fields as the header")
    except FileNotFoundError:
        raise _missing(path) from None
    except (ValueError, csv.Error) as error:
        raise _damaged(path, error) from None
    return rows


def _missing(path: pathlib.Path) -> ConfigError:
    return ConfigError(
        f"'{path}' is missing; no chunk of the run has finished yet, or it is no run's workdir."
    )


def _damaged(path: pathlib.Path, error: Exception) -> ConfigError:
    return ConfigError(
        f"'{path}' is damaged ({error}); start the run's command again, which writes it anew."
    )
