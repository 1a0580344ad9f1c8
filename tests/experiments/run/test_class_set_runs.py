"""Runs of every kind on other class sets, and weights of other splits, from flags to files.

Modules tried here without being imported:
experiments.run.request, experiments.files.given_weights.
"""

import json
from collections import Counter

import full_releases
import made_once
import numpy as np
import pytest
from command_runner import assert_mistake, run_command
from small_runs import SHALLOW, rows

from input_pipeline.core import tasks
from input_pipeline.storage import arrays_file, loader

FIVE = ("disgust", "happiness", "repression", "surprise", "others")
ONE_EPOCH = (*SHALLOW, "--epochs=1")
TWO = "--subjects=casme2/sub01,casme2/sub17"


def arrays(dataset):
    """A file of all clips of a release, as export writes it, written once."""

    def write(folder):
        arrays_file.save_arrays(full_releases.clips(dataset), folder / "clips.npz")

    return made_once.folder(f"arrays {dataset}", write) / "clips.npz"


def run(command, workdir, *arguments, dataset="casme2"):
    finished = run_command(
        f"experiments.{command}", f"--arrays={arrays(dataset)}", f"--workdir={workdir}", *arguments
    )
    assert finished.status == 0, finished.err
    return json.loads((workdir / "config.json").read_text())["config"]


