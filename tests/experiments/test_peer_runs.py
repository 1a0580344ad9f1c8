"""The peers from the command line: presets and recipes, the PyTorch loop, and given weights.

Module tried here without being imported: experiments.schedule.torch_trainer.
"""

import json

import numpy as np
import pytest
import small_runs
from command_runner import assert_mistake, run_command
from small_runs import rows

SUBJECTS = ",".join(small_runs.KEYS[:3])
SMALL = ("--dataset=synthetic", f"--subjects={SUBJECTS}", "--epochs=2", "--batch_size=160")


def config(workdir):
    return json.loads((workdir / "config.json").read_text(encoding="utf-8"))["config"]


def answers(workdir):
    return [
        {name: value for name, value in row.items() if not name.startswith("prob")}
        for row in rows(workdir / "predictions.csv")
    ]


def probabilities(workdir):
    names = ("prob_negative", "prob_positive", "prob_surprise")
    return np.array(
        [[float(row[name]) for name in names] for row in rows(workdir / "predictions.csv")]
    )


def trained(workdir, command):
    finished = run_command(
        command,
        "--model=ststnet",
        *SMALL,
        "--eval_every=1",
        "--save_weights",
        f"--workdir={workdir}",
    )
    assert finished.status == 0, finished.err
    return workdir, finished


@pytest.fixture(scope="module")
def ststnet(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("ststnet") / "run", "experiments.loso")


@pytest.fixture(scope="module")
def by_torch(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("torch") / "run", "experiments.torch_loso")


def test_a_network_brings_its_papers_settings(ststnet):
    workdir, finished = ststnet
    stored = config(workdir)
    assert (stored["model"], stored["layout"]) == ("ststnet", "whole")
    assert stored["model_config"] == {
        "image_size": 28,
        "dropout": 0.5,
        "norm_momentum": 0.1,
        "norm_eps": 1e-5,
        "channel_order": "svu",
        "input_scale": 1.0,
        "num_classes": 3,
    }
    assert stored["train_config"]["shuffle"] is False
    assert stored["train_config"]["batch_size"] == 160
    assert "network: ststnet, 1,683 parameters" in finished.out
    # The preset of the synthetic data, without the width that this network does not have.
    assert "brings its own small learning_rate;" in finished.out


