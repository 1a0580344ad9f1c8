"""Maps prepared as settings say, in training and with kept weights; what cannot be together.

Modules tried here without being imported: experiments.schedule.starts,
experiments.schedule.prediction.
"""

import csv
import json

import numpy as np
import pytest
from command_runner import assert_mistake, run_command
from small_runs import KEYS

from ahmsa_jax.config import ConfigError, TrainConfig
from ahmsa_jax.inputs.input_norm import INPUT_NORMS
from ahmsa_jax.inputs.mirror import mirrored
from ahmsa_jax.networks.registry import NETWORKS
from experiments.run import arguments, exclusions, inner_selection, prepared
from experiments.run.flag_values import WordsParser
from experiments.run.prepared import Preparation
from input_pipeline.maps import synthetic

TWO = f"--subjects={','.join(KEYS[:2])}"
# Our recipe for a short look; a start of few clips.
OURS = ("--model=small", "--recipe=ours", "--epochs=2", "--fold_std", "--pretrain=synthetic")
OURS += ("--pretrain_clips=80", "--pretrain_epochs=1", TWO)


def test_several_words_of_a_flag():
    parser = WordsParser(["none", "mirror", "affine"])
    assert parser.parse("mirror, affine") == ("mirror", "affine")
    assert parser.parse("none") == ()
    for wrong in ("mirror,mirror", "mirror,none", "", "up"):
        with pytest.raises(ValueError, match="give each of mirror, affine at most once, or none"):
            parser.parse(wrong)


@pytest.mark.parametrize("norm", INPUT_NORMS)
def test_views_are_the_maps_and_their_mirror_images_divided(norm):
    clips = synthetic.make("whole", "small")
    flow, whole = clips.flow_NxHxWxC[:4], clips.flow_whole_NxHxWxC[:4]
    views = Preparation(norm, (2.0, 4.0, 8.0), test_mirror=True).views(clips.rows(np.arange(4)))
    plain = INPUT_NORMS[norm](flow, whole).astype(np.float32)
    scale = np.array([2, 4, 8], np.float32)
    np.testing.assert_array_equal(views[0]["flow"], plain / scale)
    expected = mirrored(plain, centred=norm != "none") / scale
    np.testing.assert_array_equal(views[1]["flow"], expected)
    training = TrainConfig(input_norm=norm)
    np.testing.assert_array_equal(prepared.inputs(clips, training)["flow"][:4], plain)


def test_a_preparation_is_stored_only_where_it_does_something():
    assert Preparation().to_json() == {}
    full = Preparation("robust", (0.5, 1.0, 2.0), test_mirror=True)
    stored = json.loads(json.dumps(full.to_json()))
    assert Preparation.from_json(stored) == full
    for damaged in ({"input_norm": "odd"}, {"std": [0, 1, 1]}, {"std": ["x"]}, {"more": 1}):
        with pytest.raises(ValueError):  # noqa: PT011 (whatever the value makes float say)
            Preparation.from_json(damaged)


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("ours") / "run"
    finished = run_command("experiments.loso", *OURS, "--save_weights", f"--workdir={workdir}")
    assert finished.status == 0, finished.err
    return workdir


def probabilities(workdir):
    with (workdir / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name.startswith("prob_")]
    return {(row["subject"], row["clip"]): [float(row[name]) for name in names] for row in rows}


def test_kept_weights_are_evaluated_on_maps_prepared_alike(ours, tmp_path):
    arguments = ("--model=small", "--layout=whole", f"--weights_dir={ours / 'weights'}", TWO)
    config = json.loads((ours / "config.json").read_text())["config"]
    width = f"--base_dim={config['model_config']['base_dim']}"
    done = run_command("experiments.evaluate", *arguments, width, f"--workdir={tmp_path / 'given'}")
    assert done.status == 0, done.err
    trained, given = probabilities(ours), probabilities(tmp_path / "given")
    assert trained.keys() == given.keys()
    for key, shares in trained.items():
        np.testing.assert_allclose(given[key], shares, atol=1e-6)


def test_a_start_is_kept_and_used_again(ours, tmp_path):
    """The same command in a folder that has the start already: the same bytes."""
    (start,) = (ours / "pretrained").glob("*-seed-0.npz")
    workdir = tmp_path / "again"
    first = run_command("experiments.loso", *OURS, f"--workdir={workdir}")
    assert first.status == 0, first.err
    assert "pretraining, seed 0: epoch 1 of 1" in first.out
    assert (workdir / "pretrained" / start.name).read_bytes() == start.read_bytes()
    assert (workdir / "predictions.csv").read_bytes() == (ours / "predictions.csv").read_bytes()


def test_usual_numbers_of_what_is_off_pass_since_the_file_of_flags_names_them(monkeypatch):
    usual = {"augment_shift": 1.5, "mixup": 0.4, "inner_folds": 5, "select_by": "logloss"}
    given = arguments.of_call(usual)
    exclusions.check_ingredients(given, TrainConfig(augment_shift=1.5, mixup=0.4))
    assert inner_selection.asked(given) is None
    # Usual is what the recipe says, where it says so.
    monkeypatch.setitem(NETWORKS["small"].recipes, "ours", {"mixup": 0.2})
    given = arguments.of_call({"model": "small", "recipe": "ours"})
    exclusions.check_ingredients(given, TrainConfig(mixup=0.2))
    with pytest.raises(ConfigError, match="--mixup is for --augment=mixup"):
        exclusions.check_ingredients(given, TrainConfig(mixup=0.4))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("--model=htnet", "--test_mirror"),
            "--test_mirror cannot be with maps of the layout quad",
        ),
        (("--augment=mirror", "--layout=quad_htnet"), "--augment=mirror cannot be with maps"),
        (("--pretrain=synthetic",), "--pretrain=synthetic makes maps of the layout whole"),
        (("--augment=mixup", "--parallel=batch"), "--augment=mixup mixes the clips"),
        (("--recipe=ours", "--cluster=auto"), "--pretrain=synthetic and --cluster exclude"),
        (("--recipe=published",), "--recipe=published is for networks that have one (htnet and"),
        (("--ema=0.9", "--average_weights=0.1"), "exclude each other"),
        (("--candidates=x",), "--candidates is for --select=inner"),
        (("--inner_folds=3",), "--inner_folds is for --select=inner; give that too, or leave"),
        (("--select_by=auc",), "--select_by is for --select=inner"),
        (("--augment_shift=2",), "--augment_shift is for --augment=affine; give that too, or"),
        (("--augment=affine", "--mixup=0.2"), "--mixup is for --augment=mixup"),
        (("--pretrain_clips=9",), "--pretrain_clips is for --pretrain=synthetic"),
        (("--select=inner", "--save_weights"), "--select=inner and --save_weights exclude"),
    ],
)
def test_what_cannot_be_together_is_one_line(arguments, says, tmp_path):
    finished = run_command("experiments.loso", *arguments, f"--workdir={tmp_path / 'run'}")
    assert_mistake(finished, says)
    assert not (tmp_path / "run").exists()
