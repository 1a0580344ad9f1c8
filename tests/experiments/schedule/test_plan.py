"""The plan follows the memory: what a chunk may take, how many folds that is, and halving.

Modules tried here without being imported:
experiments.schedule.planning.
"""

import json
import re
import types

import jax
import numpy as np
import pytest
import restart_faults
from small_runs import KEYS, loso, rows, trained

from ahmsa_jax.config import ConfigError, TrainConfig
from ahmsa_jax.networks.ahmsa import ModelConfig
from ahmsa_jax.networks.ststnet import STSTNetConfig
from ahmsa_jax.training.protocols import EpochShape, Job, loso_folds
from experiments.run.chunk import Chunk, Plan
from experiments.schedule import forecast, plan
from experiments.schedule.memory import machine_bytes

GIB = 2**30
SHAPES = (EpochShape(1, 16, 16), EpochShape(2, 16, 8))
FOLDS = loso_folds([f"lab/{name}" for name in "abcdefghij"])
SHAPE_OF = {fold.key: SHAPES[place % 2] for place, fold in enumerate(FOLDS)}
JOBS = [Job(0, fold) for fold in FOLDS]
# A shallow network at the widths of the small runs: it compiles in seconds.
THREE_EPOCHS = ("--epochs=3", "--eval_every=1")


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def machine(tmp_path):
    """A machine with 10 GiB free, no limits yet."""
    write(tmp_path / "proc/meminfo", f"MemTotal: 1 kB\nMemAvailable: {10 * GIB // 1024} kB\n")
    write(tmp_path / "proc/self/cgroup", "4:cpu,memory:/jobs/one\n0::/slice/job\n")
    return tmp_path


def free(machine):
    return machine_bytes(machine / "proc", machine / "sys")


def test_free_memory_without_limits_is_the_machines(machine):
    assert free(machine) == 10 * GIB
    write(machine / "sys/slice/job/memory.max", "max\n")
    write(machine / "sys/memory/jobs/one/memory.limit_in_bytes", "9223372036854771712\n")
    assert free(machine) == 10 * GIB


@pytest.mark.parametrize("group", ["slice/job", "slice", "."])
def test_limits_of_version_2_count_at_every_level_less_what_is_used(machine, group):
    write(machine / "sys" / group / "memory.max", str(4 * GIB))
    write(machine / "sys" / group / "memory.current", str(3 * GIB))
    # Of the 3 GiB in use one is a cache of files, which yields.
    write(machine / "sys" / group / "memory.stat", f"anon 5\ninactive_file {GIB}\n")
    assert free(machine) == 2 * GIB


@pytest.mark.parametrize("group", ["jobs/one", "."])
def test_limits_of_version_1_count_too(machine, group):
    write(machine / "sys/memory" / group / "memory.limit_in_bytes", str(3 * GIB))
    write(machine / "sys/memory" / group / "memory.usage_in_bytes", str(GIB))
    write(machine / "sys/memory" / group / "memory.stat", "total_inactive_file 0\n")
    assert free(machine) == 2 * GIB


def test_an_overdrawn_group_leaves_nothing(machine):
    write(machine / "sys/slice/job/memory.max", str(GIB))
    write(machine / "sys/slice/job/memory.current", str(2 * GIB))
    write(machine / "sys/slice/job/memory.stat", "inactive_file 0\n")
    assert free(machine) == 0


def fitted(count, guess, have, need_of_one, devices=1, platform="gpu", fixed=0):
    compiled = []

    def need(size):
        compiled.append(size)
        return fixed + need_of_one * size // devices

    device = types.SimpleNamespace(platform=platform)
    size = plan.fitted_size(count, guess, have, [device] * devices, need)
    assert compiled[-1] == size
    return size, compiled


