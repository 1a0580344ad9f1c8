"""experiments.look as users call it, and what it refuses.

Modules tried here without being imported:
experiments.look, experiments.looking.of_model.
"""

import csv

import fitted_models
import numpy as np
import pytest
from command_runner import assert_mistake, run_command
from small_runs import trained

from experiments.fitting import model_folder
from input_pipeline.storage import loader

COMMAND = "experiments.look"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("look") / "run"
    assert trained(folder, "--save_weights").status == 0
    return folder


def test_a_run_looks_and_says_where(workdir, tmp_path):
    finished = run_command(COMMAND, f"--workdir={workdir}", f"--output={tmp_path / 'out'}")
    assert finished.status == 0, finished.err
    for part in ("PRETEND", "held-out clips of 6 subjects", "inside the true motion", "untrained"):
        assert part in finished.out
    with (tmp_path / "out" / "looking.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with (workdir / "predictions.csv").open(encoding="utf-8", newline="") as file:
        said = {(r["subject"], r["clip"]): r["prediction"] for r in csv.DictReader(file)}
    assert {(r["subject"], r["clip"]): r["predicted"] for r in rows} == said
    with np.load(tmp_path / "out" / "looking.npz", allow_pickle=False) as arrays:
        assert arrays["occlusion"].shape == (len(rows), 28, 28)
    # The same again is the same; other clips need a folder of their own.
    before = (tmp_path / "out" / "looking.npz").read_bytes()
    key = "/".join(rows[0][name] for name in ("database", "subject", "clip"))
    again = run_command(COMMAND, f"--workdir={workdir}", f"--output={tmp_path / 'out'}")
    assert again.status == 0
    assert (tmp_path / "out" / "looking.npz").read_bytes() == before
    other = run_command(
        COMMAND, f"--workdir={workdir}", f"--output={tmp_path / 'out'}", f"--clips={key}"
    )
    assert_mistake(other, "the look at something else", "clips")
    default = run_command(COMMAND, f"--workdir={workdir}", f"--clips={key}")
    assert default.status == 0
    (own,) = workdir.glob("looking-*")
    names = {path.name for path in own.iterdir()}
    assert f"clip_001_{key.replace('/', '_')}.pdf" in names


def test_mistakes(workdir, tmp_path):
    given = f"--workdir={workdir}"
    assert_mistake(run_command(COMMAND), "give --workdir=DIR", "--model_dir=DIR")
    assert_mistake(run_command(COMMAND, given, f"--model_dir={tmp_path}"), "give --workdir=DIR")
    assert_mistake(run_command(COMMAND, f"--model_dir={tmp_path}"), "no model's folder")
    assert_mistake(
        run_command(COMMAND, given, "--clips=a/b/c"), "a/b/c", "none of the", "held-out clips"
    )
    assert_mistake(run_command(COMMAND, given, "--layout=whole"), "--layout=whole")
    assert_mistake(run_command(COMMAND, given, "--output="), "--output is empty")
    assert_mistake(run_command(COMMAND, given, f"--raw_dir={tmp_path}"), "synthetic data set")
    assert_mistake(run_command(COMMAND, f"--workdir={tmp_path}"), "no run's workdir")
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    assert_mistake(run_command(COMMAND, given, f"--output={tmp_path}"), "not empty")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_other_clips_than_the_run_s_are_refused(workdir, tmp_path):
    arrays = tmp_path / "quad.npz"
    exported = run_command(
        "input_pipeline.export", "--dataset=synthetic", "--layout=quad", f"--output={arrays}"
    )
    assert exported.status == 0, exported.err
    refused = run_command(COMMAND, f"--workdir={workdir}", f"--arrays={arrays}")
    assert_mistake(refused, "other clips, classes or maps", "hash")


def test_a_run_without_weights_or_with_foreign_settings_is_refused(tmp_path):
    assert trained(tmp_path / "bare").status == 0
    assert_mistake(run_command(COMMAND, f"--workdir={tmp_path / 'bare'}"), "--save_weights")
    classical = run_command(
        "experiments.classical", "--method=majority", f"--workdir={tmp_path / 'majority'}"
    )
    assert classical.status == 0, classical.err
    assert_mistake(run_command(COMMAND, f"--workdir={tmp_path / 'majority'}"), "no network")


def test_a_file_that_was_changed_is_refused(tmp_path):
    assert trained(tmp_path / "run", "--save_weights").status == 0
    path = next((tmp_path / "run" / "weights" / "seed-0").iterdir())
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert_mistake(run_command(COMMAND, f"--workdir={tmp_path / 'run'}"), "SHA-256")
    assert not (tmp_path / "run" / "looking").exists()


def test_a_model_looks_at_the_clips_it_was_trained_on_and_says_so(tmp_path):
    model = fitted_models.folder() / "model"
    key = "synthetic-a/a05"
    clips = [k for k in loader.load("synthetic", "five", tmp_path).clip_key_N if k.startswith(key)]
    named = f"--clips={','.join(clips)}"
    out = tmp_path / "out"
    finished = run_command(COMMAND, f"--model_dir={model}", named, f"--output={out}")
    assert finished.status == 0, finished.err
    assert f"{len(clips)} clips of 1 subjects" in finished.out
    assert "these are the clips that the model was trained on" in finished.out
    with np.load(out / "looking.npz", allow_pickle=False) as arrays:
        assert arrays["clip"].tolist() == clips
        # Of each seed, averaged for the maps and kept for attention.
        probability_NxK = arrays["probability"]
    fitted = model_folder.load(model)
    rows = np.isin(loader.load("synthetic", "five", tmp_path).clip_key_N, clips)
    expected = fitted.probabilities(loader.load("synthetic", "five", tmp_path).rows(rows))
    np.testing.assert_allclose(probability_NxK, expected.mean(axis=0), atol=1e-5)


def test_a_model_refuses_clips_of_another_layout(tmp_path):
    exported = tmp_path / "whole.npz"
    run_command(
        "input_pipeline.export", "--dataset=synthetic", "--layout=whole", f"--output={exported}"
    )
    model = fitted_models.folder() / "model"
    refused = run_command(COMMAND, f"--model_dir={model}", f"--arrays={exported}")
    assert_mistake(refused, "layout whole", "the model is of five")
