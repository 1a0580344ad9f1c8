"""A LOSO run from the command line to its files: contents, repeat, resume, merging, failure.

Modules tried here without being imported:
experiments.run.environment, experiments.run.header, experiments.run.request.
"""

import json
import os

import injected_faults
import numpy as np
import pytest
from command_runner import run_command
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score
from small_runs import KEYS, loso, rows, trained

from experiments.scores import figures
from experiments.scores.summary import read_records
from input_pipeline.core.clips import CLASS_NAMES
from input_pipeline.maps import synthetic

CLIPS = synthetic.make("five", "small")
WORDS = list(CLASS_NAMES)


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A finished run of two seeds, evaluated every epoch."""
    workdir = tmp_path_factory.mktemp("run") / "run"
    finished = loso(workdir, "--num_seeds=2", "--eval_every=1", pictures=True)
    assert finished.status == 0, finished.err
    return workdir, finished


def test_every_held_out_clip_stands_once_per_seed(run):
    lines = (run[0] / "predictions.csv").read_bytes()
    assert b"\r" not in lines
    assert lines.startswith(
        b"seed,database,subject,clip,label,prediction,prob_negative,prob_positive,prob_surprise\n"
    )
    table = rows(run[0] / "predictions.csv")
    keys = [(int(r["seed"]), r["database"], r["subject"], r["clip"]) for r in table]
    assert keys == sorted(keys)
    expected = {
        (seed, *clip_key.split("/"))
        for seed in (0, 1)
        for clip_key in CLIPS.clip_key_N
        if clip_key.rsplit("/", 1)[0] in KEYS
    }
    assert set(keys) == expected
    assert len(keys) == len(expected)
    label_of = dict(zip(CLIPS.clip_key_N, CLIPS.label_N, strict=True))
    for row in table:
        key = f"{row['database']}/{row['subject']}/{row['clip']}"
        assert row["label"] == CLASS_NAMES[label_of[key]]
        probability = np.array([float(row[f"prob_{word}"]) for word in WORDS])
        assert probability.sum() == pytest.approx(1, abs=1e-5)
        assert row["prediction"] == WORDS[int(probability.argmax())]
        # Nine digits give back the very float32.
        for word in WORDS:
            assert f"{np.float32(row[f'prob_{word}']):.9g}" == row[f"prob_{word}"]


def scores(table):
    truth = [row["label"] for row in table]
    said = [row["prediction"] for row in table]
    options = {"labels": WORDS, "average": "macro", "zero_division": 0}
    return {
        "uf1": f1_score(truth, said, **options),
        "uar": recall_score(truth, said, **options),
        "accuracy": accuracy_score(truth, said),
        "n": len(table),
    }


def mean(parts):
    return {name: np.mean([part[name] for part in parts]) for name in parts[0]}


def test_summary_is_what_the_predictions_say(run):
    summary = json.loads((run[0] / "summary.json").read_text())
    table = rows(run[0] / "predictions.csv")
    by_seed = [scores([r for r in table if r["seed"] == seed]) for seed in "01"]
    for ours, theirs in zip(summary["by_seed"], by_seed, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-12)
    expected = mean(by_seed)
    pooled = {name: summary["pooled"][name] for name in expected}
    assert pooled == pytest.approx(expected, abs=1e-12)
    assert summary["pooled_std"]["uf1"] == pytest.approx(
        np.std([part["uf1"] for part in by_seed], ddof=1), abs=1e-12
    )
    for name, ours in summary["by_database"].items():
        parts = [
            scores([r for r in table if r["seed"] == seed and r["database"] == name])
            for seed in "01"
        ]
        assert ours == pytest.approx(mean(parts), abs=1e-12)
    assert set(summary["by_database"]) == {"synthetic-a", "synthetic-b", "synthetic-c"}
    truth, said = [r["label"] for r in table], [r["prediction"] for r in table]
    assert summary["confusion"] == confusion_matrix(truth, said, labels=WORDS).tolist()
    subjects = []
    for seed in "01":
        for key in KEYS:
            own = [r for r in table if (r["seed"], r["subject"]) == (seed, key.split("/")[1])]
            truth, said = [r["label"] for r in own], [r["prediction"] for r in own]
            options = {"labels": sorted(set(truth)), "average": "macro", "zero_division": 0}
            subjects.append(
                {
                    "uf1": f1_score(truth, said, **options),
                    "uar": recall_score(truth, said, **options),
                    "accuracy": accuracy_score(truth, said),
                }
            )
    assert summary["per_subject_mean"] == pytest.approx(mean(subjects), abs=1e-12)
    assert summary["failed_folds"] == []


def test_optimistic_figure_picks_the_latest_best_epoch(run):
    entries = [json.loads(line) for line in (run[0] / "metrics.jsonl").read_text().splitlines()]
    assert len(entries) == 2 * 2 * len(KEYS)
    best = {}
    for entry in entries:
        counts = np.array(entry["confusion"])
        place = (entry["seed"], entry["fold"])
        rank = (np.trace(counts), entry["epoch"])
        if place not in best or rank > best[place][0]:
            best[place] = (rank, counts)
    per_seed = []
    for seed in (0, 1):
        counts = sum(found[1] for place, found in best.items() if place[0] == seed)
        truth, said = [], []
        for (true, predicted), count in np.ndenumerate(counts):
            truth += [true] * int(count)
            said += [predicted] * int(count)
        options = {"labels": [0, 1, 2], "average": "macro", "zero_division": 0}
        per_seed.append(f1_score(truth, said, **options))
    summary = json.loads((run[0] / "summary.json").read_text())
    optimistic = summary["optimistic_best_epoch_on_test"]
    assert optimistic["uf1"] == pytest.approx(np.mean(per_seed), abs=1e-12)
    # Unlike UF1, its accuracy can never fall below the last epoch's.
    assert optimistic["accuracy"] >= summary["pooled"]["accuracy"]


def test_last_epochs_confusion_is_that_of_the_predictions(run):
    entries = [json.loads(line) for line in (run[0] / "metrics.jsonl").read_text().splitlines()]
    last = sum(np.array(entry["confusion"]) for entry in entries if entry["epoch"] == 2)
    assert last.tolist() == json.loads((run[0] / "summary.json").read_text())["confusion"]


def test_folds_file(run):
    header = (run[0] / "folds.csv").read_text().splitlines()[0]
    assert header == (
        "seed,database,subject,n_train,n_test,steps_per_epoch,correct,final_loss,status,chunk,"
        "seconds"
    )
    table = rows(run[0] / "folds.csv")
    assert [(r["seed"], f"{r['database']}/{r['subject']}") for r in table] == [
        (seed, key) for seed in "01" for key in KEYS
    ]
    predictions = rows(run[0] / "predictions.csv")
    for row in table:
        own = [p for p in predictions if (p["seed"], p["subject"]) == (row["seed"], row["subject"])]
        assert int(row["n_test"]) == len(own)
        assert int(row["n_train"]) == len(CLIPS) - len(own)
        assert int(row["correct"]) == sum(p["label"] == p["prediction"] for p in own)
        assert row["status"] == "finished"
        assert float(row["final_loss"]) > 0
        assert row["steps_per_epoch"] == "1"


def test_pictures_tables_and_settings_are_there(run):
    for name in ("confusion_matrix.png", "curves.png", "subjects.png"):
        assert (run[0] / name).read_bytes().startswith(b"\x89PNG")
    text = (run[0] / "summary.md").read_text()
    assert "12 of 12 folds finished" in text
    assert "optimistic: best epoch picked on the held-out clips" in text
    assert r"\begin{tabular}" in (run[0] / "scores.tex").read_text()
    environment = json.loads((run[0] / "environment.json").read_text())
    assert environment["packages"]["jax"]
    assert environment["command"].startswith("python -m experiments.loso --dataset=synthetic ")
    assert f"| started | {environment['started']} |" in text
    # As conftest.py set it; folders, such as that of the compiler's cache, are left out.
    assert environment["variables"]["XLA_FLAGS"] == os.environ["XLA_FLAGS"]
    assert not any(name.endswith("_DIR") for name in environment["variables"])
    assert environment["folds_at_once"] == 3
    assert "synthetic data set brings its own small learning_rate" in run[1].out
    assert "12/12" in run[1].err


def test_pictures_show_the_headlines_scores(run):
    """The mean of the seeds' scores, where the counts in the picture are those of all seeds."""
    records = read_records([run[0]])
    pooled = json.loads((run[0] / "summary.json").read_text())["pooled"]
    title = figures.draw_confusion(records).axes[0].get_title()
    assert title == f"all clips\nUF1 {pooled['uf1']:.3f}, UAR {pooled['uar']:.3f}"
    lines = figures.draw_curves(records).axes[1].lines
    for line, name in zip(lines[:2], ("uf1", "uar"), strict=True):
        assert line.get_ydata()[-1] == pytest.approx(pooled[name])


