"""experiments.classical: every file of a run, its figures, its choices, and what it refuses.

Modules tried here without being imported:
experiments.classical_methods.asked.
"""

import json

import numpy as np
import pytest
from command_runner import assert_mistake, run_command
from small_runs import rows

from experiments.files.run_files import CHOICE_COLUMNS, FOLD_COLUMNS, read_folds
from experiments.run.spec import RunSpec

NAME = "experiments.classical"
FILES = (
    *("config.json", "environment.json", "flags.txt", "folds.csv", "metrics.jsonl"),
    *("predictions.csv", "scores.csv", "scores.tex", "subjects.csv", "summary.json", "summary.md"),
    *("confusion_matrix.png", "confusion_matrix.pdf", "subjects.png", "subjects.pdf"),
)


def run(workdir, *flags):
    finished = run_command(NAME, f"--workdir={workdir}", *flags)
    assert finished.status == 0, finished.err
    return finished, json.loads((workdir / "summary.json").read_text())


@pytest.mark.parametrize("method", ["majority", "svm_maps", "kernel_flow"])
def test_every_file_of_a_run_is_written_and_the_report_is_the_same_again(tmp_path, method):
    workdir = tmp_path / "run"
    _, summary = run(workdir, f"--method={method}")
    assert {path.name for path in workdir.iterdir() if path.name != ".lock"} == set(FILES)
    assert (workdir / "metrics.jsonl").read_bytes() == b""
    assert summary["optimistic_best_epoch_on_test"] is None
    assert summary["pooled"]["n"] == 160
    assert summary["failed_folds"] == summary["missing_folds"] == []
    folds = rows(workdir / "folds.csv")
    assert tuple(folds[0]) == FOLD_COLUMNS
    assert {(fold["status"], fold["final_loss"]) for fold in folds} == {("finished", "")}
    for row in rows(workdir / "predictions.csv"):
        probability = {name: float(row[f"prob_{name}"]) for name in ("negative", "positive")}
        probability["surprise"] = float(row["prob_surprise"])
        assert max(probability, key=probability.get) == row["prediction"]
        assert sum(probability.values()) == pytest.approx(1, abs=1e-6)
    stored = json.loads((workdir / "config.json").read_text())["config"]
    spec = RunSpec.from_json(stored)
    assert (spec.kind, spec.model, spec.to_json()) == ("classical", method, stored)
    before = {name: (workdir / name).read_bytes() for name in ("predictions.csv", "summary.json")}
    again = run_command("experiments.report", f"--workdir={workdir}")
    assert again.status == 0, again.err
    assert (workdir / "summary.json").read_bytes() == before["summary.json"]
    # The same command again, by its flag file.
    flagfile = f"--flagfile={workdir / 'flags.txt'}"
    repeated = run_command(NAME, flagfile, f"--workdir={tmp_path / 'repeated'}")
    assert repeated.status == 0, repeated.err
    assert (tmp_path / "repeated" / "predictions.csv").read_bytes() == before["predictions.csv"]


def other_code():
    from experiments.run import workdir

    workdir.code_version = lambda: {"jax": "0.0.1"}


def test_a_finished_run_is_shown_and_an_unfinished_one_learned_by_the_code_that_began_it(tmp_path):
    workdir = tmp_path / "run"
    first, summary = run(workdir, "--method=svm_maps")
    before = {name: (workdir / name).read_bytes() for name in FILES}
    # Other code changes nothing of what is there.
    shown = run_command(NAME, "--method=svm_maps", f"--workdir={workdir}", prepare=other_code)
    assert shown.status == 0, shown.err
    assert shown.out == first.out
    assert {name: (workdir / name).read_bytes() for name in FILES} == before
    # Killed before its last file, or damaged.
    (workdir / "metrics.jsonl").unlink()
    other = run_command(NAME, "--method=svm_maps", f"--workdir={workdir}", prepare=other_code)
    assert_mistake(other, "holds an unfinished run of another code version")
    _, again = run(workdir, "--method=svm_maps")
    assert again["pooled"] == summary["pooled"]
    assert (workdir / "metrics.jsonl").is_file()
    for kept in (-20, before["predictions.csv"].index(b"\n") + 1):
        (workdir / "predictions.csv").write_bytes(before["predictions.csv"][:kept])
        run(workdir, "--method=svm_maps")
        assert (workdir / "predictions.csv").read_bytes() == before["predictions.csv"]


def test_majority_is_worked_by_hand(tmp_path):
    _, summary = run(tmp_path / "run", "--method=majority")
    # 91 of 160 clips are negative, and stay the most whoever is held out: F1 2*91 / (160 + 91).
    assert summary["pooled"]["uf1"] == pytest.approx(2 * 91 / (160 + 91) / 3)
    assert summary["pooled"]["uar"] == pytest.approx(1 / 3)
    assert np.array(summary["confusion"])[:, 1:].sum() == 0


def test_shuffled_labels_fall_to_chance(tmp_path):
    _, true = run(tmp_path / "true", "--method=svm_maps")
    scores = []
    for seed in range(5):
        workdir = tmp_path / f"shuffled-{seed}"
        _, summary = run(workdir, "--method=svm_maps", "--shuffle_labels", f"--seed={seed}")
        scores.append(summary["pooled"]["uf1"])
        assert "the labels are shuffled" in (workdir / "summary.md").read_text()
    assert true["pooled"]["uf1"] > max(scores) + 0.1
    assert 0.22 < np.mean(scores) < 0.4


