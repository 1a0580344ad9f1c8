"""What a user can get wrong with experiments.loso and report: one line, exit 2, nothing lost.

Modules tried here without being imported:
experiments.run.exclusions, experiments.run.flag_values.
"""

import fcntl
import re

import injected_faults
import numpy as np
import pytest
from command_runner import assert_mistake, run_command
from small_runs import KEYS, SHALLOW, SMALL, loso, trained

from input_pipeline.core.clips import Clips
from input_pipeline.maps import synthetic
from input_pipeline.storage.arrays_file import save_arrays


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--dataset=casme4"], ["casme4", "casme2, samm, smic, casme3, megc2019"]),
        (["--dataset=casme3", "--data_dir=/nonexistent"], ["input_pipeline.build", "casme3"]),
        (["--model=resnet"], ["--model=resnet", "ahmsa"]),
        (["--layout=six"], ["--layout=six", "five"]),
        (["--epochs=0"], ["--epochs=0", "1 to 1000000"]),
        (["--epochs=many"], ["--epochs=many"]),
        (["--batch_size=-1"], ["--batch_size=-1"]),
        (["--learning_rate=0"], ["--learning_rate=0"]),
        (["--learning_rate=nan"], ["--learning_rate=nan"]),
        (["--heads=500"], ["--heads=500", "1 to 24"]),
        (["--blocks=2,2"], ["4x4 grid"]),
        (["--blocks=2,x,2"], ["--blocks=2,x,2", "2,2,8"]),
        (["--blocks="], ["--blocks="]),
        (["--precision=float8"], ["--precision=float8", "bfloat16"]),
        (["--shard=4/4"], ["--shard=4/4", "stays below"]),
        (["--shard=1"], ["--shard=1", "0/4"]),
        (["--shard=-1/4"], ["--shard=-1/4"]),
        (["--shard=100/200"], ["--shard=100/200 is empty", "24 folds"]),
        (["--num_seeds=0"], ["--num_seeds=0"]),
        (["--seed=-1"], ["--seed=-1"]),
        (["--eval_every=-1"], ["--eval_every=-1"]),
        (["--folds_at_once=-2"], ["--folds_at_once=-2"]),
        (["--subjects=synthetic-a/a99"], ["synthetic-a/a99", "synthetic-a/a01"]),
        (["--subjects="], ["--subjects"]),
        (["--workdir="], ["--workdir is empty"]),
        (["--arrays=/nonexistent.npz"], ["/nonexistent.npz"]),
        (["--arrays=x.npz", "--dataset=samm"], ["exclude each other"]),
        (["--fused_update", "--optimizer=adamw"], ["--fused_update is for --optimizer=adam;"]),
        (["--fused_update", "--parallel=batch"], ["--parallel=batch spreads it"]),
        (["--autotune_file=tuned.txt"], ["--autotune_file=tuned.txt must end in .textproto"]),
        (["--autotune_file=x.textproto", "--cluster=auto"], ["leave it out with --cluster"]),
        (["--flagfile=/nonexistent"], ["/nonexistent"]),
        (["--no_such_flag"], ["no_such_flag"]),
        (["stray"], ["unexpected argument 'stray'"]),
        (["--epochs", "3", "stray"], ["unexpected argument 'stray'"]),
    ],
)
def test_bad_flags(arguments, parts):
    assert_mistake(run_command("experiments.loso", *arguments), *parts)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["--workdir is missing"]),
        (["--workdir=/nonexistent"], ["is no run's workdir"]),
        (["--workdir=/nonexistent,/nonexistent"], ["need --output"]),
        (["--workdir=/nonexistent", "stray"], ["unexpected argument"]),
        (["--workdir=/nonexistent", "--output="], ["--output is empty"]),
    ],
)
def test_bad_report_flags(arguments, parts):
    assert_mistake(run_command("experiments.report", *arguments), *parts)


def test_help_lists_the_flags_and_exits_0():
    for module in ("experiments.loso", "experiments.report"):
        finished = run_command(module, "--help")
        assert finished.status == 0
        assert finished.err == ""
        assert "--workdir" in finished.out
    assert "--epochs" in run_command("experiments.loso", "--epochs=3", "--help").out


def test_another_configuration_is_refused_with_the_differing_settings(tmp_path):
    assert trained(tmp_path / "run").status == 0
    before = sorted((item.name, item.stat().st_mtime_ns) for item in (tmp_path / "run").iterdir())
    other = loso(tmp_path / "run", "--seed=3", "--learning_rate=0.01")
    assert_mistake(
        other, "seeds: stored [0], now [3]", "train_config.learning_rate: stored 0.0003, now 0.01"
    )
    after = sorted((item.name, item.stat().st_mtime_ns) for item in (tmp_path / "run").iterdir())
    assert [item for item in after if item[0] != ".lock"] == [
        item for item in before if item[0] != ".lock"
    ]


@pytest.mark.parametrize("name", ["config.json", "plan.json", "predictions.csv", "metrics.jsonl"])
def test_damaged_files_are_named(tmp_path, name):
    assert trained(tmp_path / "run").status == 0
    path = tmp_path / "run" / name
    path.write_bytes(path.read_bytes()[:-40].replace(b'"', b"'", 1))
    if name in ("config.json", "plan.json"):
        assert_mistake(loso(tmp_path / "run"), name, "is damaged")
    else:
        path.write_bytes(b"seed,epoch\n1\n")
        report = run_command("experiments.report", f"--workdir={tmp_path / 'run'}")
        assert_mistake(report, name, "is damaged", "writes it anew")
        # The run's own command mends it from the chunks.
        assert loso(tmp_path / "run").status == 0


