"""Chunks on the nodes of a real Ray cluster: the same bytes, whatever befalls nodes or driver.

Modules tried here without being imported:
experiments.cluster.executor.
"""

import functools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import cluster_faults
import pytest
from command_runner import ROOT, assert_mistake
from ray_nodes import Nodes
from small_runs import KEYS, SHALLOW, loso, rows

from ahmsa_jax.config import ConfigError
from experiments.cluster import ray_cluster
from experiments.cluster.tasks import WorkerDevice
from experiments.run.workdir import code_version

# Eight chunks of three folds, a dispatch every three epochs.
SETTING = ("--num_seeds=4", "--epochs=12", "--eval_every=3")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    with Nodes(tmp_path_factory.mktemp("nodes") / "victim") as running:
        yield running


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The same folds trained without a cluster."""
    workdir = tmp_path_factory.mktemp("local") / "run"
    finished = loso(workdir, *SETTING)
    assert finished.status == 0, finished.err
    return workdir


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_after_sigterm_and_a_dead_node_the_bytes_are_those_of_the_local_run(tmp_path, nodes, local):
    workdir, there = tmp_path / "run", f"--cluster={nodes.address}"
    fault = cluster_faults.victim_stops_in_a_chunk_and_sigterm_comes
    prepare = functools.partial(fault, str(nodes.mark))
    stopped = loso(workdir, *SETTING, there, prepare=prepare)
    ended = time.time()
    kept = sorted((workdir / "chunks").glob("*.sha256"))
    assert stopped.status == 143, stopped.err
    sent = nodes.mark.with_name(f"{nodes.mark.name}-signal").stat().st_mtime
    assert ended - sent < 10
    line = [words for words in stopped.err.splitlines() if words.startswith("experiments.loso")]
    assert len(line) == 1, stopped.err
    said = f"stopped by SIGTERM; {3 * len(kept)} of 24 folds are finished; the same command goes on"
    assert said in line[0]
    assert "Traceback" not in stopped.err
    # The worker that stood still is gone too.
    left = int(nodes.mark.read_text())
    wait_for(lambda: not is_alive(left))
    nodes.mark.unlink()

    def kill():
        wait_for(nodes.mark.exists)
        nodes.kill_victim()

    killer = threading.Thread(target=kill)
    killer.start()
    resumed = loso(workdir, *SETTING, there, prepare=cluster_faults.victim_stops_in_a_chunk)
    killer.join()
    assert resumed.status == 0, resumed.err
    assert f"cluster: Ray, {nodes.address}: 2 machine(s), 2 chunk(s) at a time" in resumed.out
    assert f"resuming: {3 * len(kept)} folds are finished already" in resumed.out
    lost = re.findall(r"chunk \d was lost with its worker .* and is trained again", resumed.err)
    assert len(lost) == 1, resumed.err
    assert "folds 24/24" in resumed.err
    assert "raylet" not in resumed.out + resumed.err
    for name in ("predictions.csv", "metrics.jsonl", "plan.json"):
        assert (workdir / name).read_bytes() == (local / name).read_bytes(), name
    folds = rows(workdir / "folds.csv")
    assert [(row["seed"], f"{row['database']}/{row['subject']}") for row in folds] == [
        (seed, key) for seed in "0123" for key in KEYS
    ]
    summary = json.loads((workdir / "summary.json").read_text())
    wanted = json.loads((local / "summary.json").read_text())
    assert summary | {"seconds": 0} == wanted | {"seconds": 0}
    assert f"{there}\n" in (workdir / "flags.txt").read_text()


def test_a_finished_run_is_shown_without_its_cluster(local):
    shown = loso(local, *SETTING, "--cluster=127.0.0.1:1")
    assert shown.status == 0, shown.err
    assert "24 of 24 folds finished" in shown.out


def test_chunks_that_do_not_fit_are_halved_and_a_diverged_fold_fails_alone(tmp_path, nodes):
    finished = loso(
        tmp_path / "run",
        f"--cluster={nodes.address}",
        f"--subjects={','.join(KEYS[:3])}",
        prepare=cluster_faults.second_folds_diverge_and_three_do_not_fit,
    )
    assert finished.status == 3, finished.err
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert sorted(len(chunk["jobs"]) for chunk in plan["chunks"]) == [1, 2]
    assert sorted(chunk["number"] for chunk in plan["chunks"]) == [1, 2]
    assert len(plan["halvings"]) == 1
    assert "out of memory: chunk 0 of 3 folds, 2 at once from there on: RESOURCE_E" in finished.err
    folds = rows(tmp_path / "run" / "folds.csv")
    assert [f"{row['database']}/{row['subject']}" for row in folds] == list(KEYS[:3])
    # The second of the two folds of the larger half.
    failed = [f"{row['database']}/{row['subject']}" for row in folds if row["status"] == "failed"]
    assert failed == [KEYS[1]]


def test_a_fault_of_ours_on_a_worker_is_one_line_on_a_cluster_of_this_machine_alone(tmp_path):
    finished = loso(tmp_path / "run", "--cluster=auto", prepare=cluster_faults.chunks_raise_alone)
    assert finished.status == 2, finished.err
    assert "cluster: Ray, this machine alone: 1 machine(s), 1 chunk(s)" in finished.out
    line = [words for words in finished.err.splitlines() if words.startswith("experiments.loso")]
    assert len(line) == 1
    assert "a worker failed with ValueError: seven is no number" in line[0]
    assert "Traceback" not in finished.err


def restore_sigint():
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_ctrl_c_reaches_ray_too_and_leaves_one_line(tmp_path):
    words = [sys.executable, "-m", "experiments.loso", "--cluster=auto", "--epochs=100000"]
    with subprocess.Popen(
        [*words, *SHALLOW, f"--workdir={tmp_path / 'run'}"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # The default of a process that a terminal starts.
        preexec_fn=restore_sigint,
    ) as process:
        try:
            assert process.stderr
            said = []
            for line in process.stderr:
                said.append(line)
                if "in training" in line:
                    break
            # As a terminal does: to the command, and to whatever Ray has started below it.
            os.killpg(process.pid, signal.SIGINT)
            sent = time.monotonic()
            _, rest = process.communicate(timeout=30)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert time.monotonic() - sent < 10
    assert process.returncode == 130, "".join(said) + rest
    assert "stopped by Ctrl-C; 0 of 24 folds are finished; the same command goes on" in rest
    assert "Traceback" not in "".join(said) + rest


def test_a_chunk_that_kills_its_workers_is_one_line(tmp_path, nodes):
    finished = loso(
        tmp_path / "run", f"--cluster={nodes.address}", prepare=cluster_faults.workers_die
    )
    assert finished.status == 2, finished.err
    assert re.search(r"error: chunk \d was lost with its worker more often than", finished.err)
    assert "Traceback" not in finished.err


def test_mistakes_are_one_line(tmp_path):
    closed = loso(tmp_path / "run", "--cluster=127.0.0.1:1")
    assert_mistake(closed, "--cluster=127.0.0.1:1", "Connection refused", "ray start --head")
    # Nothing was begun that another cluster could not take up.
    assert not (tmp_path / "run").exists()
    for value in ("nowhere", "host:0", "host:99999", "ray://host:10001", ""):
        assert_mistake(loso(tmp_path / "run", f"--cluster={value}"), "cluster", "HOST:PORT")
    missing = loso(tmp_path / "run", "--cluster=auto", prepare=cluster_faults.ray_is_missing)
    assert_mistake(missing, "pip install 'ahmsa-jax[cluster]'")


def worker(**changes):
    there = {"host": "far", "platform": "cpu", "device_kind": "cpu", "free_bytes": 2**30}
    return WorkerDevice(**(there | {"code": code_version()} | changes))


def test_workers_with_other_code_or_an_unseen_gpu_are_refused():
    ray_cluster._check([worker()], gpu=False)
    with pytest.raises(ConfigError, match=r"far has other code .*code.sources: here .*there \"0\""):
        ray_cluster._check([worker(), worker(code=code_version() | {"sources": "0"})], gpu=False)
    with pytest.raises(ConfigError, match="far has a GPU that JAX does not see"):
        ray_cluster._check([worker()], gpu=True)


def test_a_task_asks_for_one_gpu_or_for_the_processors_of_the_smallest_machine():
    # Two processors of the machine with GPUs are fewer than its GPUs.
    machines = [{"CPU": 2.0, "GPU": 4.0}, {"CPU": 64.0}, {"CPU": 0.0}]
    request = ray_cluster._request(machines)
    assert request == {"num_gpus": 1, "num_cpus": 1}
    assert [ray_cluster._slots(has, request) for has in machines] == [2, 0, 0]
    machines = [{"CPU": 8.0}, {"CPU": 20.0}, {}]
    request = ray_cluster._request(machines)
    assert request == {"num_cpus": 8}
    assert [ray_cluster._slots(has, request) for has in machines] == [1, 2, 0]
    with pytest.raises(ConfigError, match="neither GPUs nor processors"):
        ray_cluster._request([{"CPU": 0.0}])
