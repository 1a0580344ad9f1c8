"""Parts of a run by SLURM's variables: which part, what is stored, and the parts merged."""

import functools
import json
import os
import sys

import pytest
from command_runner import ROOT, assert_mistake, run_command
from small_runs import SMALL, loso, rows

from experiments.run import slurm


def array(task, first, last, count, step=None):
    names = ("ID", "MIN", "MAX", "COUNT", "STEP")
    values = (task, first, last, count, step)
    return {
        f"SLURM_ARRAY_TASK_{name}": str(value)
        for name, value in zip(names, values, strict=True)
        if value is not None
    }


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        (array(0, 0, 3, 4), (0, 4)),
        (array(3, 0, 3, 4, 1), (3, 4)),
        (array(0, 0, 0, 1), (0, 1)),
        (array(8, 5, 8, 4), (3, 4)),
        (array(6, 0, 6, 4, 2), (3, 4)),
        # As in --array=1-8:3, where 8 is no task's number.
        (array(7, 1, 7, 3, 3), (2, 3)),
        # Without the last one, it follows from the others.
        (array(2, 1, None, 4), (1, 4)),
        ({"SLURM_PROCID": "2", "SLURM_NTASKS": "3"}, (2, 3)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_JOB_ID": "7"}, (0, 1)),
        (
            {"SLURM_PROCID": "1", "SLURM_NTASKS": "2", "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"},
            (1, 2),
        ),
        # The array counts, also where the batch script of each element tells of its one task.
        (array(1, 0, 1, 2) | {"SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, (1, 2)),
    ],
)
def test_the_part_follows_from_slurms_variables(variables, wanted):
    assert slurm.shard({"HOME": "/"} | variables) == wanted


@pytest.mark.parametrize(
    ("variables", "parts"),
    [
        ({}, ["SLURM_ARRAY_TASK_ID", "SLURM_PROCID", "0/4"]),
        ({"SLURM_ARRAY_TASK_ID": "1"}, ["SLURM_ARRAY_TASK_MIN is not set"]),
        (array(1, 0, 3, None), ["SLURM_ARRAY_TASK_COUNT is not set"]),
        (array("x", 0, 3, 4), ["SLURM_ARRAY_TASK_ID='x' is no number"]),
        (array(-1, 0, 3, 4), ["SLURM_ARRAY_TASK_ID='-1'"]),
        # A list such as 1,3,7: the place of 3 in it is not told.
        (array(3, 1, 7, 3, 1), ["SLURM_ARRAY_TASK_COUNT=3", "SLURM_ARRAY_TASK_MAX=7", "MIN-MAX"]),
        (array(9, 0, 3, 4), ["SLURM_ARRAY_TASK_ID=9", "MIN-MAX:STEP"]),
        (array(3, 0, 6, 4, 2), ["SLURM_ARRAY_TASK_STEP=2"]),
        (array(0, 0, 3, 4, 0), ["SLURM_ARRAY_TASK_STEP=0"]),
        (array(0, 0, 3, 0), ["SLURM_ARRAY_TASK_COUNT=0"]),
        # The third of four, submitted again by itself.
        (array(2, 2, 2, 1), ["SLURM_ARRAY_TASK_COUNT=1", "SLURM_ARRAY_TASK_ID=2"]),
        (
            array(0, 0, 3, 4) | {"SLURM_STEP_ID": "0", "SLURM_NTASKS": "2"},
            ["SLURM_NTASKS=2", "--ntasks=1"],
        ),
        ({"SLURM_PROCID": "0"}, ["SLURM_NTASKS is not set"]),
        ({"SLURM_NTASKS": "4"}, ["SLURM_PROCID is not set"]),
        ({"SLURM_PROCID": "4", "SLURM_NTASKS": "4"}, ["SLURM_PROCID=4", "SLURM_NTASKS=4"]),
        # The batch script itself, where three quarters of the folds would never be trained.
        ({"SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, ["srun"]),
    ],
)
def test_missing_and_odd_variables_are_named(variables, parts):
    with pytest.raises(ValueError, match="SLURM_") as caught:
        slurm.shard(variables)
    for part in parts:
        assert part in str(caught.value)


def forget_slurm():
    """As on a machine without SLURM, wherever the tests themselves run."""
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        del os.environ[name]


def as_task_of_two(task, folder):
    """The second and the third number of an array, in a folder of its own."""
    forget_slurm()
    os.environ.update(array(task, 2, 3, 2))
    os.chdir(folder)
    sys.path.insert(0, str(ROOT))


def test_slurm_is_read_only_when_asked_and_mistakes_are_one_line():
    def refused(prepare):
        return run_command("experiments.loso", "--shard=slurm", prepare=prepare)

    assert_mistake(refused(forget_slurm), "--shard=slurm", "SLURM_ARRAY_TASK_ID")
    for value in ("SLURM", "slurm/2", "slurm "):
        assert_mistake(run_command("experiments.loso", f"--shard={value}"), "such as 0/4")


def test_two_tasks_of_an_array_give_the_bytes_of_the_whole_run(tmp_path):
    # The whole has two chunks of three folds, each part one: one program, so the bits agree.
    as_task = functools.partial(as_task_of_two, folder=str(tmp_path))
    for task in (2, 3):
        prepare = functools.partial(as_task, task)
        part = run_command("experiments.loso", *SMALL, "--shard=slurm", prepare=prepare)
        assert part.status == 0, part.err
        assert "3 of 24 subjects" in part.out
    # SLURM's variables are there, but nobody asked for them.
    whole = loso("whole", prepare=functools.partial(as_task, 2))
    assert whole.status == 0, whole.err
    parts = sorted((tmp_path / "runs").iterdir())
    assert len(parts) == 2
    stored = [json.loads((part / "config.json").read_text())["config"]["shard"] for part in parts]
    assert sorted(stored) == ["0/2", "1/2"]
    for part, shard in zip(parts, stored, strict=True):
        assert f"--shard={shard}\n" in (part / "flags.txt").read_text()
    whole_run = tmp_path / "whole"
    assert json.loads((whole_run / "config.json").read_text())["config"]["shard"] is None

    report = run_command(
        "experiments.report", f"--workdir={parts[0]},{parts[1]}", f"--output={tmp_path / 'merged'}"
    )
    assert report.status == 0, report.err
    assert "6 of 6 folds finished" in report.out
    header, *lines = (whole_run / "predictions.csv").read_text().splitlines()
    merged = [(part / "predictions.csv").read_text().splitlines() for part in parts]
    assert [text[0] for text in merged] == [header, header]
    assert sorted(merged[0][1:] + merged[1][1:]) == sorted(lines)
    assert len(lines) == len(rows(whole_run / "predictions.csv")) > 0
    summaries = [
        json.loads((folder / "summary.json").read_text())
        for folder in (whole_run, tmp_path / "merged")
    ]
    for name in ("pooled", "by_database", "confusion", "per_subject_mean"):
        assert summaries[0][name] == summaries[1][name], name
