"""Maps of other forms through the commands: a pretend data set from a build to its scores."""

import json
import pathlib

import made_once
import numpy as np
import pytest
from command_runner import assert_mistake, run_command

from input_pipeline.storage import loader

FORM = ("--normalise=symmetric", "--phases=2", "--map_size=36")
LAYOUT = "whole_symmetric_phases2_36"


def made(folder: pathlib.Path) -> None:
    """A pretend SAMM, plain, and then in another form from the same cache."""
    raw = folder / "raw"
    assert (
        run_command("input_pipeline.fake_database", "--database=samm", f"--output={raw}").status
        == 0
    )
    build = ("--dataset=samm", f"--raw_dir={raw}", f"--data_dir={folder / 'data'}", "--skip_bad")
    build += ("--layout=whole", "--flow=farneback")
    for flags in ((), ("--normalise=symmetric",), FORM):
        finished = run_command("input_pipeline.build", *build, *flags)
        assert finished.status == 0, finished.err
        times = folder / f"cached{len(flags)}"
        times.write_text(str(len(list((folder / "data" / "map_cache").iterdir()))))


@pytest.fixture(scope="module")
def data_dir() -> pathlib.Path:
    return made_once.folder("map forms", made) / "data"


def test_a_form_is_built_from_the_cache_that_is_there(data_dir):
    plain, symmetric, both = (
        int((data_dir.parent / f"cached{count}").read_text()) for count in (0, 1, 3)
    )
    # No flow of the first phase anew; a second one for each clip.
    assert plain == symmetric
    assert both == 2 * plain
    first = loader.load("samm", "whole", data_dir)
    form = loader.load("samm", LAYOUT, data_dir)
    assert form.clip_key_N == first.clip_key_N
    assert form.flow_NxHxWxC.shape == (len(first), 36, 36, 6)
    # No motion is the middle grey in every clip: most of a face rests.
    still_N = np.median(form.flow_whole_NxHxWxC[..., 1], axis=(1, 2))
    assert np.abs(still_N - 127.5).max() < 15
    assert np.ptp(np.median(first.flow_whole_NxHxWxC[..., 1], axis=(1, 2))) > 30
    assert form.provenance["normalise"] == "symmetric"
    assert "normalise" not in first.provenance


def test_a_form_goes_through_training_evaluation_and_methods(data_dir, tmp_path):
    asked = ("--dataset=samm", f"--data_dir={data_dir}", *FORM)
    net = ("--layout=whole", "--patch_size=9", "--base_dim=6", "--blocks=1,1,1")
    train = ("--epochs=1", "--subjects=samm/006,samm/007", "--save_weights")
    run = tmp_path / "run"
    finished = run_command("experiments.loso", *asked, *net, *train, f"--workdir={run}")
    assert finished.status == 0, finished.err
    config = json.loads((run / "config.json").read_text())["config"]
    assert config["layout"] == LAYOUT
    assert config["model_config"]["image_size"] == 36
    assert config["model_config"]["channels"] == 6
    again = run_command(
        *("experiments.evaluate", *asked, *net, "--model=ahmsa", train[1]),
        *(f"--weights_dir={run / 'weights' / 'seed-0'}", f"--workdir={tmp_path / 'given'}"),
    )
    assert again.status == 0, again.err
    trained, given = ((p / "predictions.csv").read_text() for p in (run, tmp_path / "given"))
    assert [line.split(",")[5] for line in trained.splitlines()] == [
        line.split(",")[5] for line in given.splitlines()
    ]
    for method in ("svm_maps", "kernel_flow"):
        workdir = f"--workdir={tmp_path / method}"
        finished = run_command("experiments.classical", *asked, f"--method={method}", workdir)
        assert finished.status == 0, finished.err
        assert LAYOUT in finished.out


def test_an_export_says_its_form(data_dir, tmp_path):
    arrays = tmp_path / "form.npz"
    asked = ("--dataset=samm", f"--data_dir={data_dir}", "--layout=whole", *FORM)
    assert run_command("input_pipeline.export", *asked, f"--output={arrays}").status == 0
    clips = loader.load_arrays(arrays)
    assert clips.layout == LAYOUT
    expected = loader.load("samm", LAYOUT, data_dir)
    assert clips.content_hash() == expected.content_hash()
    finished = run_command("experiments.loso", f"--arrays={arrays}", "--layout=whole")
    assert_mistake(finished, LAYOUT, "--normalise=symmetric --phases=2 --map_size=36")


def test_the_twin_in_pytorch_takes_two_phases(tmp_path):
    flags = ("--layout=whole", "--phases=2", "--subjects=synthetic-a/a08", "--epochs=1")
    for model in ("ahmsa", "htnet", "ststnet", "small"):
        size = ("--base_dim=6", "--blocks=1,1,1") if model in ("ahmsa", "htnet") else ()
        workdir = f"--workdir={tmp_path / model}"
        finished = run_command("experiments.torch_loso", f"--model={model}", *flags, *size, workdir)
        assert finished.status == 0, finished.err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--model=ststnet", "--map_size=36"), ("36 pixels", "28 pixels")),
        (("--model=htnet", "--layout=whole", "--map_size=36"), ("36 pixels", "--patch_size=7")),
        (("--recipe=ours", "--normalise=symmetric"), ("--pretrain", "whole_symmetric")),
    ],
)
def test_networks_that_cannot_take_a_form_say_so(flags, words, tmp_path):
    finished = run_command("experiments.loso", *flags, f"--workdir={tmp_path / 'run'}")
    assert_mistake(finished, *words)
