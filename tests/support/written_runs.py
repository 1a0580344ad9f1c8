"""Runs written by hand: the files that reports and comparisons read, from chosen predictions."""

import csv
import json
import pathlib
from collections.abc import Mapping, Sequence

from ahmsa_jax.metrics import confusion_matrix
from experiments.files import run_files
from experiments.run.workdir import canonical_json, config_hash
from input_pipeline.core.clips import CLASS_NAMES

# Labels and answers of each subject's clips, by the subject's key.
Answers = Mapping[str, tuple[Sequence[int], Sequence[int]]]


def write(
    workdir: pathlib.Path,
    by_seed: Sequence[Answers],
    *,
    dataset: str = "synthetic",
    model: str = "ahmsa",
    earlier: Answers | None = None,
    pretend: bool | None = None,
    first_seed: int = 0,
    shuffled_labels: bool = False,
) -> pathlib.Path:
    """Write a finished run of two epochs; `earlier` are the answers after the first one.

    With `pretend` None it looks like a run of a version that did not know the mark.
    """
    config = {
        "dataset": dataset,
        "layout": "five",
        "model": model,
        "seeds": list(range(first_seed, first_seed + len(by_seed))),
        "eval_every": 1 if earlier else 0,
        "train_config": {"epochs": 2, "learning_rate": 1e-3},
        "shuffled_labels": shuffled_labels,
        "model_config": {"base_dim": 6},
        "data_sha256": "0" * 64,
    }
    keys = sorted(by_seed[0])
    stored = {
        "config": config,
        "config_hash": config_hash(config),
        "folds": keys,
        "notes": [],
        "subjects_in_data_set": len(keys),
    }
    if pretend is not None:
        stored["pretend"] = pretend
    workdir.mkdir()
    (workdir / "config.json").write_text(canonical_json(stored), encoding="utf-8")
    predictions, folds, lines = [], [], []
    for seed, answers in enumerate(by_seed, first_seed):
        for key, (truth, said) in sorted(answers.items()):
            fold = [seed, *key.split("/")]
            for number, (label, answer) in enumerate(zip(truth, said, strict=True)):
                names = [CLASS_NAMES[label], CLASS_NAMES[answer]]
                predictions.append([*fold, f"clip{number}", *names, "0.2", "0.3", "0.5"])
            hits = sum(a == b for a, b in zip(truth, said, strict=True))
            folds.append([*fold, 9, len(truth), 1, hits, "0.5", "finished", 0, "1"])
            for epoch, seen in ((1, earlier), (2, answers)):
                line = {"seed": seed, "epoch": epoch, "fold": key, "train_loss": 0.5}
                if seen:
                    line["confusion"] = confusion_matrix(*seen[key], len(CLASS_NAMES)).tolist()
                lines.append(json.dumps(line))
    _csv(workdir / "predictions.csv", run_files.prediction_columns(CLASS_NAMES), predictions)
    _csv(workdir / "folds.csv", run_files.FOLD_COLUMNS, folds)
    (workdir / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return workdir


def _csv(path: pathlib.Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])