def test_settings_chosen_inside_each_fold(tmp_path):
    candidates = tmp_path / "candidates.txt"
    candidates.write_text("--svm_c=0.001\n--svm_c=1\n")
    workdir = tmp_path / "run"
    inner = ("--select=inner", f"--candidates={candidates}", "--inner_folds=3")
    run(workdir, "--method=svm_maps", *inner)
    folds = rows(workdir / "folds.csv")
    assert tuple(folds[0]) == (*FOLD_COLUMNS, *CHOICE_COLUMNS)
    assert {fold["candidate"] for fold in folds} <= {"--svm_c=0.001", "--svm_c=1"}
    assert {fold["epochs"] for fold in folds} == {""}
    assert all(0 < float(fold["inner_score"]) < 1 for fold in folds)
    assert read_folds(workdir)[0].choice.candidate == folds[0]["candidate"]
    stored = json.loads((workdir / "config.json").read_text())["config"]
    chosen = {"select": "inner", "select_by": "auc", "inner_folds": 3}
    assert chosen.items() <= stored.items()
    assert stored["candidates"] == ["--svm_c=0.001", "--svm_c=1"]
    assert RunSpec.from_json(stored).to_json() == stored
    text = (workdir / "summary.md").read_text()
    assert "the best auc over 3 inner folds, among 2 candidates" in text
    assert "Choices of the training subjects" in text
    again = run_command("experiments.report", f"--workdir={workdir}")
    assert again.status == 0, again.err


def test_other_splits_and_single_folds(tmp_path):
    for flags, keys in (
        (["--split=kfold", "--folds=3"], ["kfold/0", "kfold/1", "kfold/2"]),
        (["--subjects=synthetic-a/a05"], ["synthetic-a/a05"]),
        (["--layout=five"], None),
    ):
        workdir = tmp_path / flags[0].lstrip("-").replace("/", "")
        run(workdir, "--method=svm_maps", *flags)
        found = [f"{row['database']}/{row['subject']}" for row in rows(workdir / "folds.csv")]
        assert keys in (None, found)


def test_a_share_of_the_training_subjects(tmp_path):
    whole, half = tmp_path / "whole", tmp_path / "half"
    run(whole, "--method=svm_maps")
    run(half, "--method=svm_maps", "--train_share=0.5", "--seed=3")
    before, after = (rows(workdir / "folds.csv") for workdir in (whole, half))
    for full, part in zip(before, after, strict=True):
        assert 0 < int(part["n_train"]) < int(full["n_train"])
        assert part["n_test"] == full["n_test"]
    stored = json.loads((half / "config.json").read_text())
    assert stored["config"]["train_share"] == 0.5
    assert "train_share" not in json.loads((whole / "config.json").read_text())["config"]
    assert "trains on 50% of its training subjects, drawn with the seed" in stored["notes"][1]
    assert RunSpec.from_json(stored["config"]).to_json() == stored["config"]
    # Draws are seeds: their runs are parts of one.
    run(tmp_path / "other", "--method=svm_maps", "--train_share=0.5", "--seed=4")
    parts = f"--workdir={half},{tmp_path / 'other'}"
    merged = run_command("experiments.report", parts, f"--output={tmp_path / 'both'}")
    assert merged.status == 0, merged.err
    assert len(json.loads((tmp_path / "both" / "summary.json").read_text())["by_seed"]) == 2


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        ([], ["--method is missing"]),
        (["--method=svm"], ["svm", "majority"]),
        (["--method=svm_maps", "--svm_c=0"], ["--svm_c=0 is out of range"]),
        (["--method=svm_maps", "--kernel_ridge=1"], ["--kernel_ridge is no setting", "--svm_c"]),
        (["--method=majority", "--svm_c=1"], ["its own are none"]),
        (["--method=kernel_flow", "--layout=quad_htnet"], ["mirrors the maps", "whole, five"]),
        (["--method=svm_maps", "--raw_dir=x"], ["--raw_dir is for methods"]),
        (["--method=svm_maps", "--candidates=x"], ["is for --select=inner"]),
        (["--method=svm_maps", "--select=inner"], ["needs --candidates=FILE"]),
        (["--method=svm_maps", "--select=inner", "--candidates=x"], ["'x'", "does not exist"]),
        (["--method=svm_maps", "--folds=3"], ["--folds=3 is for --split"]),
        (["--method=svm_maps", "--subjects=a/b"], ["'a/b'", "is no subject"]),
        (["--method=svm_maps", "--dataset=smic", "--data_dir=x"], ["is not built yet"]),
        (["--method=svm_maps", "--seed=-1"], ["seed"]),
        (["--method=svm_maps", "--train_share=0"], ["--train_share=0 is out of range"]),
        (["--method=svm_maps", "--train_share=1.5"], ["--train_share=1.5 is out of range"]),
    ],
)
def test_mistakes_are_one_line(tmp_path, flags, parts):
    finished = run_command(NAME, f"--workdir={tmp_path / 'run'}", *flags)
    assert_mistake(finished, *parts)
    assert not (tmp_path / "run").exists()


def test_another_run_in_the_workdir_is_refused(tmp_path):
    run(tmp_path / "run", "--method=majority")
    other = run_command(NAME, f"--workdir={tmp_path / 'run'}", "--method=svm_maps")
    assert_mistake(other, "model: stored", "svm_maps")


def test_help_names_the_flags():
    shown = run_command(NAME, "--help")
    assert shown.status == 0
    for flag in ("--method", "--select_by", "--svm_c", "--kernel_ridge", "--shuffle_labels"):
        assert flag in shown.out