def test_flags_of_a_run_start_it_again(ststnet):
    workdir, _ = ststnet
    before = (workdir / "predictions.csv").read_bytes()
    again = run_command(
        "experiments.loso", f"--flagfile={workdir / 'flags.txt'}", f"--workdir={workdir}"
    )
    assert again.status == 0, again.err
    assert (workdir / "predictions.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "layout", "settings"),
    [
        (("--model=htnet",), "quad_htnet", ("svu", False, 5e-5, 256, [2, 2, 8])),
        (("--model=htnet", "--recipe=described"), "quad", ("uvs", True, 5e-5, 256, [2, 2, 8])),
        (
            (
                "--model=htnet",
                "--recipe=described",
                "--noshuffle",
                "--layout=five",
                "--channel_order=svu",
                "--learning_rate=1e-3",
                "--blocks=2,2,10",
            ),
            "five",
            ("svu", False, 1e-3, 256, [2, 2, 10]),
        ),
    ],
)
def test_recipes_and_single_flags(arguments, layout, settings):
    """Settings only: what a run of a data set other than the synthetic one would take."""
    import subprocess
    import sys

    from command_runner import ROOT

    script = (
        "import json, sys\n"
        "from absl import flags\n"
        "from experiments.run import flags as run_flags\n"
        "from experiments.run.recipes import presets\n"
        "from input_pipeline.core import data_flags\n"
        "from ahmsa_jax.config import plain\n"
        "run_flags.define_run_flags()\n"
        "flags.FLAGS(['x', *sys.argv[1:]])\n"
        "given, from_data = flags.FLAGS, {'image_size': 28, 'num_classes': 3}\n"
        "model, training, _ = run_flags.settings(given, 'casme3', from_data)\n"
        "layout = data_flags.layout(presets(given.model, given.recipe)['layout'])\n"
        "found = {**plain(model), **plain(training), 'layout': layout}\n"
        "assert 'jax' not in sys.modules\n"
        "print(json.dumps(found))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    found = json.loads(run.stdout)
    names = ("channel_order", "shuffle", "learning_rate", "base_dim", "blocks")
    assert tuple(found[name] for name in names) == settings
    assert found["layout"] == layout
    assert (found["epochs"], found["batch_size"]) == (800, 256)


def test_flags_that_a_network_does_not_have_are_refused(tmp_path):
    for arguments, parts in (
        (("--model=ststnet", "--base_dim=24"), ("--base_dim is no setting of --model=ststnet",)),
        (("--model=htnet", "--reduction=4"), ("--reduction is no setting", "mlp_ratio")),
        (("--dropout=0.1",), ("--dropout is no setting of --model=ahmsa",)),
        (("--recipe=published",), ("--recipe=published is for networks", "htnet and ststnet")),
        (("--model=ststnet", "--parallel=batch"), ("--parallel=batch cannot be",)),
        (("--model=ststnet", "--dropout=1"), ("--dropout=1 is out of range",)),
        (("--model=htnet", "--patch_size=14"), ("need a grid of 4 patches",)),
        (("--model=htnet", "--channel_order=rgb"), ("--channel_order=rgb",)),
    ):
        finished = run_command("experiments.loso", *arguments, f"--workdir={tmp_path / 'run'}")
        assert_mistake(finished, *parts)
    finished = run_command("experiments.torch_loso", "--precision=bfloat16")
    assert_mistake(finished, "--precision=bfloat16 is not for PyTorch")
    for name in ("fused_update", "fused_layers"):
        finished = run_command("experiments.torch_loso", f"--{name}")
        assert_mistake(finished, f"--{name}=True is not for PyTorch")
    assert not list(tmp_path.iterdir())


def test_torch_loso_writes_the_same_files(ststnet, by_torch):
    ours, theirs = ststnet[0], by_torch[0]
    theirs_only = {"plan.json"}
    names = [{path.name for path in workdir.iterdir()} for workdir in (ours, theirs)]
    assert names[0] - theirs_only == names[1]
    for name in ("predictions.csv", "folds.csv", "subjects.csv", "scores.csv"):
        headers = [(workdir / name).read_text().splitlines()[0] for workdir in (ours, theirs)]
        assert headers[0] == headers[1], name
    keys = [
        [(row["subject"], row["clip"], row["label"]) for row in answers(workdir)]
        for workdir in (ours, theirs)
    ]
    assert keys[0] == keys[1]
    summary = json.loads((theirs / "summary.json").read_text(encoding="utf-8"))
    assert summary["optimistic_best_epoch_on_test"]["n"] == summary["pooled"]["n"]
    stored = [config(workdir) for workdir in (ours, theirs)]
    assert stored[1].pop("framework") == "pytorch"
    assert "in PyTorch" in by_torch[1].out
    assert stored[1] == {name: stored[0][name] for name in stored[1]}


def test_torch_loso_is_repeatable_and_goes_on(by_torch, tmp_path):
    workdir = by_torch[0]
    before = (workdir / "predictions.csv").read_bytes()
    # As if killed before the second fold's results were whole.
    (workdir / "chunks" / "chunk-0001.npz").write_bytes(b"cut")
    (workdir / "predictions.csv").unlink()
    again = run_command(
        "experiments.torch_loso", f"--flagfile={workdir / 'flags.txt'}", f"--workdir={workdir}"
    )
    assert again.status == 0, again.err
    assert "folds 2/3" in again.err
    assert (workdir / "predictions.csv").read_bytes() == before
    refused = run_command(
        "experiments.loso", f"--flagfile={workdir / 'flags.txt'}", f"--workdir={workdir}"
    )
    assert_mistake(refused, "holds a run with other settings", "framework")


@pytest.mark.parametrize("whose", ["ststnet", "by_torch"])
def test_evaluate_gives_a_runs_own_predictions(whose, tmp_path, request):
    trained = request.getfixturevalue(whose)[0]
    workdir = tmp_path / "run"
    finished = run_command(
        "experiments.evaluate",
        "--model=ststnet",
        "--dataset=synthetic",
        f"--subjects={SUBJECTS}",
        f"--weights_dir={trained / 'weights'}",
        f"--workdir={workdir}",
    )
    assert finished.status == 0, finished.err
    assert "of the weights given, however they were chosen" in finished.out
    assert answers(workdir) == answers(trained)
    np.testing.assert_allclose(probabilities(workdir), probabilities(trained), atol=1e-6)
    assert {"summary.json", "summary.md", "folds.csv", "metrics.jsonl", "confusion_matrix.png"} <= {
        path.name for path in workdir.iterdir()
    }
    # Exactly those of the fold: without one, nothing is evaluated.
    next(trained.glob("weights/seed-0/*_a05.*")).rename(tmp_path / "hidden")
    missing = run_command(
        "experiments.evaluate",
        "--model=ststnet",
        "--dataset=synthetic",
        f"--subjects={SUBJECTS}",
        f"--weights_dir={trained / 'weights'}",
        f"--workdir={tmp_path / 'other'}",
    )
    assert_mistake(missing, "no weights of synthetic-a/a05")
    assert not (tmp_path / "other").exists()
    compared = run_command(
        "experiments.compare", f"--workdirs={trained},{workdir}", f"--output={tmp_path / 'out'}"
    )
    assert compared.status == 0, compared.err
    assert "ststnet (whole, given weights)" in compared.out
