"""Runs, data sets, exports and weights of an earlier version are read; see fixture/README.md.

Modules tried here without being imported:
experiments.files.run_files, experiments.files.chunks, experiments.files.checkpoints.
"""

import hashlib
import json
import shutil

import pytest
from command_runner import ROOT, assert_mistake, run_command

from input_pipeline.storage import loader

FIXTURE = ROOT / "tests" / "fixture"
CONTENT_HASH = "b0f0edf78ab1038e960d55c97ecb084be1373806b69e345327307919ed5bef12"
SUBJECTS = "--subjects=synthetic-a/a05,synthetic-a/a08,synthetic-b/b04,synthetic-b/b08"
SMALL = ("--base_dim=6", "--blocks=1,1,1", "--folds_at_once=2", SUBJECTS)


@pytest.fixture
def finished(tmp_path):
    return shutil.copytree(FIXTURE / "finished", tmp_path / "finished")


@pytest.fixture
def killed(tmp_path):
    return shutil.copytree(FIXTURE / "killed", tmp_path / "killed")


def summary(folder) -> dict:
    found = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    del found["seconds"]
    return found


def assert_tells_what_it_told(folder):
    """Every figure of the earlier summary; later versions say more beside."""
    before, now = summary(FIXTURE / "finished"), summary(folder)
    for name, value in before.items():
        found = now[name]
        if name == "pooled":
            found = {score: found[score] for score in value}
        assert found == value, name


def test_the_same_command_prints_a_finished_run(finished):
    before = (finished / "predictions.csv").read_bytes()
    again = run_command(
        "experiments.loso",
        *SMALL,
        "--epochs=3",
        "--eval_every=1",
        "--save_weights",
        f"--workdir={finished}",
    )
    assert again.status == 0, again.err
    assert "4 of 4 folds finished" in again.out
    assert (finished / "predictions.csv").read_bytes() == before
    assert_tells_what_it_told(finished)


def test_a_finished_run_is_reported_and_compared(finished, tmp_path):
    report = run_command("experiments.report", f"--workdir={finished}", f"--output={tmp_path}/r")
    assert report.status == 0, report.err
    assert_tells_what_it_told(tmp_path / "r")
    compared = run_command(
        "experiments.compare", f"--workdirs={finished}", f"--output={tmp_path}/c"
    )
    assert compared.status == 0, compared.err
    uf1 = summary(finished)["pooled"]["uf1"]
    assert f"{uf1:.4f}" in (tmp_path / "c" / "comparison.md").read_text(encoding="utf-8")


def test_weights_of_a_finished_run_give_its_predictions(finished, tmp_path):
    done = run_command(
        "experiments.evaluate",
        "--model=ahmsa",
        f"--weights_dir={finished}/weights",
        "--base_dim=6",
        "--blocks=1,1,1",
        SUBJECTS,
        f"--workdir={tmp_path}/given",
    )
    assert done.status == 0, done.err
    ours = (tmp_path / "given" / "predictions.csv").read_text(encoding="utf-8").splitlines()
    stored = (finished / "predictions.csv").read_text(encoding="utf-8").splitlines()
    assert len(ours) == len(stored) == 12
    for mine, theirs in zip(ours[1:], stored[1:], strict=True):
        *names, p1, p2, p3 = mine.split(",")
        *stored_names, q1, q2, q3 = theirs.split(",")
        assert names == stored_names
        assert [float(p) for p in (p1, p2, p3)] == pytest.approx(
            [float(q) for q in (q1, q2, q3)], abs=1e-5
        )


def test_a_killed_run_of_other_code_is_refused_and_its_finished_folds_reported(killed, tmp_path):
    files = {path: path.read_bytes() for path in killed.rglob("*") if path.is_file()}
    again = run_command("experiments.loso", *SMALL, "--epochs=6", f"--workdir={killed}")
    assert_mistake(again, "unfinished run of another code version", "sources: stored")
    assert {path: path.read_bytes() for path in files} == files
    report = run_command("experiments.report", f"--workdir={killed}", f"--output={tmp_path}/r")
    assert report.status == 0, report.err
    assert "2 of 4 folds finished" in report.out
    assert summary(tmp_path / "r")["missing_folds"] == ["synthetic-b/b04", "synthetic-b/b08"]


def test_a_data_set_and_its_export_are_read_and_train(tmp_path):
    stored = loader.load("casme2", "five", FIXTURE / "data")
    exported = loader.load_arrays(FIXTURE / "casme2.npz")
    assert stored.content_hash() == exported.content_hash() == CONTENT_HASH
    assert len(stored) == 12
    flow = hashlib.sha256(stored.flow_NxHxWxC.tobytes()).hexdigest()
    assert flow == hashlib.sha256(exported.flow_NxHxWxC.tobytes()).hexdigest()
    done = run_command(
        "experiments.loso",
        f"--arrays={FIXTURE}/casme2.npz",
        "--base_dim=6",
        "--blocks=1,1,1",
        "--epochs=1",
        "--subjects=casme2/sub01,casme2/sub03",
        f"--workdir={tmp_path}/run",
    )
    assert done.status == 0, done.err
    assert summary(tmp_path / "run")["pooled"]["n"] == 4