def test_flags_file_gives_the_same_run(run, tmp_path):
    assert "--learning_rate=0.0003\n" in (run[0] / "flags.txt").read_text()
    again = run_command(
        "experiments.loso", f"--flagfile={run[0] / 'flags.txt'}", f"--workdir={tmp_path / 'again'}"
    )
    assert again.status == 0, again.err
    predictions = (tmp_path / "again" / "predictions.csv").read_bytes()
    assert predictions == (run[0] / "predictions.csv").read_bytes()


def test_finished_run_prints_its_summary_without_training(run):
    before = (run[0] / "predictions.csv").read_bytes()
    again = loso(run[0], "--num_seeds=2", "--eval_every=1")
    assert again.status == 0
    assert "all clips, last epoch" in again.out
    assert "compiled" not in again.err
    assert (run[0] / "predictions.csv").read_bytes() == before


@pytest.mark.parametrize("fault", ["lost", "cut", "flipped", "without hash"])
def test_unfinished_run_resumes_to_the_same_bytes(run, tmp_path, fault):
    workdir = tmp_path / "run"
    workdir.mkdir()
    for name in ("config.json", "plan.json"):
        (workdir / name).write_bytes((run[0] / name).read_bytes())
    (workdir / "chunks").mkdir()
    for item in (run[0] / "chunks").iterdir():
        (workdir / "chunks" / item.name).write_bytes(item.read_bytes())
    chunk = workdir / "chunks" / "chunk-0001.npz"
    data = chunk.read_bytes()
    if fault == "lost":
        chunk.unlink()
    elif fault == "cut":
        chunk.write_bytes(data[: len(data) // 2])
    elif fault == "flipped":
        chunk.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
    else:
        chunk.with_name("chunk-0001.npz.sha256").unlink()
    resumed = loso(workdir, "--num_seeds=2", "--eval_every=1")
    assert resumed.status == 0, resumed.err
    assert "resuming: 9 folds are finished already" in resumed.out
    assert (workdir / "predictions.csv").read_bytes() == (run[0] / "predictions.csv").read_bytes()


def test_report_rebuilds_the_summary(run, tmp_path):
    report = run_command(
        "experiments.report", f"--workdir={run[0]}", f"--output={tmp_path / 'report'}"
    )
    assert report.status == 0, report.err
    for name in ("summary.json", "summary.md", "scores.csv", "confusion_matrix.png"):
        assert (tmp_path / "report" / name).read_bytes() == (run[0] / name).read_bytes(), name


def test_shards_merge_to_the_whole_and_missing_folds_are_named(tmp_path):
    whole = trained(tmp_path / "whole")
    assert whole.status == 0, whole.err
    for part in (0, 1):
        assert loso(tmp_path / f"part{part}", f"--shard={part}/2").status == 0
    merged = tmp_path / "merged"
    parts = f"--workdir={tmp_path / 'part0'},{tmp_path / 'part1'}"
    report = run_command("experiments.report", parts, f"--output={merged}")
    assert report.status == 0, report.err
    first = json.loads((tmp_path / "whole" / "summary.json").read_text())
    second = json.loads((merged / "summary.json").read_text())
    for name in ("pooled", "by_database", "confusion", "per_subject_mean"):
        assert first[name] == second[name], name
    twice = run_command(
        "experiments.report",
        f"--workdir={tmp_path / 'part0'},{tmp_path / 'part0'}",
        f"--output={merged}",
    )
    assert twice.status == 2
    assert "twice" in twice.err
    other = loso(tmp_path / "other", "--shard=1/2", "--seed=5", "--eval_every=2")
    assert other.status == 0
    mixed = run_command(
        "experiments.report",
        f"--workdir={tmp_path / 'part0'},{tmp_path / 'other'}",
        f"--output={merged}",
    )
    assert mixed.status == 2
    assert "eval_every: stored 0, now 2" in mixed.err


def test_report_names_missing_folds(run, tmp_path):
    workdir = tmp_path / "part"
    workdir.mkdir()
    for name in ("config.json", "metrics.jsonl"):
        (workdir / name).write_bytes((run[0] / name).read_bytes())
    for name in ("predictions.csv", "folds.csv"):
        lines = (run[0] / name).read_text().splitlines(keepends=True)
        (workdir / name).write_text("".join(line for line in lines if ",c08," not in line))
    report = run_command("experiments.report", f"--workdir={workdir}")
    assert report.status == 0, report.err
    assert "10 of 12 folds finished" in report.out
    missing = "synthetic-c/c08 (seed 0), synthetic-c/c08 (seed 1)"
    assert missing in (workdir / "summary.md").read_text()


def test_a_fold_without_a_loss_fails_alone(tmp_path, run):
    finished = loso(tmp_path / "run", prepare=injected_faults.poison_second_fold)
    assert finished.status == 3, finished.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    # The second fold of each chunk of three.
    assert summary["failed_folds"] == [KEYS[1], KEYS[4]]
    assert "4 of 6 folds finished" in finished.out
    assert KEYS[1] in finished.out
    subjects = {row["subject"] for row in rows(tmp_path / "run" / "predictions.csv")}
    assert subjects == {key.split("/")[1] for key in KEYS} - {"a08", "c05"}
    status = [row["status"] for row in rows(tmp_path / "run" / "folds.csv")]
    assert status == ["finished", "failed", "finished"] * 2
    # The neighbours are untouched: their predictions are those of the healthy run.
    healthy = {(r["seed"], r["clip"]): r for r in rows(run[0] / "predictions.csv")}
    for row in rows(tmp_path / "run" / "predictions.csv"):
        assert row == healthy[(row["seed"], row["clip"])]
