"""Folds that hold out clips of several subjects, and runs of five classes: files and scores."""

import dataclasses

import numpy as np
import pytest
import stored_clips
from written_runs import write

from ahmsa_jax.config import ConfigError
from ahmsa_jax.metrics import confusion_matrix
from ahmsa_jax.training.protocols import EpochShape, Fold, Job
from experiments.files import run_files
from experiments.run.chunk import Chunk, ChunkResult, empty_history
from experiments.run.spec import config_hash
from experiments.run.workdir import canonical_json, read_config
from experiments.scores import reporting
from experiments.scores.summary import read_records, summarise

NAMES = ("happiness", "disgust", "surprise", "fear", "others")
LABELS = np.array([0, 1, 2, 3, 4, 0])
# The last clip is taken for the third class.
ANSWERS = np.array([0, 1, 2, 3, 4, 2])
SUBJECTS = np.array(["007", "007", "008", "008", "009", "009"])


@pytest.fixture
def run(tmp_path):
    """Two folds of three clips each, of two subjects each, one of them cut in two."""
    clips = dataclasses.replace(
        stored_clips.few(), label_N=LABELS, subject_N=SUBJECTS, class_names=NAMES
    )
    finished = []
    for number, key in enumerate(("kfold/0", "kfold/1")):
        index = np.arange(3) + 3 * number
        fold = Fold(key, ~np.isin(np.arange(6), index), index)
        history = empty_history(1, 5)
        history.add_losses(np.ones((1, 2), np.float32))
        history.add_counts(2, confusion_matrix(LABELS[index], ANSWERS[index], 5)[None])
        probability = np.eye(5, dtype=np.float32)[ANSWERS[index]]
        result = ChunkResult(**vars(history), probability=[probability])
        finished.append((Chunk(number, EpochShape(1, 8, 8), 1, (Job(0, fold),)), result))
    # Settings and facts of a run with these folds.
    workdir = write(tmp_path / "run", [{"kfold/0": ([0], [0]), "kfold/1": ([0], [0])}])
    stored = read_config(workdir)
    stored["config"] |= {"split": "kfold", "dataset": "samm"}
    stored["config_hash"] = config_hash(stored["config"])
    (workdir / "config.json").write_text(canonical_json(stored), encoding="utf-8")
    run_files.write_run_files(workdir, clips, finished)
    return workdir


def test_a_row_names_its_clips_own_subject_and_the_folds_have_their_keys(run):
    names, rows = run_files.read_predictions(run)
    assert names == NAMES
    assert [row.subject for row in rows] == SUBJECTS.tolist()
    assert {row.database for row in rows} == {"samm"}
    assert [row.fold_key for row in run_files.read_folds(run)] == ["kfold/0", "kfold/1"]
    header = (run / "predictions.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header.endswith(",prob_happiness,prob_disgust,prob_surprise,prob_fear,prob_others")


def test_five_classes_are_scored_and_reported_as_five(run, tmp_path):
    records = read_records([run])
    summary = summarise(records)
    assert np.array(summary["confusion"]).shape == (5, 5)
    # F1 of happiness and surprise is 2/3, of the others 1.
    assert summary["pooled"]["uf1"] == pytest.approx((2 * 2 / 3 + 3) / 5)
    # The subjects score 1, 1 and, over their classes, (1 + 0) / 2.
    assert summary["per_subject_mean"]["uf1"] == pytest.approx((1 + 1 + 0.5) / 3)
    reporting.write_report(records, tmp_path)
    text = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "true others" in text
    assert "negative" not in text
    assert "samm/009" in text or "SAMM/009" in text


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("predictions.csv", "others,others", "others,fear", "all folds"),
        ("metrics.jsonl", "[1, 0, 0, 0, 0]", "[0, 1, 0, 0, 0]", "differs from predictions.csv"),
        ("metrics.jsonl", "[[1, 0, 0, 0, 0], ", "[", "confusion matrix"),
        ("predictions.csv", "prob_fear", "prob_fea", "is damaged"),
    ],
)
def test_damage_is_seen_where_folds_are_no_subjects(run, name, old, new, words):
    text = (run / name).read_text(encoding="utf-8")
    assert old in text
    (run / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        read_records([run])
