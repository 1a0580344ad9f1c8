"""As how many devices a CPU trains a run; and that nothing else changes."""

import importlib.metadata
import os
import types

import numpy as np
from command_runner import run_command
from small_runs import KEYS, SHALLOW, loso, rows, trained

from ahmsa_jax.config import TrainConfig
from ahmsa_jax.networks.ahmsa import ModelConfig
from ahmsa_jax.training.protocols import loso_folds
from experiments.run import cores
from experiments.run.chunk import Chunk, Plan
from experiments.run.spec import Execution
from experiments.schedule import cpu_devices, memory, plan
from input_pipeline.maps import synthetic


def run_of(seeds=(0,)):
    """The 24 folds of the synthetic data set."""
    clips = synthetic.make("five", "small")
    folds = loso_folds(clips.subject_key_N)
    spec = types.SimpleNamespace(seeds=seeds)
    return types.SimpleNamespace(
        spec=spec,
        folds_here=folds,
        network_config=ModelConfig(base_dim=6),
        train_config=TrainConfig(),
        clips=clips,
    )


def test_a_run_takes_what_its_folds_cores_and_memory_allow(monkeypatch, tmp_path):
    monkeypatch.setattr(cores, "usable", lambda: 8)
    run, free = run_of(), Execution(tmp_path)
    assert cpu_devices.of_run(run, free) == 8  # 24 folds
    assert cpu_devices.of_run(run_of(seeds=(0, 1, 2)), free) == 8
    assert cpu_devices.of_run(run, Execution(tmp_path, parallel="batch")) == 1
    # Chunks of 5 places at most are five of 5 places.
    assert cpu_devices.of_run(run, Execution(tmp_path, folds_at_once=5)) == 5
    # Twice 1 GiB a device, in 0.8 of the memory.
    monkeypatch.setattr(plan, "guess_fold_bytes", lambda *_: 1 << 30)
    monkeypatch.setattr(memory, "machine_bytes", lambda: 8 << 30)
    assert cpu_devices.of_run(run, free) == 3
    monkeypatch.setattr(memory, "machine_bytes", lambda: 1 << 30)
    assert cpu_devices.of_run(run, free) == 1


def test_an_unfinished_run_keeps_the_size_of_its_chunks(monkeypatch, tmp_path):
    monkeypatch.setattr(cores, "usable", lambda: 4)
    chunks = (Chunk(0, None, 6, ()), Chunk(1, None, 6, ()))
    plan.store_plan(tmp_path, Plan(chunks))
    assert cpu_devices.of_run(run_of(), Execution(tmp_path)) == 3
    (tmp_path / plan.PLAN_FILE).write_text("{}")
    assert cpu_devices.of_run(run_of(), Execution(tmp_path)) == 4


def two_cores():
    """No fault: the shell says nothing of devices, and two cores are seen."""
    del os.environ["JAX_NUM_CPU_DEVICES"]
    cores.usable = lambda: 2


def test_two_cores_give_the_same_run(tmp_path):
    # Three folds a device, as in the chunks of one device.
    finished = loso(tmp_path / "run", "--folds_at_once=0", prepare=two_cores)
    assert finished.status == 0, finished.err
    assert "device: 2 x cpu" in finished.out
    assert "1 chunk(s) of 6 folds at once" in finished.out
    one = trained(tmp_path / "one")
    assert "device: 1 x cpu" in one.out
    found, wanted = (rows(tmp_path / name / "predictions.csv") for name in ("run", "one"))
    assert [row["prediction"] for row in found] == [row["prediction"] for row in wanted]
    for column in ("prob_negative", "prob_positive", "prob_surprise"):
        values = [[float(row[column]) for row in table] for table in (found, wanted)]
        np.testing.assert_allclose(*values, atol=1e-6)
    # Later compilers round several devices' programs otherwise than one's.
    if importlib.metadata.version("jaxlib") == "0.7.1":
        for name in ("predictions.csv", "metrics.jsonl"):
            ours, theirs = ((tmp_path / run / name).read_bytes() for run in ("run", "one"))
            assert ours == theirs, name


def test_the_shell_may_say_how_many(tmp_path):
    words = ("--dataset=synthetic", *SHALLOW, "--epochs=1", f"--subjects={KEYS[0]},{KEYS[3]}")
    place = f"--workdir={tmp_path / 'run'}"
    finished = run_command("experiments.loso", *words, place, "--dry_run", prepare=said_by_shell)
    assert finished.status == 0, finished.err
    assert "device: 1 x cpu" in finished.out


def said_by_shell():
    cores.usable = lambda: 2
