"""Whole runs on eight devices, emulated on the CPU, against the same runs on one.

Eleven folds leave five of sixteen places empty. Modules tried here without being imported:
experiments.schedule.programs.
"""

import json

import numpy as np
import pytest
import restart_faults
from command_runner import run_command
from small_runs import SHALLOW, rows

NAMES = ("a05", "a06", "a07", "a08", "b04", "b05", "b06", "b08", "c04", "c05", "c08")
KEYS = [f"synthetic-{name[0]}/{name}" for name in NAMES]
SETTING = (
    *("--dataset=synthetic", *SHALLOW, "--epochs=3", "--eval_every=1"),
    # Two steps an epoch, so that batches of the last step are parts of other sizes.
    "--batch_size=96",
    f"--subjects={','.join(KEYS)}",
)
CLASSES = ("negative", "positive", "surprise")


def finished_run(workdir, *arguments, prepare=None):
    finished = run_command(
        "experiments.loso", *SETTING, f"--workdir={workdir}", *arguments, prepare=prepare
    )
    assert finished.status == 0, finished.err
    return finished


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("one") / "run"
    finished_run(workdir)
    return workdir


def assert_same_scores(workdir, other):
    """The same clips, classes and counts; probabilities equal but for rounding."""
    ours, theirs = rows(workdir / "predictions.csv"), rows(other / "predictions.csv")
    for column in ("subject", "clip", "label", "prediction"):
        assert [row[column] for row in ours] == [row[column] for row in theirs], column
    values = [
        np.array([[float(row[f"prob_{name}"]) for name in CLASSES] for row in found])
        for found in (ours, theirs)
    ]
    np.testing.assert_allclose(*values, atol=1e-4)
    counts = [(folder / "metrics.jsonl").read_text().splitlines() for folder in (workdir, other)]
    confusion = [[json.loads(line)["confusion"] for line in lines] for lines in counts]
    assert confusion[0] == confusion[1]


def test_folds_spread_over_eight_devices(tmp_path, one_device):
    prepare = restart_faults.eight_devices
    finished = finished_run(tmp_path / "run", prepare=prepare)
    assert "device: 8 x cpu" in finished.out
    # Two places on each device; every fold is trained once.
    assert "compiled for 16 folds of 2 step(s) per epoch" in finished.err
    assert len(rows(tmp_path / "run" / "folds.csv")) == len(KEYS)
    assert_same_scores(tmp_path / "run", one_device)


def test_batches_spread_over_eight_devices(tmp_path, one_device):
    finished = finished_run(
        tmp_path / "run", "--parallel=batch", prepare=restart_faults.eight_devices
    )
    assert "device: 8 x cpu" in finished.out
    assert_same_scores(tmp_path / "run", one_device)


def eight_devices_until_sigterm():
    restart_faults.eight_devices()
    restart_faults.sigterm_after_five_epochs()


def test_a_run_stopped_on_eight_devices_goes_on_to_the_same_bytes(tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    longer = ("--epochs=7", "--checkpoint_minutes=60")
    finished_run(whole, *longer, prepare=restart_faults.eight_devices)
    command = ("experiments.loso", *SETTING, f"--workdir={stopped}", *longer)
    first = run_command(*command, prepare=eight_devices_until_sigterm)
    assert first.status == 143, first.err
    assert "epoch 5 of 7 of chunk 0 is saved" in first.err
    finished_run(stopped, *longer, prepare=restart_faults.eight_devices)
    for name in ("predictions.csv", "metrics.jsonl"):
        assert (stopped / name).read_bytes() == (whole / name).read_bytes(), name
