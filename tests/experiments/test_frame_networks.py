"""Networks of frames through the commands: training, weights, no held-out picture in a fold."""

import dataclasses
import pathlib
import signal

import made_once
import made_up_faces
import numpy as np
import pytest
import restart_faults
from command_runner import assert_mistake, run_command

from ahmsa_jax.networks.registry import NETWORKS
from ahmsa_jax.training import step
from experiments.files import fold_weights
from experiments.run.prepared import FACE_INPUTS, Preparation
from input_pipeline.core.clips import Clips
from input_pipeline.storage import arrays_file

# One subject has more clips than are predicted at once. Every fold is one batch, so that one
# program, which takes half a minute to compile, trains them all.
AT_ONCE = 4
COUNTS = {"006": AT_ONCE + 2, "007": 3, "011": 3}
FLAGS = ("--size=tiny", "--epochs=2", "--batch_size=24", "--learning_rate=1e-3", "--save_weights")
ALONE = ("--subjects=samm/007", "--folds_at_once=1")
NETWORK = {"hsta": ("--modules=1", "--warmup_epochs=0"), "mfdan": ()}


def clips() -> Clips:
    return made_up_faces.clips(COUNTS)


def predict_few_at_once() -> None:
    """No fault: as many slices as more clips would take."""
    step.PREDICTED_AT_ONCE = AT_ONCE


def trained(folder: pathlib.Path, model: str, made: Clips, *flags: str) -> pathlib.Path:
    """The folder of a run on these clips."""
    folder.mkdir(exist_ok=True)
    arrays = folder / "faces.npz"
    arrays_file.save_arrays(made, arrays)
    run = folder / "run"
    words = (f"--arrays={arrays}", f"--model={model}", f"--workdir={run}", *NETWORK[model])
    command = ("experiments.loso", *words, *FLAGS, *flags)
    finished = run_command(*command, prepare=predict_few_at_once)
    assert finished.status == 0, finished.err
    return run


def alone(folder: pathlib.Path, model: str, made: Clips) -> pathlib.Path:
    """The folder of a run of one fold on these clips."""
    return trained(folder, model, made, *ALONE)


def shared(model: str) -> pathlib.Path:
    """The run of all three folds, and its arrays beside it."""
    return made_once.folder(f"frames {model}", lambda folder: _made(folder, model))


def _made(folder: pathlib.Path, model: str) -> None:
    trained(folder, model, clips())


def shared_alone(model: str) -> pathlib.Path:
    """The run of the fold 007 alone."""
    made = made_once.folder(f"frames {model} alone", lambda folder: _made_alone(folder, model))
    return made / "run"


def _made_alone(folder: pathlib.Path, model: str) -> None:
    alone(folder, model, clips())


def probabilities(run: pathlib.Path) -> dict[str, np.ndarray]:
    """Of each clip, by its key."""
    rows = [line.split(",") for line in (run / "predictions.csv").read_text().splitlines()[1:]]
    return {"/".join(row[1:4]): np.array(row[6:], float) for row in rows}


@pytest.mark.parametrize("model", sorted(NETWORK))
def test_weights_predict_what_training_predicted(model, tmp_path):
    folder = shared(model)
    finished = run_command(
        *("experiments.evaluate", f"--arrays={folder / 'faces.npz'}", f"--model={model}"),
        *("--size=tiny", *NETWORK[model][:1], f"--weights_dir={folder / 'run/weights/seed-0'}"),
        f"--workdir={tmp_path / 'given'}",
    )
    assert finished.status == 0, finished.err
    first, second = probabilities(folder / "run"), probabilities(tmp_path / "given")
    assert first.keys() == second.keys()
    assert len(first) == sum(COUNTS.values())
    for key, probability in first.items():
        np.testing.assert_allclose(probability, second[key], atol=2e-5)