def test_a_workdir_in_use_is_refused_and_its_owner_named(tmp_path):
    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("process 1234 on elsewhere\n")
        file.flush()
        assert_mistake(loso(tmp_path / "run"), "is in use by process 1234 on elsewhere")
    # A lock file that nobody holds is left over from an ended process.
    assert loso(tmp_path / "run").status == 0


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("hello")
    assert_mistake(loso(tmp_path), "is not empty and holds no run", "thesis.tex")
    assert (tmp_path / "thesis.tex").read_text() == "hello"


def test_a_workdir_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    assert_mistake(loso(tmp_path / "file" / "run"), str(tmp_path / "file"), "Not a directory")


def test_a_full_disk_is_said_with_path_and_bytes_and_the_run_goes_on_afterwards(tmp_path):
    finished = loso(tmp_path / "run", prepare=injected_faults.no_more_than_2000_bytes_a_file)
    assert finished.status == 2, finished.err
    last = finished.err.splitlines()[-1]
    assert "chunk-0000.npz" in last
    assert "bytes are needed" in last
    assert "Traceback" not in finished.err
    assert not list((tmp_path / "run" / "chunks").glob("*.npz"))
    assert loso(tmp_path / "run").status == 0


def test_a_dry_run_prints_the_plan_and_touches_nothing(tmp_path):
    finished = loso(tmp_path / "run", "--dry_run")
    assert finished.status == 0, finished.err
    assert "plan: 2 chunk(s) of 3 folds at once, 1 step(s) per epoch" in finished.out
    assert "estimated training time here, from epochs timed now: " in finished.out
    assert not (tmp_path / "run").exists()


def test_a_long_run_on_a_cpu_starts_with_a_warning_and_an_estimate(tmp_path):
    finished = loso(tmp_path / "run", prepare=injected_faults.call_every_run_long)
    assert finished.status == 0, finished.err
    first = finished.err.splitlines()[0]
    assert re.match(r"warning: no GPU is seen, and this run will take about \d+ s on this", first)
    # Its width and its epochs are below those of the usual advice.
    assert first.endswith(
        f"for a smaller look give fewer folds, such as --subjects={KEYS[0]},{KEYS[1]}"
    )
    assert "warning" not in loso(tmp_path / "run").err


def arrays_file(tmp_path, labels, subjects):
    rng = np.random.default_rng(0)
    count = len(labels)
    faces = rng.uniform(0, 255, (count, 28, 28, 3)).astype(np.float32)
    clips = Clips(
        "smic",
        "five",
        faces,
        faces,
        np.array(labels),
        np.array(["smic"] * count),
        np.array(subjects),
        np.array([f"c{index}" for index in range(count)]),
    )
    path = tmp_path / "clips.npz"
    save_arrays(clips, path)
    return path


TINY = (*SHALLOW, "--epochs=1", "--learning_rate=1e-3")


def test_a_class_that_vanishes_from_training_is_named_and_the_run_goes_on(tmp_path):
    path = arrays_file(tmp_path, [0, 1, 2, 0, 1, 0], ["s01", "s01", "s02", "s02", "s03", "s03"])
    finished = run_command(
        "experiments.loso", f"--arrays={path}", f"--workdir={tmp_path / 'run'}", *TINY
    )
    assert finished.status == 0, finished.err
    note = "the fold of smic/s02 has no clip of the class surprise to train on"
    assert note in finished.out
    assert note in (tmp_path / "run" / "summary.md").read_text()


def test_one_subject_is_no_leave_one_out(tmp_path):
    path = arrays_file(tmp_path, [0, 1, 2], ["s01"] * 3)
    finished = run_command("experiments.loso", f"--arrays={path}", *TINY)
    assert_mistake(finished, "at least 2 subjects", "smic/s01")


def test_arrays_of_another_layout_are_refused(tmp_path):
    path = arrays_file(tmp_path, [0, 1, 2], ["s01", "s02", "s03"])
    finished = run_command("experiments.loso", f"--arrays={path}", "--layout=quad", *TINY)
    assert_mistake(finished, "layout five", "--layout asks for quad")
    # A network's own layout counts as asked for.
    finished = run_command("experiments.loso", f"--arrays={path}", "--model=ststnet", "--dry_run")
    assert_mistake(finished, "layout five", "--model=ststnet asks for whole", "--layout=five")


def test_exported_arrays_give_the_same_run_as_the_data_set(tmp_path):
    clips = synthetic.make("five", "small")
    save_arrays(clips, tmp_path / "clips.npz")
    assert trained(tmp_path / "direct").status == 0
    words = [word for word in SMALL if "--dataset" not in word]
    finished = run_command(
        "experiments.loso",
        *words,
        f"--arrays={tmp_path / 'clips.npz'}",
        f"--workdir={tmp_path / 'arrays'}",
    )
    assert finished.status == 0, finished.err
    assert (tmp_path / "arrays" / "predictions.csv").read_bytes() == (
        tmp_path / "direct" / "predictions.csv"
    ).read_bytes()