def test_size_follows_the_compiled_need():
    # A right guess: one compilation, and even chunks.
    assert fitted(68, guess=10, have=400, need_of_one=10) == (34, [34])
    # Too small a guess of a fold: fewer.
    size, compiled = fitted(68, guess=10, have=400, need_of_one=25)
    assert size == 14
    assert len(compiled) == 2
    # Too large a guess: more, once.
    assert fitted(68, guess=100, have=400, need_of_one=10) == (34, [4, 34])
    # Everything fits.
    assert fitted(6, guess=1, have=400, need_of_one=1) == (6, [6])
    # One that does not fit is left to the caller, who can say so.
    assert fitted(6, guess=1000, have=400, need_of_one=500)[0] == 1
    # A cost that does not shrink with the folds still ends.
    assert fitted(68, guess=10, have=400, need_of_one=10, fixed=390)[0] == 1
    # On a CPU more folds are slower; devices share out the folds.
    assert fitted(68, guess=1, have=400, need_of_one=1, platform="cpu") == (4, [4])
    assert fitted(10, guess=1, have=400, need_of_one=1, devices=4)[0] == 12


def assert_each_job_once(found):
    keys = [(job.seed, job.fold.key) for chunk in found.chunks for job in chunk.jobs]
    assert sorted(keys) == [(0, fold.key) for fold in FOLDS]
    numbers = [chunk.number for chunk in found.chunks]
    assert len(set(numbers)) == len(numbers)
    for chunk in found.chunks:
        assert len(chunk.jobs) <= chunk.size
        assert {SHAPE_OF[job.fold.key] for job in chunk.jobs} == {chunk.shape}


def test_halving_keeps_finished_chunks_and_numbers(tmp_path):
    first = Plan(plan.make_plan(JOBS, SHAPE_OF, dict.fromkeys(SHAPES, 4), 1))
    assert [chunk.size for chunk in first.chunks] == [3, 3, 3, 3]
    second = plan.halved(first, 1, {0}, 1, "a test")
    assert_each_job_once(second)
    assert second.chunks[0] == first.chunks[0]
    assert [chunk.number for chunk in second.chunks][1:] == [4, 5, 6, 7]
    assert {chunk.size for chunk in second.chunks[1:]} <= {1, 2}
    third = plan.halved(second, 5, {0, 4}, 1, "a test")
    assert_each_job_once(third)
    assert len(third.halvings) == 2
    with pytest.raises(ConfigError, match=r"one fold per device .* lower --base_dim or --batch"):
        plan.halved(third, third.chunks[-1].number, {0, 4}, 1, "a test")
    plan.store_plan(tmp_path, third)
    assert plan.stored_plan(tmp_path, FOLDS, SHAPE_OF, JOBS) == third


def test_a_changed_plan_is_damaged_even_where_it_can_be_read(tmp_path):
    plan.store_plan(tmp_path, Plan(plan.make_plan(JOBS, SHAPE_OF, dict.fromkeys(SHAPES, 4), 1)))
    path = tmp_path / plan.PLAN_FILE
    path.write_text(path.read_text().replace('"size": 3', '"size": 2', 1))
    with pytest.raises(ConfigError, match="is damaged"):
        plan.stored_plan(tmp_path, FOLDS, SHAPE_OF, JOBS)


def test_out_of_memory_halves_the_rest_and_the_run_goes_on(tmp_path):
    whole = trained(tmp_path / "whole", *THREE_EPOCHS)
    assert whole.status == 0, whole.err
    finished = loso(
        tmp_path / "run",
        *THREE_EPOCHS,
        "--checkpoint_minutes=0.00001",
        prepare=restart_faults.no_memory_for_three_folds_in_the_second_chunk,
    )
    assert finished.status == 0, finished.err
    said = "out of memory: chunk 1 of 3 folds, 2 at once from there on: RESOURCE_EXHAUSTED"
    assert said in finished.err
    stored = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert [(chunk["number"], chunk["size"]) for chunk in stored["chunks"]] == [
        (0, 3),
        (2, 2),
        (3, 2),
    ]
    assert len(stored["halvings"]) == 1
    ours, theirs = (rows(tmp_path / name / "predictions.csv") for name in ("run", "whole"))
    assert [row["clip"] for row in ours] == [row["clip"] for row in theirs]
    for word in ("prob_negative", "prob_positive", "prob_surprise"):
        gap = [abs(float(a[word]) - float(b[word])) for a, b in zip(ours, theirs, strict=True)]
        # Sums in another order, over three epochs.
        assert max(gap) < 1e-3
    # The finished chunk kept its bits.
    first = {key.split("/")[1] for key in KEYS[:3]}
    assert [r for r in ours if r["subject"] in first] == [
        r for r in theirs if r["subject"] in first
    ]
    again = loso(tmp_path / "run", *THREE_EPOCHS)
    assert again.status == 0, again.err
    assert "compiled" not in again.err


