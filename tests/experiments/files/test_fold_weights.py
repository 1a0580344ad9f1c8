"""Weights kept by a run, and batches spread over devices, from the command line to the files."""

import json

import jax
import numpy as np
import pytest
import restart_faults
from command_runner import assert_mistake, run_command
from small_runs import KEYS, loso, rows

from ahmsa_jax.config import TrainConfig
from ahmsa_jax.networks.ahmsa import ModelConfig
from ahmsa_jax.training import step
from experiments.files import fold_weights
from input_pipeline.core.errors import InputError
from input_pipeline.maps import synthetic

# With a block, whose single patch leaves some weights without effect: they are kept too.
THREE_EPOCHS = ("--blocks=0,0,1", "--epochs=3", "--save_weights")
WORDS = ("prob_negative", "prob_positive", "prob_surprise")


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    found = tmp_path_factory.mktemp("weights") / "run"
    finished = loso(found, *THREE_EPOCHS)
    assert finished.status == 0, finished.err
    return found


def probabilities(workdir):
    return {
        f"{row['database']}/{row['subject']}/{row['clip']}": [float(row[word]) for word in WORDS]
        for row in rows(workdir / "predictions.csv")
    }


def test_kept_weights_give_the_runs_predictions(workdir):
    clips = synthetic.make("five", "small")
    written = probabilities(workdir)
    files = sorted(path.name for path in (workdir / "weights" / "seed-0").iterdir())
    assert files == sorted(f"{key.replace('/', '_')}.safetensors" for key in KEYS)
    for key in KEYS:
        weights = fold_weights.load(workdir / "weights/seed-0" / fold_weights.file_name(key))
        assert (weights.subject_key, weights.seed, weights.model) == (key, 0, "ahmsa")
        assert weights.data_sha256 == clips.content_hash()
        settings = weights.model_config | {"blocks": tuple(weights.model_config["blocks"])}
        model = step.make_model(ModelConfig(**settings), TrainConfig())
        params = {tuple(path.split("/")): leaf for path, leaf in weights.params.items()}
        own = np.flatnonzero(np.array(clips.subject_key_N) == key)
        logits, _ = model.apply(step.variables_of(params, {}, {}), clips.flow_NxHxWxC[own])
        expected = [written[clips.clip_key_N[index]] for index in own]
        np.testing.assert_allclose(jax.nn.softmax(logits), expected, atol=1e-6)


def test_changed_cut_and_foreign_files_are_refused(workdir, tmp_path):
    good = workdir / "weights/seed-0" / fold_weights.file_name(KEYS[0])
    data = good.read_bytes()
    flipped = bytearray(data)
    flipped[-3] ^= 1
    for content, word in (
        (bytes(flipped), "another SHA-256"),
        (data[:-8], "is damaged"),
        (b"no safetensors at all", "is damaged"),
    ):
        (tmp_path / "file.safetensors").write_bytes(content)
        with pytest.raises(InputError, match=word):
            fold_weights.load(tmp_path / "file.safetensors")
    from safetensors.numpy import save_file

    save_file({"weight": np.zeros(3, np.float32)}, tmp_path / "foreign.safetensors")
    with pytest.raises(InputError, match="no weights of a fold"):
        fold_weights.load(tmp_path / "foreign.safetensors")


def test_weights_under_another_subjects_name_are_refused(workdir, tmp_path):
    """They have seen that subject's clips: its score would be that of the training set."""
    files = sorted((workdir / "weights" / "seed-0").iterdir())
    for place, path in enumerate(files):
        (tmp_path / files[place - 1].name).write_bytes(path.read_bytes())
    arguments = ("--dataset=synthetic", "--base_dim=6", "--blocks=0,0,1")
    finished = run_command(
        "experiments.evaluate",
        *arguments,
        f"--subjects={','.join(KEYS)}",
        f"--weights_dir={tmp_path}",
        f"--workdir={tmp_path / 'run'}",
    )
    assert finished.status == 2
    assert f"of {KEYS[1]}, which have seen the clips of {KEYS[0]};" in finished.out
    assert not (tmp_path / "run").exists()


def test_weights_of_other_data_are_evaluated_with_a_note(workdir, tmp_path):
    arguments = (
        "--base_dim=6",
        "--blocks=0,0,1",
        f"--subjects={','.join(KEYS)}",
        f"--weights_dir={workdir / 'weights' / 'seed-0'}",
    )
    note = "6 of 6 weights were trained on another data set or layout"
    for layout, noted in (("five", False), ("quad", True)):
        run = tmp_path / layout
        where = (f"--layout={layout}", f"--workdir={run}")
        finished = run_command("experiments.evaluate", *arguments, *where)
        assert finished.status == 0, finished.err
        assert (note in finished.out) == noted
        assert (note in (run / "summary.md").read_text()) == noted
        assert json.loads((run / "config.json").read_text())["pretend"] is True


def test_a_finished_evaluation_is_shown_and_a_damaged_one_made_again_by_its_own_code(
    workdir, tmp_path
):
    run = tmp_path / "run"
    words = ("--base_dim=6", "--blocks=0,0,1", f"--weights_dir={workdir / 'weights' / 'seed-0'}")
    command = ("experiments.evaluate", *words, f"--workdir={run}")
    first = run_command(*command, f"--subjects={KEYS[0]}")
    assert first.status == 0, first.err
    before = (run / "predictions.csv").read_bytes()
    other_code = restart_faults.other_version
    shown = run_command(*command, f"--subjects={KEYS[0]}", prepare=other_code)
    assert (shown.status, shown.out) == (0, first.out)
    other_run = run_command(*command, f"--subjects={KEYS[1]}", prepare=no_prediction)
    assert_mistake(other_run, "holds a run with other settings", "subjects")
    (run / "predictions.csv").write_bytes(before[:-20])
    refused = run_command(*command, f"--subjects={KEYS[0]}", prepare=other_code)
    assert_mistake(refused, "holds an unfinished run of another code version")
    assert run_command(*command, f"--subjects={KEYS[0]}").status == 0
    assert (run / "predictions.csv").read_bytes() == before


def no_prediction():
    from experiments.schedule import prediction

    prediction.predict_all = None


def test_batches_spread_over_devices_give_the_same_run(workdir, tmp_path):
    finished = loso(
        tmp_path / "run",
        "--blocks=0,0,1",
        "--epochs=3",
        "--parallel=batch",
        "--folds_at_once=0",
        "--eval_every=1",
        f"--subjects={KEYS[0]},{KEYS[3]}",
        prepare=restart_faults.two_devices,
    )
    assert finished.status == 0, finished.err
    assert "device: 2 x cpu" in finished.out
    whole, ours = probabilities(workdir), probabilities(tmp_path / "run")
    assert ours
    for clip, found in ours.items():
        # Sums over the batch in another order, over three epochs.
        np.testing.assert_allclose(found, whole[clip], atol=1e-5)


def test_spread_batches_are_of_one_fold(tmp_path):
    finished = loso(tmp_path / "run", "--parallel=batch")
    assert_mistake(finished, "--parallel=batch trains one fold at a time", "--folds_at_once=3")
