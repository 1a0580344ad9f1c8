"""Probabilities, intervals and averaged seeds of a run, by hand and against scikit-learn."""

import dataclasses
import json

import numpy as np
import pytest
import sklearn.metrics
from small_runs import loso, rows

from ahmsa_jax.metrics import f1_per_class
from experiments.files.run_files import Prediction, read_predictions
from experiments.scores import paired, spread


def drawn(subjects, database="lab", seeds=2, clips=4, skill=0.5):
    """Rows of so many subjects with random probabilities."""
    rng = np.random.default_rng(subjects)
    found = []
    for seed in range(seeds):
        for subject in range(subjects):
            for clip in range(clips):
                label = (subject + clip) % 3
                share = rng.dirichlet(np.ones(3)) * (1 - skill)
                share[label] += skill * rng.integers(2)
                share = share / share.sum()
                found.append(
                    Prediction(
                        seed,
                        database,
                        f"s{subject:02d}",
                        f"c{clip}",
                        label,
                        int(share.argmax()),
                        tuple(share.tolist()),
                    )
                )
    return found


def test_auc_and_log_loss_are_scikit_learns_means_over_seeds():
    own = drawn(6)
    by_seed = [[row for row in own if row.seed == seed] for seed in (0, 1)]
    found = spread.probability_scores(by_seed)
    auc, loss = [], []
    for each in by_seed:
        probability, label = [row.probability_K for row in each], [row.label for row in each]
        auc.append(sklearn.metrics.roc_auc_score(label, probability, multi_class="ovr"))
        loss.append(sklearn.metrics.log_loss(label, probability))
    assert found["auc"] == pytest.approx(np.mean(auc))
    assert found["log_loss"] == pytest.approx(np.mean(loss))


def test_what_is_not_defined_is_none():
    assert spread.probability_scores([[]]) == {"auc": None, "log_loss": None}
    alone = [dataclasses.replace(row, label=0) for row in drawn(2)]
    assert spread.probability_scores([alone])["auc"] == 0.5
    assert spread.intervals(drawn(1), 3) == {"uf1_interval": None, "uar_interval": None}


def test_an_interval_keeps_each_databases_subjects():
    """One subject of its own database is in every draw; the others come and go."""
    fixed = [dataclasses.replace(row, database="own") for row in drawn(1, clips=30)]
    others = drawn(8)
    together = [*others, *fixed]
    subjects = sorted({row.subject_key for row in together})
    databases = [key.split("/")[0] for key in subjects]
    counts = paired.confusions(together, subjects, 3)
    low, high = paired.score_interval(counts, f1_per_class, databases)
    assert spread.intervals(together, 3)["uf1_interval"] == [low, high]
    # The same draws of the eight alone, by hand, with the ninth added to each.
    rng = np.random.default_rng(0)
    times = rng.multinomial(8, np.full(8, 1 / 8), size=2000)
    place = subjects.index("own/s00")
    rest = np.delete(counts, place, axis=0)
    scores = [f1_per_class(np.tensordot(row, rest, axes=1) + counts[place]).mean() for row in times]
    np.testing.assert_allclose([low, high], np.percentile(scores, [2.5, 97.5]))
    free = paired.score_interval(counts, f1_per_class)
    assert free[1] - free[0] > high - low


def test_seeds_are_averaged_clip_by_clip():
    first = Prediction(0, "lab", "s", "c", 1, 0, (0.6, 0.4, 0.0))
    second = Prediction(1, "lab", "s", "c", 1, 1, (0.1, 0.7, 0.2))
    (found,) = spread.averaged([first, second])
    np.testing.assert_allclose(found.probability_K, (0.35, 0.55, 0.1))
    assert (found.prediction, found.label) == (1, 1)


def test_averaged_seeds_are_a_headline_of_their_own(tmp_path):
    workdir = tmp_path / "run"
    finished = loso(workdir, "--num_seeds=2", "--average_seeds")
    assert finished.status == 0, finished.err
    summary = json.loads((workdir / "summary.json").read_text())
    _, predictions = read_predictions(workdir)
    mean = spread.averaged(predictions)
    truth = [row.label for row in mean]
    answers = [row.prediction for row in mean]
    expected = sklearn.metrics.f1_score(
        truth, answers, labels=[0, 1, 2], average="macro", zero_division=0
    )
    assert summary["average_seeds"]["uf1"] == pytest.approx(expected)
    assert summary["average_seeds"]["n"] * 2 == len(rows(workdir / "predictions.csv"))
    text = (workdir / "summary.md").read_text()
    assert "probabilities averaged over 2 seeds" in text
    assert "far below 0.5 without any skill" in text
    assert json.loads((workdir / "config.json").read_text())["config"]["average_seeds"] is True
