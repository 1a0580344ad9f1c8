"""A model of all clips: what its folder says, what it predicts, which estimates it takes.

Modules tried here: experiments.fitting.all_clips, experiments.fitting.choice,
experiments.fitting.estimate, experiments.fitting.fitted, experiments.fitting.model_card,
experiments.fitting.model_folder, experiments.fitting.reliability.
"""

import csv
import dataclasses
import json
import shutil

import fitted_models
import numpy as np
import pytest
from command_runner import assert_mistake, run_command
from small_runs import SHALLOW

from experiments.fitting import calibration, model_folder
from experiments.run.spec import config_hash
from experiments.scores import spread
from experiments.scores.summary import read_records
from input_pipeline.core.errors import InputError
from input_pipeline.storage import loader


@pytest.fixture(scope="module")
def made():
    return fitted_models.folder()


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return loader.load("synthetic", "five", tmp_path_factory.mktemp("none"))


def test_the_folder_says_what_the_model_is_of(made, clips):
    model = model_folder.load(made / "model")
    facts = model.facts
    assert (model.name, model.seeds, model.layout) == ("ahmsa", (0, 1), "five")
    assert facts["data_sha256"] == clips.content_hash()
    assert (facts["clips"], facts["subjects"]) == (160, 24)
    assert facts["maps"] == clips.provenance
    with (made / "model" / model_folder.CLIPS_FILE).open(newline="") as file:
        rows = [(row["clip"], row["class"]) for row in csv.DictReader(file)]
    classes = [clips.class_of(index) for index in range(len(clips))]
    assert rows == list(zip(clips.clip_key_N, classes, strict=True))
    card = (made / "model" / model_folder.CARD_FILE).read_text()
    assert card.startswith("# PRETEND data: ahmsa on synthetic")
    for part in ("All 160 clips of 24 subjects", "95 % interval", "## What it is not for"):
        assert part in card


def test_it_predicts_what_training_predicted(made, clips):
    model = model_folder.load(made / "model")
    probability_SxNxK = model.probabilities(clips)
    training = made / "model" / model_folder.TRAINING
    with np.load(training / "chunks" / "chunk-0000.npz") as stored:
        np.testing.assert_array_equal(stored["seed"], [0, 1])
        trained_TxK = stored["probability"]
    np.testing.assert_allclose(np.concatenate(probability_SxNxK), trained_TxK, atol=1e-5)
    with pytest.raises(InputError, match="in the layout whole, the model was trained on five"):
        model.probabilities(dataclasses.replace(clips, layout="whole"))
    averaged_NxK = model.averaged(probability_SxNxK)
    mean_NxK = probability_SxNxK.mean(axis=0, dtype=np.float64)
    powered_NxK = mean_NxK ** (1 / model.temperature)
    np.testing.assert_allclose(averaged_NxK, powered_NxK / powered_NxK.sum(-1, keepdims=True))


def test_the_temperature_is_that_of_the_averaged_estimate(made):
    model = model_folder.load(made / "model")
    records = read_records([made / "loso"])
    rows = spread.averaged(records.predictions)
    probability_NxK = np.array([row.probability_K for row in rows])
    label_N = np.array([row.label for row in rows])

    def loss(temperature):
        powered_NxK = probability_NxK ** (1 / temperature)
        powered_NxK /= powered_NxK.sum(-1, keepdims=True)
        return -np.log(powered_NxK[np.arange(len(label_N)), label_N]).mean()

    best = loss(model.temperature)
    assert best < loss(model.temperature * 1.02)
    assert best < loss(model.temperature / 1.02)
    told = model.facts["estimate"]
    assert told["seeds"] == 2
    counts_KxK = records.confusion(rows)
    f1_K = 2 * np.diag(counts_KxK) / (counts_KxK.sum(axis=0) + counts_KxK.sum(axis=1))
    assert told["scores"]["uf1"] == pytest.approx(f1_K.mean())
    assert told["calibration_error"] == pytest.approx(
        calibration.bins(probability_NxK, label_N).error
    )


def fit(output, *arguments):
    return run_command("experiments.fit", *arguments, f"--output={output}")


