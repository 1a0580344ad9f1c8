"""Runs that are watched: killed and resumed to the same bytes, shown while unfinished, drawn.

Modules tried here without being imported: experiments.schedule.progress_lines,
experiments.schedule.event_curves, experiments.files.event_files.
"""

import json
import pathlib
import re
import shutil
import sys

import event_records
import numpy as np
import pytest
import restart_faults
from command_runner import assert_mistake, run_command
from small_runs import KEYS, loso, trained

from ahmsa_jax.metrics import pooled_scores
from experiments.files import progress_file

LONG = ("--epochs=12", "--eval_every=1", "--checkpoint_minutes=0.00001")
# The same bytes in every start of a run, and with and without --tensorboard.
SAME = ("predictions.csv", "metrics.jsonl", "config.json", "flags.txt", "plan.json")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A finished run without --tensorboard."""
    workdir = tmp_path_factory.mktemp("undisturbed") / "run"
    assert trained(workdir, *LONG).status == 0
    return workdir


@pytest.fixture(scope="module")
def killed_late(tmp_path_factory):
    """A run with --tensorboard, killed in epoch 5 of its second chunk."""
    workdir = tmp_path_factory.mktemp("killed") / "run"
    fault = restart_faults.killed_after_five_epochs_of_the_second_chunk
    assert trained(workdir, *LONG, "--tensorboard", prepare=fault).status == -9
    return workdir


@pytest.fixture
def killed(killed_late, tmp_path):
    return pathlib.Path(shutil.copytree(killed_late, tmp_path / "run"))


def entries(workdir):
    lines = (workdir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return {(entry["fold"], entry["epoch"]): entry for entry in map(json.loads, lines)}


def report(workdir):
    return run_command("experiments.report", f"--workdir={workdir}")


def test_killed_and_resumed_it_ends_with_the_same_bytes(killed, undisturbed):
    assert (killed / progress_file.FILE).exists()
    resumed = loso(killed, *LONG, "--tensorboard")
    assert resumed.status == 0, resumed.err
    for name in SAME:
        assert (killed / name).read_bytes() == (undisturbed / name).read_bytes(), name
    for workdir in (killed, undisturbed):
        assert not (workdir / progress_file.FILE).exists()
    assert not (undisturbed / "tensorboard").exists()


def test_every_start_tells_the_curves_from_their_beginning(killed, undisturbed):
    (before,) = map(event_records.scalars, event_records.files(killed))
    # The kill came in epoch 5 of the second chunk, before that was told.
    assert [step for step, _ in before["train_loss/chunk-0001"]] == [1, 2, 3, 4]
    assert loso(killed, *LONG, "--tensorboard").status == 0
    *_, path = event_records.files(killed)
    found, logged = event_records.scalars(path), entries(undisturbed)
    for tag, curve in found.items():
        # A resumed chunk is told of by its dispatches and by its checkpoint, none of them twice.
        assert [step for step, _ in curve] == list(range(1, 13)), tag
    for epoch in range(1, 13):
        own = [logged[key, epoch] for key in KEYS]
        mean = np.mean([entry["train_loss"] for entry in own])
        scores = pooled_scores(np.sum([entry["confusion"] for entry in own], axis=0))
        told = [found[f"{name}/seed-0"][epoch - 1][1] for name in ("train_loss", "uf1", "uar")]
        np.testing.assert_allclose(told, [mean, scores.uf1, scores.uar], rtol=1e-6)


def test_the_reports_pictures_are_in_the_event_files_of_a_finished_run(tmp_path):
    workdir = tmp_path / "run"
    assert trained(workdir).status == 0
    shown = loso(workdir, "--tensorboard", pictures=True)
    assert shown.status == 0, shown.err
    folder = workdir / "tensorboard"
    (path,) = (path for path in folder.iterdir() if path.suffix == ".pictures")
    drawn = {name: (workdir / f"{name}.png").read_bytes() for name in ("curves", "subjects")}
    drawn["confusion_matrix"] = (workdir / "confusion_matrix.png").read_bytes()
    assert event_records.pictures(path) == {name: (2, data) for name, data in drawn.items()}
    (curves,) = map(event_records.scalars, event_records.files(workdir))
    assert [step for step, _ in curves["train_loss/seed-0"]] == [1, 2]
    # Shown once more it is not written again.
    before = sorted(folder.iterdir())
    assert loso(workdir, "--tensorboard").status == 0
    assert sorted(folder.iterdir()) == before


def test_an_unfinished_run_is_shown_and_its_finished_folds_are_reported(killed, undisturbed):
    shown = report(killed)
    assert shown.status == 0, shown.err
    assert shown.err == ""
    logged = entries(undisturbed)
    told = [(key, 12) for key in KEYS[:3]] + [(key, 4) for key in KEYS[3:]]
    scores = pooled_scores(np.sum([logged[place]["confusion"] for place in told], axis=0))
    loss = np.mean([logged[key, 4]["train_loss"] for key in KEYS[3:]])
    for words in (
        f"unfinished: {killed}\n",
        "3 of 6 folds finished, 48 of 72 epochs of folds trained (66 %)\n",
        f"in training: chunk 1 of 3 folds, epoch 4 of 12, mean training loss {loss:.4f}\n",
        f"UF1 {scores.uf1:.4f}, UAR {scores.uar:.4f}, from {scores.n} predictions in 6 folds",
        "of an unfinished run, and no result\n",
        "3 of 6 folds finished. Headline scores",
        "Missing: ",
    ):
        assert words in shown.out, shown.out
    assert "PRETEND" in shown.out.split("Headline")[0]


def test_a_run_without_a_finished_fold_is_shown_too(tmp_path):
    workdir = tmp_path / "run"
    assert trained(workdir, *LONG, prepare=restart_faults.killed_after_five_epochs).status == -9
    shown = report(workdir)
    assert (shown.status, shown.err) == (0, "")
    assert "0 of 6 folds finished, 12 of 72 epochs of folds trained (16 %)\n" in shown.out
    assert "PRETEND" in shown.out
    assert not (workdir / "summary.json").exists()
    # A cut last line is no fault, a line in the middle is: then nothing is left to show.
    path = workdir / progress_file.FILE
    data = path.read_bytes()
    path.write_bytes(data[:-5])
    assert "9 of 72 epochs" in report(workdir).out
    path.write_bytes(b"nonsense\n" + data)
    assert_mistake(report(workdir), "progress.jsonl' is damaged (", "writes it anew")
    path.unlink()
    assert_mistake(report(workdir), "predictions.csv' is missing", "no chunk of the run")


def test_beside_a_damaged_progress_file_the_report_still_works(killed):
    path = killed / progress_file.FILE
    path.write_bytes(path.read_bytes().replace(b'"epoch"', b'"epok"'))
    shown = report(killed)
    assert shown.status == 0
    assert shown.err.count("\n") == 1
    assert "progress.jsonl' is damaged (" in shown.err
    assert "3 of 6 folds finished. Headline scores" in shown.out


def test_what_cannot_be_written_is_said_and_the_run_ends_well(killed, undisturbed):
    shutil.rmtree(killed / "tensorboard")
    (killed / "tensorboard").write_text("mine")
    (killed / progress_file.FILE).unlink()
    (killed / progress_file.FILE).mkdir()
    finished = loso(killed, *LONG, "--tensorboard")
    assert finished.status == 0, finished.err
    assert finished.err.count("progress.jsonl' cannot be written (") == 1
    assert finished.err.count("tensorboard' cannot be written (File exists); training goes") == 1
    assert (killed / "tensorboard").read_text() == "mine"
    assert (killed / progress_file.FILE).is_dir()
    for name in SAME:
        assert (killed / name).read_bytes() == (undisturbed / name).read_bytes(), name


def test_a_signal_leaves_a_run_that_says_that_it_stopped(tmp_path):
    workdir = tmp_path / "run"
    stopped = trained(workdir, *LONG, prepare=restart_faults.sigterm_after_five_epochs)
    assert stopped.status == 143, stopped.err
    shown = report(workdir)
    assert shown.status == 0
    # Another test may have made the run a while ago.
    assert re.search(r"it stopped \d+:\d\d", shown.out)
    assert "the command that started it goes on from what is saved" in shown.out


def without_the_writer():
    sys.modules["tensorboardX"] = None


@pytest.mark.parametrize("command", ["loso", "torch_loso"])
def test_a_missing_writer_is_one_line_before_anything_is_written(tmp_path, command):
    workdir = tmp_path / "run"
    words = ("--model=ststnet", "--tensorboard", f"--workdir={workdir}")
    finished = run_command(f"experiments.{command}", *words, prepare=without_the_writer)
    assert_mistake(finished, "--tensorboard needs the library tensorboardX", "'.[tensorboard]'")
    assert not workdir.exists()


def test_a_run_in_pytorch_keeps_both(tmp_path):
    workdir = tmp_path / "run"
    finished = run_command(
        "experiments.torch_loso",
        *("--model=ststnet", "--dataset=synthetic", f"--subjects={KEYS[0]},{KEYS[3]}"),
        *("--epochs=2", "--eval_every=1", "--tensorboard", f"--workdir={workdir}"),
    )
    assert finished.status == 0, finished.err
    assert not (workdir / progress_file.FILE).exists()
    (path,) = event_records.files(workdir)
    found, logged = event_records.scalars(path), entries(workdir)
    for epoch in (1, 2):
        own = [logged[key, epoch] for key in (KEYS[0], KEYS[3])]
        mean = np.mean([entry["train_loss"] for entry in own])
        assert found["train_loss/seed-0"][epoch - 1] == (epoch, pytest.approx(mean, rel=1e-6))
        scores = pooled_scores(np.sum([entry["confusion"] for entry in own], axis=0))
        assert found["uf1/seed-0"][epoch - 1] == (epoch, pytest.approx(scores.uf1, rel=1e-6))