@pytest.mark.parametrize("model", sorted(NETWORK))
def test_a_fold_does_not_depend_on_what_runs_beside_it(model):
    together = probabilities(shared(model) / "run")
    for key, probability in probabilities(shared_alone(model)).items():
        np.testing.assert_allclose(probability, together[key], atol=1e-5)


def weights(run: pathlib.Path) -> dict[str, np.ndarray]:
    """Of the run's only fold."""
    (path,) = (run / "weights" / "seed-0").iterdir()
    assert fold_weights.load(path).subject_key == "samm/007"
    return fold_weights.load(path).params


@pytest.mark.parametrize("model", sorted(NETWORK))
def test_no_held_out_picture_is_read_in_training(model, tmp_path):
    """The same program on the same fold: what the fold holds out changes no bit of its weights."""
    found = {"": weights(shared_alone(model))}
    for subject in ("007", "011"):
        poisoned = clips()
        is_one_N = poisoned.subject_N == subject
        faces = {name: column.copy() for name, column in poisoned.faces.items()}
        faces["frames"][is_one_N] = 255 - faces["frames"][is_one_N]
        faces["flow_px"][is_one_N] = 9
        made = dataclasses.replace(poisoned, faces=faces)
        found[subject] = weights(alone(tmp_path / f"poisoned-{subject}", model, made))
    for path, leaf in found[""].items():
        np.testing.assert_array_equal(found["007"][path], leaf, err_msg=path)
    # Positive control: a subject that is trained on.
    assert max(np.abs(found["011"][path] - leaf).max() for path, leaf in found[""].items()) > 1e-5


def killed_in_the_second_epoch() -> None:
    predict_few_at_once()
    restart_faults.killed_in_the_second_epoch()


@pytest.mark.parametrize("model", sorted(NETWORK))
def test_killed_and_given_again_it_ends_with_the_same_bytes(model, tmp_path):
    words = (f"--arrays={shared(model) / 'faces.npz'}", f"--model={model}", *NETWORK[model])
    flags = (*FLAGS, *ALONE, "--checkpoint_minutes=0.00001", f"--workdir={tmp_path / 'run'}")
    command = ("experiments.loso", *words, *flags)
    killed = run_command(*command, prepare=killed_in_the_second_epoch)
    assert killed.status == -signal.SIGKILL
    resumed = run_command(*command, prepare=predict_few_at_once)
    assert resumed.status == 0, resumed.err
    assert "epoch 1/2: 50%" in resumed.err
    for name in ("predictions.csv", "metrics.jsonl"):
        wanted = (shared_alone(model) / name).read_bytes()
        assert (tmp_path / "run" / name).read_bytes() == wanted, name


@pytest.mark.parametrize("model", sorted(NETWORK))
def test_weights_go_to_pytorch_and_back(model, tmp_path):
    there, back = tmp_path / "torch", tmp_path / "back"
    words = ("experiments.convert_weights", f"--model={model}", "--size=tiny", *NETWORK[model][:1])
    source = shared(model) / "run" / "weights" / "seed-0"
    for name, start, end in (("torch", source, there), ("safetensors", there, back)):
        flags = (f"--to={name}", f"--weights_dir={start}", f"--output={end}")
        finished = run_command(*words, *flags)
        assert finished.status == 0, finished.err
    names = sorted(path.name for path in source.iterdir())
    assert sorted(path.name for path in (back / "seed-0").iterdir()) == names
    for name in names:
        first, second = (fold_weights.load(f / name).params for f in (source, back / "seed-0"))
        assert first.keys() == second.keys()
        for path, leaf in first.items():
            np.testing.assert_array_equal(second[path], leaf)


def test_frames_stay_as_they_are_stored():
    made = clips()
    (view,) = Preparation().views(made)
    for name in FACE_INPUTS:
        assert view[name] is made.faces[name]


