"""The examples of CONTRIBUTING.md: each adds something from outside, and a run uses it."""

import csv
import functools
import json
import os
import re
import sys

import numpy as np
import pytest
from command_runner import ROOT, run_command
from small_runs import SHALLOW

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SCRIPTS = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", TEXT, flags=re.DOTALL))
CALLS = dict(re.findall(r"`python (\w+\.py) (--[^`]+)`", TEXT))
TINY = ("--epochs=2", "--precision=float32")
AHMSA = (*TINY, *SHALLOW)
TWO = ("--subjects=synthetic-a/a01,synthetic-b/b01",)


def enter(folder):
    """Stand where the script lies, as its user does."""
    os.chdir(folder)
    sys.path.insert(0, folder)


def started(tmp_path, name, *arguments):
    """A script of CONTRIBUTING.md with the arguments written beside it; its config and clips."""
    (tmp_path / name).write_text(SCRIPTS[name])
    run = run_command(
        name.removesuffix(".py"),
        *CALLS[name].split(),
        *arguments,
        f"--workdir={tmp_path}/run",
        prepare=functools.partial(enter, str(tmp_path)),
    )
    assert run.status == 0, run.err
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    with (tmp_path / "run" / "predictions.csv").open(newline="") as file:
        return config, list(csv.DictReader(file)), tmp_path / "run"


def test_every_example_is_tried():
    assert set(SCRIPTS) == set(CALLS)
    assert len(SCRIPTS) == 6


def test_a_network(tmp_path):
    config, rows, _ = started(tmp_path, "own_network.py", *TINY, *TWO)
    assert config["config"]["model_config"] == {"filters": 16, "image_size": 28, "num_classes": 3}
    assert config["config"]["layout"] == "whole"
    assert {row["subject"] for row in rows} == {"a01", "b01"}


@pytest.mark.parametrize("name", ["own_loss.py", "own_augmentation.py"])
def test_an_ingredient_of_training(tmp_path, name):
    config, rows, folder = started(tmp_path, name, *AHMSA, *TWO)
    key, value = CALLS[name].removeprefix("--").split("=")
    assert config["config"]["train_config"][key] == value
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["train_loss"] for line in lines]
    assert np.isfinite(losses).all()
    assert rows


def test_a_class_set(tmp_path):
    config, rows, folder = started(tmp_path, "own_classes.py", *AHMSA, *TWO)
    assert config["config"]["task"] == "valence"
    assert config["config"]["model_config"]["num_classes"] == 2
    assert [name for name in rows[0] if name.startswith("prob_")] == [
        "prob_positive",
        "prob_negative",
    ]
    assert {row["label"] for row in rows} <= {"positive", "negative"}
    assert np.shape(json.loads((folder / "summary.json").read_text())["confusion"]) == (2, 2)


def test_a_split(tmp_path):
    config, rows, folder = started(tmp_path, "own_split.py", *AHMSA)
    assert config["config"]["split"] == "odd"
    assert config["folds"] == ["half/odd", "half/even"]
    # Each row names the clip's own subject, not the fold.
    assert len({(row["database"], row["subject"]) for row in rows}) == 24
    assert len(rows) == 160
    assert (folder / "subjects.png").stat().st_size


def test_a_method_without_a_network(tmp_path):
    config, rows, _ = started(tmp_path, "own_method.py", *TWO)
    assert (config["config"]["model"], config["config"]["model_config"]) == ("nearest", {})
    assert {row["subject"] for row in rows} == {"a01", "b01"}
    assert {row[f"prob_{row['prediction']}"] for row in rows} == {"1"}
