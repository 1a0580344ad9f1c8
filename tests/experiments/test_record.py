"""experiments.record and experiments.jitter: what they write, and mistakes in one line.

Modules tried here without being imported:
experiments.jitter.
"""

import shutil

import pytest
from command_runner import assert_mistake, run_command

from experiments import record
from experiments.recording import jitter

NAME = "experiments.record"


@pytest.fixture
def folders(tmp_path):
    for name in ("kept", "docs"):
        (tmp_path / name).mkdir()
    return [f"--{name}={tmp_path / name}" for name in ("kept", "docs")]


def test_the_page_is_written_from_kept_runs(tmp_path, folders):
    shutil.copytree(record.KEPT / "majority", tmp_path / "kept" / "majority")
    finished = run_command(NAME, *folders)
    assert finished.status == 0, finished.err
    text = (tmp_path / "docs" / "record.md").read_text(encoding="utf-8")
    assert "| majority | the labels alone | nothing was chosen | 1 | 0.2408 |" in text
    assert (tmp_path / "docs" / "record" / "overview.png").is_file()


def test_a_table_of_moved_frames_is_kept(tmp_path, folders):
    lines = [jitter.Line("smic", "PRETEND", "svm_maps", "apex", 0, 10, 4, 5.0, 0.5, 0.25)]
    (tmp_path / jitter.FILE).write_text(jitter.text(lines), encoding="utf-8")
    arguments = (*folders, f"--keep={tmp_path}", "--name=jitter")
    finished = run_command(NAME, *arguments)
    assert finished.status == 0, finished.err
    text = (tmp_path / "docs" / "record.md").read_text(encoding="utf-8")
    assert "## PRETEND data: Held-out clips with apex or onset moved" in text
    assert "0.5000 / 0.2500" in text
    (tmp_path / jitter.FILE).write_text(jitter.text(lines * 2), encoding="utf-8")
    assert_mistake(run_command(NAME, *arguments), "keeps another table", "--replace")


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--keep=x"], ["--name is missing"]),
        (["--name=majority"], ["--keep is missing"]),
        (["--keep=x", "--name=other"], ["--name=other is no row", "svm_maps"]),
        (["--keep=x", "--name=majority"], ["'x' is no run's workdir"]),
        (["--keep=x", "--name=jitter"], ["holds no jitter.csv"]),
        (["--hard_maps="], ["--hard_maps is empty"]),
        (["--hard_maps=x"], ["are not kept yet"]),
        (["--kept=nowhere"], ["--kept='nowhere' is no folder"]),
    ],
)
def test_mistakes_are_one_line(folders, flags, parts):
    assert_mistake(run_command(NAME, *folders, *flags), *parts)


def test_mistakes_of_jitter_are_one_line(tmp_path):
    assert_mistake(run_command("experiments.jitter", "--dataset=smic"), "--raw_dir is missing")
    arguments = ("--dataset=smic", f"--raw_dir={tmp_path / 'x'}", f"--output={tmp_path / 'y'}")
    assert_mistake(run_command("experiments.jitter", *arguments), "x'")