@pytest.mark.parametrize("model", sorted(NETWORK))
def test_networks_of_frames_name_their_stored_layout(model):
    network = NETWORKS[model]
    assert network.layout == "rgb224"
    assert set(network.inputs_of(network.config())) <= {*FACE_INPUTS}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--model=hsta", "--layout=whole"), ("--model=hsta sees frames", "--faces")),
        (("--model=mfdan",), ("no frames", "fake_database", "--faces")),
        (("--model=mfdan", "--dataset=samm"), ("input_pipeline.build", "--faces")),
        (("--model=hsta", "--layer_decay=0"), ("--layer_decay=0",)),
        (("--model=ahmsa", "--layer_decay=0.9"), ("--layer_decay=0.9", "hsta")),
        (("--model=ahmsa", "--size=tiny"), ("--size", "ahmsa")),
        (("--model=mfdan", "--mergings=4"), ("--mergings=4",)),
        (("--model=hsta", "--depths=1"), ("--depths=1",)),
    ],
)
def test_mistakes_with_frames_are_one_line(flags, words, tmp_path):
    place = (f"--data_dir={tmp_path}", f"--workdir={tmp_path / 'run'}")
    assert_mistake(run_command("experiments.loso", *flags, *place), *words)


def test_what_changes_maps_is_refused(tmp_path):
    arrays = f"--arrays={shared('mfdan') / 'faces.npz'}"
    for flag in ("--input_norm=center", "--augment=mirror", "--fold_std", "--test_mirror"):
        words = (arrays, "--model=mfdan", "--size=tiny", flag, f"--workdir={tmp_path / 'run'}")
        name = flag.split("=")[0]
        assert_mistake(run_command("experiments.loso", *words), name, "sees frames")


@pytest.mark.parametrize("model", sorted(NETWORK))
def test_the_loop_in_pytorch_takes_the_same_data_and_writes_the_same_files(model, tmp_path):
    """The subject that needs two slices, and weights that predict what training predicted."""
    run, given = tmp_path / "run", tmp_path / "given"
    words = (f"--arrays={shared(model) / 'faces.npz'}", f"--model={model}", *NETWORK[model])
    command = ("experiments.torch_loso", *words, *FLAGS, "--sampling=shuffle")
    words_006 = ("--subjects=samm/006", f"--workdir={run}")
    finished = run_command(*command, *words_006, prepare=predict_few_at_once)
    assert finished.status == 0, finished.err
    assert "in PyTorch" in finished.out
    found = probabilities(run)
    assert len(found) == COUNTS["006"]
    assert found.keys() <= probabilities(shared(model) / "run").keys()
    words = (*words[:2], "--size=tiny", *NETWORK[model][:1], "--subjects=samm/006")
    weights_dir = f"--weights_dir={run / 'weights/seed-0'}"
    finished = run_command("experiments.evaluate", *words, weights_dir, f"--workdir={given}")
    assert finished.status == 0, finished.err
    for key, probability in probabilities(given).items():
        np.testing.assert_allclose(probability, found[key], atol=2e-5)


def test_the_loop_in_pytorch_names_the_draws_that_it_lacks(tmp_path):
    arrays = f"--arrays={shared('hsta') / 'faces.npz'}"
    words = (arrays, "--model=hsta", "--size=tiny", f"--workdir={tmp_path / 'run'}")
    finished = run_command("experiments.torch_loso", *words)
    assert_mistake(finished, "--sampling=balanced", "give --sampling=shuffle")


def test_a_dry_run_of_the_full_network_runs_nothing(tmp_path):
    arrays = f"--arrays={shared('hsta') / 'faces.npz'}"
    flags = (arrays, "--model=hsta", "--dry_run", f"--workdir={tmp_path / 'run'}")
    finished = run_command("experiments.loso", *flags)
    assert finished.status == 0, finished.err
    # 88.4 GFLOP forward, three times that for a step, 32 clips.
    assert "a training step of 8.49 TFLOP" in finished.out
    assert "nothing is compiled or run" in finished.out
    assert "81,8" in finished.out
    assert not (tmp_path / "run").exists()