def test_a_finished_model_is_read_and_another_refused(made, tmp_path):
    shutil.copytree(made / "model", tmp_path / "model")
    before = (tmp_path / "model" / "model.json").read_bytes()
    arguments = (*fitted_models.SETTINGS, f"--estimate={made / 'loso'}")
    again = fit(tmp_path / "model", *arguments)
    assert again.status == 0, again.err
    assert "epoch" not in again.err
    assert (tmp_path / "model" / "model.json").read_bytes() == before
    other = fit(tmp_path / "model", *arguments, "--learning_rate=0.5")
    assert other.status == 2
    # Against the estimate already.
    assert "learning_rate" in other.err
    without = fit(tmp_path / "model", *fitted_models.SETTINGS, "--learning_rate=0.5")
    assert without.status == 2
    assert "holds a run with other settings" in without.err
    assert "choose another --output" in without.err
    predictions = (made / "loso" / "predictions.csv").read_bytes()
    assert_mistake(
        fit(made / "loso", *fitted_models.SETTINGS), "holds a run with predictions", "another"
    )
    assert (made / "loso" / "predictions.csv").read_bytes() == predictions
    own = (*fitted_models.SETTINGS, f"--estimate={made / 'model'}")
    assert_mistake(fit(tmp_path / "new", *own), "is the folder of a model; name that of the")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--epochs=3",), "train_config.epochs: estimate 2, model 3"),
        (("--num_seeds=3",), "has 2 seed(s), the model averages 3"),
        (("--shuffle_labels",), "shuffled_labels: estimate false, model true"),
        (("--loss=focal",), "train_config.loss"),
        (("--select=inner",), "select"),
    ],
)
def test_an_estimate_of_other_settings_is_refused(made, tmp_path, arguments, words):
    settings = (*fitted_models.SETTINGS, *arguments, f"--estimate={made / 'loso'}")
    refused = fit(tmp_path / "model", *settings)
    assert refused.status == 2
    assert words in refused.err
    assert refused.err.count("\n") == 1
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("minutes", ["-1", "nan", "50000"])
def test_minutes_between_checkpoints_are_a_sensible_number(tmp_path, minutes):
    flag = f"--checkpoint_minutes={minutes}"
    refused = fit(tmp_path / "model", *fitted_models.SETTINGS, flag)
    assert_mistake(refused, flag, "allowed are 0 (never) to 43200")
    assert not (tmp_path / "model").exists()


def test_an_estimate_of_some_subjects_is_refused(tmp_path):
    settings = ("--dataset=synthetic", *SHALLOW, "--epochs=2")
    two = "--subjects=synthetic-a/a05,synthetic-b/b04"
    run = run_command("experiments.loso", *settings, two, f"--workdir={tmp_path / 'part'}")
    assert run.status == 0, run.err
    refused = fit(tmp_path / "model", *settings, f"--estimate={tmp_path / 'part'}")
    assert refused.status == 2
    assert "2 of 24 subjects were asked for" in refused.err
    refused = fit(tmp_path / "model", *settings, f"--estimate={tmp_path / 'absent'}")
    assert refused.status == 2
    assert "is no run's workdir" in refused.err


def changed(folder, **facts):
    """model.json with other facts and the hash that fits them."""
    path = folder / model_folder.MODEL_FILE
    content = json.loads(path.read_text()) | facts
    content.pop("model_hash")
    path.write_text(json.dumps(content | {"model_hash": config_hash(content)}))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda m: (m / "model.json").unlink(), "is no model's folder"),
        (lambda m: (m / "model.json").write_text("{}"), "is damaged"),
        (lambda m: (m / "model.json").write_text('{"model": "ahmsa"}'), "is damaged"),
        (
            lambda m: (m / "model.json").write_text(
                (m / "model.json").read_text().replace('"five"', '"quad"')
            ),
            "its hash does not fit",
        ),
        (lambda m: changed(m, format=2), "its format is 2"),
        (lambda m: changed(m, model="unheard"), "its network is unheard"),
        (lambda m: changed(m, network={"base_dim": 6, "width": 2}), "no setting 'width'"),
        (lambda m: changed(m, seeds="0"), "its seeds is"),
        (lambda m: changed(m, data_sha256="0" * 64), "trained on other clips"),
        (lambda m: model_folder.weights_path(m, 1).unlink(), "the weights of seed 1"),
        (
            lambda m: model_folder.weights_path(m, 1).write_bytes(
                model_folder.weights_path(m, 0).read_bytes()
            ),
            "seed 0, not 1",
        ),
        (
            lambda m: model_folder.weights_path(m, 0).write_bytes(
                model_folder.weights_path(m, 0).read_bytes()[:-1] + b"\x55"
            ),
            "is damaged",
        ),
    ],
)
def test_a_damaged_model_is_one_line(made, clips, tmp_path, harm, words):
    shutil.copytree(made / "model", tmp_path / "model")
    harm(tmp_path / "model")

    def use():
        return model_folder.load(tmp_path / "model").weights

    with pytest.raises(InputError, match=words):
        use()


def test_settings_are_chosen_over_subject_grouped_parts_of_all_clips(tmp_path):
    (tmp_path / "candidates.txt").write_text("--learning_rate=0\n--learning_rate=1e-9\n")
    done = fit(
        tmp_path / "model",
        *("--dataset=synthetic", *SHALLOW, "--epochs=3", "--learning_rate=1e-3"),
        *("--select=inner", "--inner_folds=2", f"--candidates={tmp_path / 'candidates.txt'}"),
    )
    assert done.status == 2
    assert "learning_rate" in done.err
    (tmp_path / "candidates.txt").write_text("--learning_rate=1\n--learning_rate=1e-9\n")
    done = fit(
        tmp_path / "model",
        *("--dataset=synthetic", *SHALLOW, "--epochs=3", "--learning_rate=1e-3"),
        *("--select=inner", "--inner_folds=2", f"--candidates={tmp_path / 'candidates.txt'}"),
    )
    assert done.status == 0, done.err
    model = model_folder.load(tmp_path / "model")
    assert model.facts["choice"]["candidate"] == "--learning_rate=1e-9"
    assert model.facts["training"]["learning_rate"] == 1e-9
    assert model.facts["training"]["epochs"] == model.facts["choice"]["epochs"]
    assert len(model.weights) == 1
    assert (
        "Settings chosen over 2 subject-grouped parts"
        in (tmp_path / "model" / model_folder.CARD_FILE).read_text()
    )