def test_one_fold_that_does_not_fit_is_told_what_to_lower(tmp_path):
    finished = loso(
        tmp_path / "run",
        *THREE_EPOCHS,
        "--folds_at_once=1",
        prepare=restart_faults.no_memory_to_compile,
    )
    assert finished.status == 2, finished.err
    last = finished.err.splitlines()[-1]
    assert last.startswith("experiments.loso: error: even one fold per device does not fit the")
    assert "RESOURCE_EXHAUSTED: Out of memory" in last
    assert "lower --base_dim or --batch_size" in last
    assert "Traceback" not in finished.err


def test_a_dry_run_tells_plan_memory_time_and_disk_from_the_compiled_need(tmp_path):
    finished = loso(
        tmp_path / "run",
        *THREE_EPOCHS,
        "--folds_at_once=0",
        "--dry_run",
        prepare=restart_faults.ten_mebibytes_a_fold_of_fifty,
    )
    assert finished.status == 0, finished.err
    # Six folds of 10 MiB do not fit into 50 MiB: two chunks of three.
    assert "plan: 2 chunk(s) of 3 folds at once, 1 step(s) per epoch" in finished.out
    assert "memory: 3 folds of 1 step(s) need 30 MiB of the 50 MiB per device" in finished.out
    assert "estimated training time here, from epochs timed now: " in finished.out
    assert "for checkpoints (2 are kept while the next is written" in finished.out
    assert not (tmp_path / "run").exists()


def test_an_explicit_size_above_the_memory_is_refused(tmp_path):
    finished = loso(
        tmp_path / "run",
        *THREE_EPOCHS,
        "--folds_at_once=6",
        prepare=restart_faults.ten_mebibytes_a_fold_of_fifty,
    )
    assert finished.status == 2, finished.err
    assert "lower --folds_at_once (now 6)" in finished.err.splitlines()[-1]


def test_numbers_of_a_plan_are_those_of_its_folds():
    found = Plan(plan.make_plan(JOBS, SHAPE_OF, dict.fromkeys(SHAPES, 2), 1))
    assert_each_job_once(found)
    assert np.diff([chunk.number for chunk in found.chunks]).tolist() == [1] * 5


def test_a_large_dry_run_on_a_cpu_runs_nothing(monkeypatch, capsys):
    chunk = Chunk(0, SHAPES[0], 4, tuple(JOBS[:2]))

    class Large:
        """Programs whose need is told, and which must not be run."""

        devices = jax.local_devices()
        model_config, train_config = ModelConfig(), TrainConfig()

        def need(self, shape, size):
            return forecast.TIMED_BYTES + 1

    forecast.print_time(Large(), Plan((chunk,)))
    assert re.search(r"roughly, from the arithmetic: \S+ (s|min|h|days)", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("model", "training", "advice"),
    [
        (ModelConfig(), TrainConfig(), "--base_dim=24 --learning_rate=0.0001 --epochs=60, takes"),
        (ModelConfig(base_dim=16), TrainConfig(), "smaller look, --epochs=60, takes about"),
        (
            ModelConfig(),
            TrainConfig(epochs=20, learning_rate=3e-4),
            "smaller look, --base_dim=24, takes about",
        ),
        (STSTNetConfig(), TrainConfig(epochs=800), "smaller look, --epochs=60, takes about"),
        (ModelConfig(base_dim=16), TrainConfig(epochs=60), "give fewer folds"),
    ],
)
def test_the_advice_for_a_smaller_look_names_what_is_larger_here(
    monkeypatch, capsys, model, training, advice
):
    class Long:
        devices = jax.local_devices()
        model_config, train_config = model, training

    monkeypatch.setattr(forecast, "LONG_RUN_SECONDS", 0)
    forecast.warn_if_long(Long(), JOBS)
    assert advice in capsys.readouterr().err
