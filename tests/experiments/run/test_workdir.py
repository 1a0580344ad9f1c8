"""A folder given as --workdir or --data_dir: whose it is, and what of it may be removed.

Modules tried here without being imported:
experiments.files.consistency, input_pipeline.core.lock_file.
"""

import json
import os
import pathlib
import re
import shutil

import pytest
from command_runner import ROOT, assert_mistake, run_command
from small_runs import loso
from written_runs import write

from ahmsa_jax.config import ConfigError
from experiments.run import output_folder, workdir
from experiments.scores.summary import read_records, summarise
from input_pipeline.core.errors import InputError
from input_pipeline.core.files import UnfitFileError, read_whole
from input_pipeline.storage import tfds_folder

FIXTURE = ROOT / "tests" / "fixture"
CONFIG = {"seeds": [0]}
FACTS = {"folds": ["lab/a"], "notes": [], "subjects_in_data_set": 1}
HIDDEN = {".env.local": "KEY=1", ".pre-commit-config.yaml": "repos: []", ".data.csv.backup01": "x"}


def claim(folder: pathlib.Path, config=CONFIG) -> None:
    with workdir.claimed(folder, config, FACTS):
        pass


def contents(folder: pathlib.Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_command_with_output_is_told_of_output(tmp_path):
    claim(tmp_path)
    other = {"seeds": [1]}
    with (
        pytest.raises(ConfigError, match="choose another --output"),
        output_folder.called_output(),
    ):
        claim(tmp_path, other)
    with pytest.raises(ConfigError, match="choose another --workdir"):
        claim(tmp_path, other)


def test_a_folder_of_something_else_is_left_as_it_is(tmp_path):
    for name, text in {**HIDDEN, "README.md": "hello", ".predictions.csv.abcdefgh": "x"}.items():
        (tmp_path / name).write_text(text)
    before = contents(tmp_path)
    assert_mistake(loso(tmp_path), "is not empty and holds no run")
    assert contents(tmp_path) == before


def test_only_leftovers_of_this_program_are_swept(tmp_path):
    claim(tmp_path)
    (tmp_path / "chunks").mkdir()
    for name, text in HIDDEN.items():
        (tmp_path / name).write_text(text)
    os.symlink(tmp_path / ".env.local", tmp_path / ".folds.csv.aaaaaaaa")
    (tmp_path / ".plan.json.aaaaaaaa").mkdir()
    kept = {path.name for path in tmp_path.iterdir()}
    for name in (".predictions.csv.a1b2c3d_", "chunks/.chunk-0003.npz.abcdefgh"):
        (tmp_path / name).write_text("half")
    claim(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == kept
    assert not list((tmp_path / "chunks").iterdir())


def test_a_fresh_folder_and_dated_copies_are_not_swept(tmp_path):
    names = (".predictions.csv.a1b2c3d4", ".config.json.original")
    for name in names:
        (tmp_path / name).write_text("mine")
    claim(tmp_path)
    assert set(names) < {path.name for path in tmp_path.iterdir()}
    (tmp_path / ".folds.csv.20261121").write_text("mine")
    claim(tmp_path)
    assert (tmp_path / ".folds.csv.20261121").exists()


def test_every_file_of_a_run_would_be_swept_half_written(tmp_path):
    folder = shutil.copytree(FIXTURE / "finished", tmp_path / "run")
    assert run_command("experiments.report", f"--workdir={folder}").status == 0
    names = [path.name for path in folder.rglob("*") if path.is_file()]
    assert len(names) > 15
    assert [name for name in names if not workdir.is_run_file(name)] == []


@pytest.mark.parametrize("kind", ["file", "link", "pipe", "folder"])
def test_a_lock_that_is_not_ours_is_left_as_it_is(tmp_path, kind):
    lock, elsewhere = tmp_path / "run" / ".lock", tmp_path / "notes"
    lock.parent.mkdir()
    elsewhere.write_text("mine")
    if kind == "file":
        lock.write_text("mine")
    elif kind == "link":
        lock.symlink_to(elsewhere)
    elif kind == "pipe":
        os.mkfifo(lock)
    else:
        lock.mkdir()
    with pytest.raises(ConfigError, match=r"\.lock' is .*, not the lock of a run; move it away"):
        claim(lock.parent)
    assert elsewhere.read_text() == "mine"
    assert os.listdir(lock.parent) == [".lock"]
    if kind == "file":
        assert lock.read_text() == "mine"


def test_other_settings_leave_no_lock_behind(tmp_path):
    claim(tmp_path)
    (tmp_path / ".lock").unlink()
    with pytest.raises(ConfigError, match=r"seeds: stored \[0\], now \[1\]"):
        claim(tmp_path, {"seeds": [1]})
    assert os.listdir(tmp_path) == ["config.json"]


def test_a_workdir_with_a_comma_is_refused_before_anything_is_made(tmp_path):
    assert_mistake(loso(tmp_path / "a,b"), "has a comma", "choose a name without")
    assert os.listdir(tmp_path) == []


def test_an_overwritten_data_set_keeps_foreign_files_and_a_links_target(tmp_path):
    path = tfds_folder.dataset_path(tmp_path, "casme2", "five")
    finished = tmp_path / "finished"
    for folder in (path, finished, tmp_path / "elsewhere"):
        folder.mkdir(parents=True)
        (folder / "metadata.json").write_text("{}")
    (path / "my_notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"holds 'my_notes\.txt' beside the data set"):
        tfds_folder.publish(finished, path)
    assert (path / "my_notes.txt").read_text() == "x"
    shutil.rmtree(path)
    path.symlink_to(tmp_path / "elsewhere")
    tfds_folder.publish(finished, path)
    assert not path.is_symlink()
    assert os.listdir(path.parent) == ["1.0.0"]
    assert (tmp_path / "elsewhere" / "metadata.json").exists()


def test_the_sweep_of_a_build_takes_its_own_folders_alone(tmp_path):
    path = tfds_folder.dataset_path(tmp_path, "casme2", "five")
    for name in ("incomplete.ab12cd3_", "incomplete.replaced_1.0.0"):
        (path.parent / name).mkdir(parents=True)
        (path.parent / name / "metadata.json").write_text("x")
    for name in ("incomplete.thesis", "incomplete.my_notes"):
        (path.parent / name).mkdir(parents=True)
        (path.parent / name / "thesis.txt").write_text("x")
    path.mkdir()
    (path.parent / "incomplete.notesxyz").write_text("x")
    with tfds_folder.build_lock(path):
        pass
    kept = ["incomplete.my_notes", "incomplete.notesxyz", "incomplete.thesis"]
    assert sorted(os.listdir(path.parent)) == ["1.0.0", "build.lock", *kept]
    (path.parent / "build.lock").write_text("my own notes")
    with (
        pytest.raises(InputError, match="not the lock of a build"),
        tfds_folder.build_lock(path),
    ):
        pass
    assert (path.parent / "build.lock").read_text() == "my own notes"


@pytest.mark.parametrize(
    ("field", "value"),
    [("folds", ["lab/a", "lab/b"]), ("notes", ["x"]), ("subjects_in_data_set", 2), ("code", {})],
)
def test_changed_facts_of_a_run_are_noticed(tmp_path, field, value):
    claim(tmp_path)
    path = tmp_path / "config.json"
    stored = json.loads(path.read_text())
    assert workdir.read_config(tmp_path) == stored
    path.write_text(json.dumps(stored | {field: value}))
    with pytest.raises(ConfigError, match=r"is damaged \(its facts_hash does not fit its code"):
        workdir.read_config(tmp_path)
    # As an earlier version stored it.
    earlier = {name: told for name, told in stored.items() if name != "facts_hash"}
    path.write_text(json.dumps(earlier))
    assert workdir.read_config(tmp_path) == earlier


@pytest.mark.parametrize(
    ("change", "message"),
    [
        # One more clip of the second class at epoch 1 than the subject has.
        (lambda matrix: matrix[1].__setitem__(1, 2), r"counts \[1, 2, 1\] clips .* at epoch 1"),
        (lambda matrix: matrix[0].__setitem__(0, -1), "has a count below 0"),
    ],
)
def test_a_changed_count_of_an_earlier_epoch_is_noticed(tmp_path, change, message):
    answers = {"lab/a": ([0, 1, 2], [0, 1, 1]), "lab/b": ([0, 1], [0, 1])}
    folder = write(tmp_path / "run", [answers], earlier=answers)
    assert summarise(read_records([folder]))["optimistic_best_epoch_on_test"]["n"] == 5
    path = folder / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    first = next(line for line in lines if line["epoch"] == 1 and line["fold"] == "lab/a")
    change(first["confusion"])
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ConfigError, match=message):
        read_records([folder])


def test_files_that_never_end_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "large").write_bytes(b"12345")
    for name in ("pipe", "zero"):
        with pytest.raises(UnfitFileError, match="no regular file"):
            read_whole(tmp_path / name, 10)
    with pytest.raises(
        UnfitFileError, match=re.escape("it has 5 bytes, and such a file at most 4")
    ):
        read_whole(tmp_path / "large", 4)
    assert read_whole(tmp_path / "large", 5) == b"12345"


def test_reports_and_comparisons_replace_no_file_of_somebody_elses(tmp_path):
    answers = {"lab/a": ([0, 1, 2], [0, 1, 1]), "lab/b": ([0, 1], [0, 1])}
    run = write(tmp_path / "run", [answers])
    for command, flag, name in (
        ("report", "workdir", "summary.md"),
        ("compare", "workdirs", "comparison.md"),
    ):
        words = (f"experiments.{command}", f"--{flag}={run}", f"--output={tmp_path / command}")
        (tmp_path / command).mkdir()
        (tmp_path / command / name).write_text("mine")
        assert_mistake(run_command(*words), f"holds '{name}', which this command did not write")
        assert (tmp_path / command / name).read_text() == "mine"
        (tmp_path / command / name).unlink()
        # Its own earlier output is replaced.
        for _ in range(2):
            assert run_command(*words).status == 0


def test_seeds_with_other_clips_are_noticed(tmp_path):
    answers = {"lab/a": ([0, 1, 2], [0, 1, 1]), "lab/b": ([0, 1], [0, 1])}
    folder = write(tmp_path / "run", [answers, answers])
    assert len(read_records([folder]).predictions) == 10
    path = folder / "predictions.csv"
    lines = path.read_text().splitlines()
    lines[-1] = lines[-1].replace("clip1", "clip9")
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ConfigError, match=r"has the clip clip1 of lab/b .* seeds 0 and 1 only"):
        read_records([folder])