def answers(workdir):
    names = ("database", "subject", "clip", "label", "prediction")
    return [tuple(row[name] for name in names) for row in rows(workdir / "predictions.csv")]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of five classes that keeps its weights."""
    workdir = tmp_path_factory.mktemp("five") / "run"
    run("loso", workdir, *ONE_EPOCH, "--classes=5", TWO, "--save_weights")
    return workdir


def test_a_run_of_five_classes(trained):
    config = json.loads((trained / "config.json").read_text())["config"]
    assert (config["task"], config["model_config"]["num_classes"]) == ("5", 5)
    header = (trained / "predictions.csv").read_text().splitlines()[0]
    assert header == "seed,database,subject,clip,label,prediction," + ",".join(
        f"prob_{name}" for name in FIVE
    )
    clips = tasks.selected(full_releases.clips("casme2"), "5")
    truth = Counter(
        (clips.subject_N[n], clips.class_of(n))
        for n in range(len(clips))
        if clips.subject_N[n] in ("sub01", "sub17")
    )
    assert Counter((subject, label) for _, subject, _, label, _ in answers(trained)) == truth
    summary = json.loads((trained / "summary.json").read_text())
    assert [len(row) for row in summary["confusion"]] == [5] * 5
    text = (trained / "summary.md").read_text()
    assert "on CASME II (five), 5 classes, leave one subject out:" in text
    assert "Beside Table" not in text


def test_torch_loso_takes_the_same_clips(trained, tmp_path):
    config = run("torch_loso", tmp_path / "run", *ONE_EPOCH, "--classes=5", TWO)
    assert (config["task"], config["framework"]) == ("5", "pytorch")
    assert [row[:4] for row in answers(tmp_path / "run")] == [row[:4] for row in answers(trained)]


def test_evaluate_gives_a_runs_predictions(trained, tmp_path):
    weights = ("--base_dim=6", "--blocks=0", f"--weights_dir={trained}/weights/seed-0", TWO)
    config = run("evaluate", tmp_path / "run", *weights, "--classes=5")
    assert config["task"] == "5"
    assert answers(tmp_path / "run") == answers(trained)
    for classes, names in (
        ("3", "negative, positive, surprise"),
        ("objective5", "I, II, III, IV, V"),
    ):
        finished = run_command(
            "experiments.evaluate", f"--arrays={arrays('casme2')}", *weights, f"--classes={classes}"
        )
        assert finished.status == 2
        told = f"tells apart disgust, happiness, repression, surprise, others, not {names}; give"
        assert finished.out.count(told) == 2


def test_convert_weights_takes_the_class_set(trained, tmp_path):
    there, back = tmp_path / "torch", tmp_path / "back"
    network = ("--base_dim=6", "--blocks=0")
    source = f"--weights_dir={trained}/weights/seed-0"
    to_torch = (*network, source, f"--output={there}", "--to=torch")
    assert run_command("experiments.convert_weights", *to_torch).status == 0
    convert = ("experiments.convert_weights", *network, f"--weights_dir={there}")
    convert += (f"--output={back}",)
    assert_mistake(run_command(*convert, "--classes=5"), "--classes=5", "name it with --dataset")
    assert_mistake(run_command(*convert), "with the shape")
    finished = run_command(*convert, "--classes=5", "--dataset=casme2")
    assert finished.status == 0, finished.err
    weights = (*network, f"--weights_dir={back}", TWO, "--classes=5")
    run("evaluate", tmp_path / "run", *weights)
    assert answers(tmp_path / "run") == answers(trained)


def test_weights_of_a_part_are_evaluated_on_that_part_alone(tmp_path):
    folds = ("--split=kfold", "--folds=3", "--subjects=kfold/0,kfold/2")
    run("loso", tmp_path / "run", *ONE_EPOCH, *folds, "--save_weights")
    source = tmp_path / "run" / "weights" / "seed-0"
    names = sorted(path.name for path in source.iterdir())
    assert names == ["kfold_0.safetensors", "kfold_2.safetensors"]
    network = ("--base_dim=6", "--blocks=0")
    weights = (*network, f"--weights_dir={source}")
    config = run("evaluate", tmp_path / "again", *weights, *folds)
    assert (config["split"], config["folds"]) == ("kfold", 3)
    assert answers(tmp_path / "again") == answers(tmp_path / "run")
    assert "3-fold over subjects" in (tmp_path / "again" / "summary.md").read_text()
    # PyTorch's files are named alike.
    there = tmp_path / "torch"
    to_torch = (*weights, f"--output={there}", "--to=torch")
    assert run_command("experiments.convert_weights", *to_torch).status == 0
    assert sorted(path.name for path in there.iterdir()) == ["kfold_0.pth", "kfold_2.pth"]
    run("evaluate", tmp_path / "third", *network, f"--weights_dir={there}", *folds)
    assert answers(tmp_path / "third") == answers(tmp_path / "run")
    # Under another split they would be tested on clips they have seen.
    other = ("--subjects=kfold/0,kfold/2",)
    for flags, part in (
        (("--split=kfold", "--folds=4", *other), "a fold of --split=kfold --folds=3, not of"),
        ((TWO,), "kfold_0.safetensors' is of no subject of the data set"),
        (("--split=clip_kfold", "--folds=3"), "is of no fold of the split"),
    ):
        finished = run_command(
            "experiments.evaluate", f"--arrays={arrays('casme2')}", *weights, *flags
        )
        assert finished.status == 2
        assert part in finished.out + finished.err
    # The parts of other clips are others.
    finished = run_command(
        "experiments.evaluate",
        f"--arrays={arrays('samm')}",
        *weights,
        *("--split=kfold", "--folds=3", *other),
    )
    assert finished.status == 2
    assert "was trained on other clips, classes or maps" in finished.out


def test_megc2018_has_its_own_default(tmp_path):
    folds = ("--split=holdout_database", "--epochs=1")
    config = run("loso", tmp_path / "run", *SHALLOW, *folds, dataset="megc2018")
    assert "task" not in config
    header = (tmp_path / "run" / "predictions.csv").read_text().splitlines()[0]
    assert header.endswith(",prediction,prob_I,prob_II,prob_III,prob_IV,prob_V")
    keys = [f"{row['database']}/{row['subject']}" for row in rows(tmp_path / "run" / "folds.csv")]
    assert keys == ["holdout_database/casme2", "holdout_database/samm"]
    text = (tmp_path / "run" / "summary.md").read_text()
    assert "on MEGC 2018 (five), 5 objective classes, leave one database out" in text
    assert len(answers(tmp_path / "run")) == 253


def test_a_class_that_a_fold_cannot_learn_is_named(tmp_path):
    """CAS(ME)^3 has class VI of one subject alone, CASME II one clip of it."""
    clips = tasks.selected(full_releases.clips("casme2"), "objective7")
    (place,) = [n for n in range(len(clips)) if clips.class_of(n) == "VI"]
    key = clips.subject_key_N[place]
    run("loso", tmp_path / "run", *ONE_EPOCH, "--classes=objective7", f"--subjects={key}")
    note = f"the fold of {key} has no clip of the class VI to train on"
    assert note in (tmp_path / "run" / "summary.md").read_text()


def test_shuffled_labels_of_a_class_set(trained, tmp_path):
    run("loso", tmp_path / "run", *ONE_EPOCH, "--classes=5", "--split=kfold", "--shuffle_labels")
    shuffled = answers(tmp_path / "run")
    clips = tasks.selected(full_releases.clips("casme2"), "5")
    truth = {clips.clip_key_N[n]: clips.class_of(n) for n in range(len(clips))}
    assert Counter(label for *_, label, _ in shuffled) == Counter(truth.values())
    moved = [truth["/".join(row[:3])] != row[3] for row in shuffled]
    assert sum(moved) > 100


def test_the_parts_do_not_follow_shuffled_labels(tmp_path):
    """The shuffle follows --seed, the parts follow from the clips alone."""
    parts = ("--classes=5", "--split=kfold", "--folds=4", "--subjects=kfold/2")
    held_out = []
    for number, more in enumerate(((), ("--shuffle_labels",), ("--shuffle_labels", "--seed=5"))):
        run("loso", tmp_path / str(number), *ONE_EPOCH, *parts, *more)
        held_out.append([row[:3] for row in answers(tmp_path / str(number))])
    assert held_out[0] == held_out[1] == held_out[2]


def test_a_class_without_any_clip_is_named(tmp_path):
    """As where a part of a release lacks both clips of fear: the class set stays the same."""
    clips = full_releases.clips("casme2")
    kept = clips.rows(np.flatnonzero(clips.extras["emotion"] != "fear"))
    arrays_file.save_arrays(kept, tmp_path / "part.npz")
    finished = run_command(
        "experiments.loso",
        f"--arrays={tmp_path / 'part.npz'}",
        f"--workdir={tmp_path / 'run'}",
        *(*ONE_EPOCH, "--classes=7", TWO),
    )
    assert finished.status == 0, finished.err
    assert "no clip of the data set has the class fear; UF1 and UAR count it as 0" in finished.out
    header = (tmp_path / "run" / "predictions.csv").read_text().splitlines()[0]
    assert ",prob_disgust,prob_fear,prob_happiness," in header


@pytest.mark.parametrize(
    ("dataset", "classes", "parts"),
    [
        ("samm", "4", ("--classes=4: the data set samm", "3, 5, 7, objective5, objective7.")),
        ("casme3", "5", ("--classes=5", "it has 3, 4, 7, objective5, objective7.")),
        ("megc2018", "3", ("--classes=3", "it has objective5, objective7.")),
        ("casme2", "6", ("--classes=6", "3|4|5|7|objective5|objective7")),
    ],
)
@pytest.mark.parametrize("command", ["loso", "torch_loso", "evaluate"])
def test_a_class_set_that_a_data_set_does_not_have(tmp_path, command, dataset, classes, parts):
    more = (f"--weights_dir={tmp_path}",) if command == "evaluate" else ()
    finished = run_command(
        f"experiments.{command}", f"--dataset={dataset}", f"--classes={classes}", *more
    )
    assert_mistake(finished, *parts)


def test_an_export_of_one_class_set(tmp_path):
    npz = tmp_path / "synthetic.npz"
    wrong = run_command("input_pipeline.export", "--classes=5", f"--output={npz}")
    assert_mistake(wrong, "--classes=5: the data set synthetic", "it has 3.")
    assert run_command("input_pipeline.export", "--classes=3", f"--output={npz}").status == 0
    clips = loader.every_clip_of_arrays(npz)
    assert (len(clips), clips.every_clip) == (160, False)
