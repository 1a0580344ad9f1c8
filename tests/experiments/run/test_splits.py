"""Splits other than leave-one-subject-out, as commands and reports know them.

Modules tried here without being imported:
experiments.run.request, experiments.run.spec, experiments.run.train_share.
"""

import json
from collections import Counter

import pytest
from command_runner import assert_mistake, run_command
from small_runs import SHALLOW, rows

from experiments.scores import comparison_figure, comparison_rows, figures
from experiments.scores.summary import read_records

SETTING = ("--dataset=synthetic", *SHALLOW, "--epochs=1")


def run(workdir, *arguments):
    finished = run_command("experiments.loso", *SETTING, f"--workdir={workdir}", *arguments)
    assert finished.status == 0, finished.err
    config = json.loads((workdir / "config.json").read_text())["config"]
    return finished, config


@pytest.mark.parametrize(
    ("flags", "keys", "words"),
    [
        (
            ["--split=kfold", "--folds=3"],
            ["kfold/0", "kfold/1", "kfold/2"],
            "3-fold over subjects",
        ),
        (
            ["--split=clip_kfold", "--folds=2"],
            ["clip_kfold/0", "clip_kfold/1"],
            "2-fold over clips, subjects on both sides",
        ),
        (
            ["--split=holdout_database"],
            [f"holdout_database/synthetic-{name}" for name in "abc"],
            "leave one database out",
        ),
    ],
)
def test_a_run_of_another_split(tmp_path, flags, keys, words):
    _, config = run(tmp_path / "run", *flags)
    assert config["split"] == flags[0].removeprefix("--split=")
    assert config.get("folds") == (int(flags[1].removeprefix("--folds=")) if flags[1:] else None)
    folds = rows(tmp_path / "run" / "folds.csv")
    assert [f"{row['database']}/{row['subject']}" for row in folds] == keys
    # Every clip is held out once, under its own database and subject.
    predictions = rows(tmp_path / "run" / "predictions.csv")
    clips = Counter((row["database"], row["subject"], row["clip"]) for row in predictions)
    assert (len(clips), set(clips.values())) == (160, {1})
    assert {row["database"] for row in predictions} == {f"synthetic-{name}" for name in "abc"}
    report = (tmp_path / "run" / "summary.md").read_text()
    assert words in report
    # Every table of the leaky split says so, and no other split's.
    leaky = config["split"] == "clip_kfold"
    for name in ("Scores (", "Confusion matrix (", "Clips", "Subjects"):
        (title,) = [
            line for line in report.splitlines() if line.startswith(f"## PRETEND data: {name}")
        ]
        assert title.endswith(", subjects on both sides") == leaky
    assert ("**Subjects on both sides:** what a fold is tested on" in report) == leaky
    latex = (tmp_path / "run" / "scores.tex").read_text()
    assert latex.count("caption{PRETEND") == 3
    assert latex.count("subjects on both sides") == 3 * leaky
    with_mean = "| mean over held-out databases | " in report
    assert with_mean == (config["split"] == "holdout_database")
    again = run_command("experiments.report", f"--workdir={tmp_path / 'run'}")
    assert again.status == 0, again.err
    compared = run_command(
        "experiments.compare", f"--workdirs={tmp_path / 'run'}", f"--output={tmp_path / 'compared'}"
    )
    assert compared.status == 0, compared.err
    comparison = (tmp_path / "compared" / "comparison.md").read_text()
    assert words in comparison
    assert ("run (PRETEND): subjects on both sides, so its scores" in comparison) == leaky
    row = comparison_rows.our_row("a long name of a run", read_records([tmp_path / "run"]))
    (name,) = comparison_figure.names([row])
    assert ("subjects on both sides" in name) == leaky


def test_pictures_and_parts_name_folds_not_subjects(tmp_path):
    part = ("--split=clip_kfold", "--folds=4", "--subjects=clip_kfold/1")
    run(tmp_path / "run", *part)
    text = (tmp_path / "run" / "summary.md").read_text()
    assert "1 of the data set's 4 folds were asked for" in text
    assert "| subject | clips |" in text
    for figure in figures.pictures(read_records([tmp_path / "run"])).values():
        assert "4-fold over clips, subjects on both sides" in figure.get_suptitle()


def test_single_folds_are_asked_for_by_their_keys(tmp_path):
    run(tmp_path / "run", "--split=kfold", "--subjects=kfold/1,kfold/4")
    folds = rows(tmp_path / "run" / "folds.csv")
    assert [row["subject"] for row in folds] == ["1", "4"]


def test_the_partition_follows_no_seed(tmp_path):
    found = []
    for seed in (0, 7):
        run(tmp_path / str(seed), "--split=kfold", "--subjects=kfold/0", f"--seed={seed}")
        predictions = rows(tmp_path / str(seed) / "predictions.csv")
        found.append([(row["subject"], row["clip"]) for row in predictions])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--folds=3"], ["--folds=3 is for --split=kfold and clip_kfold"]),
        (["--split=holdout_database", "--folds=3"], ["--folds=3 is for"]),
        (["--split=kfold", "--folds=1"], ["--folds=1"]),
        (["--split=kfold", "--folds=25"], ["--folds=25", "24 subjects"]),
        (["--split=clip_kfold", "--folds=161"], ["--folds=161", "160 clips"]),
        (["--split=kfold", "--subjects=kfold/5"], ["kfold/5", "kfold/0"]),
        (["--split=halves"], ["--split=halves", "clip_kfold"]),
    ],
)
def test_mistakes_are_one_line(tmp_path, flags, parts):
    finished = run_command("experiments.loso", *SETTING, f"--workdir={tmp_path / 'run'}", *flags)
    assert_mistake(finished, *parts)
    assert not (tmp_path / "run").exists()


def test_torch_loso_splits_alike(tmp_path):
    arguments = (*SETTING, "--split=kfold", "--folds=2", f"--workdir={tmp_path / 'torch'}")
    finished = run_command("experiments.torch_loso", *arguments)
    assert finished.status == 0, finished.err
    assert [row["subject"] for row in rows(tmp_path / "torch" / "folds.csv")] == ["0", "1"]
    run(tmp_path / "jax", "--split=kfold", "--folds=2")
    clips = [
        [
            (row["subject"], row["clip"], row["label"])
            for row in rows(tmp_path / name / "predictions.csv")
        ]
        for name in ("torch", "jax")
    ]
    assert clips[0] == clips[1]


def test_a_share_of_the_training_subjects(tmp_path):
    subjects = "--subjects=synthetic-a/a01,synthetic-b/b01"
    _, config = run(tmp_path / "run", "--train_share=0.25", subjects)
    assert config["train_share"] == 0.25
    # 24 subjects, 23 to train on, 6 of them taken; 160 clips.
    assert all(0 < int(row["n_train"]) < 100 for row in rows(tmp_path / "run" / "folds.csv"))
    assert "trains on 25% of its training subjects" in (tmp_path / "run" / "summary.md").read_text()


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (["--num_seeds=2"], "give each of the --num_seeds=2 seeds a run of its own"),
        (["--select=inner"], "--train_share and --select=inner exclude each other"),
    ],
)
def test_a_share_goes_with_one_seed_and_no_choice(tmp_path, flags, part):
    workdir = f"--workdir={tmp_path / 'run'}"
    finished = run_command("experiments.loso", *SETTING, workdir, "--train_share=0.5", *flags)
    assert_mistake(finished, part)
