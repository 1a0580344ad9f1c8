"""The Ray cluster that a run's chunks go to: joining it, asking what it has, starting tasks.

Ray schedules the tasks and starts them again where a worker is lost. It is imported where it is
used: only --cluster needs it.
"""

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from ahmsa_jax.config import ConfigError
from experiments.cluster import tasks as cluster_task
from experiments.cluster.tasks import WorkerDevice
from experiments.run.workdir import code_version, differences
from experiments.schedule.interruption import Interruption

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

# Ray itself waits for two minutes, and does not hear a signal meanwhile.
REACH_SECONDS = 20
# A worker lost this often with the same chunk is no accident.
RETRIES = 3
# Machines that are busy with other work may answer later; the plan waits so long for them.
PROBE_SECONDS = 30
_LOCAL_STORE_BYTES = 256 * 2**20
_CONNECT_SECONDS = 10
_NONE_RUNS = 3
# Tried in a process of its own, which can be ended.
_ASK = f"""
import logging, sys, ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.CRITICAL)
except ConnectionError as error:
    print(error)
    sys.exit({_NONE_RUNS})
except Exception as error:
    print(error)
    sys.exit(1)
print(ray.get_runtime_context().gcs_address)
"""


def _ray() -> Any:
    """Ray's module; raises ImportError where the cluster extra is not installed."""
    # No usage statistics are sent without consent, and a lost node is one line here instead of a
    # page of Ray's log. Both variables are read when Ray is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    import ray
    import ray.util.scheduling_strategies

    return ray


def refuse_unreachable(where: str) -> None:
    """Raise ConfigError where Ray is missing, or where nothing listens at HOST:PORT."""
    try:
        _ray()
    except ImportError as error:
        raise ConfigError(
            f"--cluster needs Ray ({error}): pip install 'ahmsa-jax[cluster]', on every machine."
        ) from None
    host, _, port = where.rpartition(":")
    if host:
        try:
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
        except OSError as error:
            raise _unreachable(where, error.strerror or str(error)) from None


def _address(where: str) -> str | None:
    """The address of the cluster `where` names; None where `auto` finds none.

    Raises ConfigError where no cluster answers in time.
    """
    command = [sys.executable, "-c", _ASK, where]
    try:
        asked = subprocess.run(
            command, capture_output=True, text=True, timeout=REACH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise _unreachable(where, f"no answer within {REACH_SECONDS} s") from None
    lines = asked.stdout.strip().splitlines()
    if asked.returncode == 0:
        return lines[-1]
    if asked.returncode == _NONE_RUNS and where == "auto" and not os.environ.get("RAY_ADDRESS"):
        return None
    raise _unreachable(where, " ".join(lines)[:300] or "no reason given")


def _unreachable(where: str, reason: str) -> ConfigError:
    return ConfigError(
        f"no Ray cluster can be joined at --cluster={where} ({reason}); give the address that "
        "'ray start --head' says, on a machine that 'ray start' has joined to it."
    )


class Cluster:
    """A Ray cluster that this process has joined, and what one task may ask of it."""

    def __init__(self, where: str, interruption: Interruption) -> None:
        """Join the cluster, or start one of this machine alone; ask every machine what it has."""
        refuse_unreachable(where)
        ray = _ray()
        address = _address(where)
        alone: dict[str, Any] = {
            "address": "local",
            "include_dashboard": False,
            "object_store_memory": _LOCAL_STORE_BYTES,
        }
        try:
            ray.init(
                **({"address": address} if address else alone),
                log_to_driver=False,
                logging_level=logging.CRITICAL,
            )
        except (Exception, SystemExit) as error:
            raise ConfigError(
                f"Ray cannot be used at --cluster={where}: {_first_line(error)}"
            ) from error
        finally:
            # Ray takes SIGTERM for itself.
            interruption.listen()
        # For what needs no words of our own: put, wait, cancel, shutdown.
        self.ray = ray
        self.address = address or "this machine alone"
        nodes = {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}
        self.request = _request(nodes.values())
        self._slots = {name: _slots(has, self.request) for name, has in nodes.items()}
        self._slots = {name: slots for name, slots in self._slots.items() if slots}
        self.workers = sum(self._slots.values())
        self.devices = interruption.run(self._probe)

    def __str__(self) -> str:
        return (
            f"Ray, {self.address}: {len(self.devices)} machine(s), {self.workers} chunk(s) at a "
            "time, one device each; no checkpoints inside a chunk"
        )

    def submit(
        self, function: Callable[..., Any], *arguments: object, node: str | None = None
    ) -> "ObjectRef[Any]":
        """Start a task, here or on one machine; the result is fetched by `outcome`."""
        options: dict[str, Any] = {"max_retries": RETRIES, "retry_exceptions": False}
        if node:
            options["scheduling_strategy"] = self._on(node)
        task = self.ray.remote(function).options(**self.request, **options)
        return task.remote(*arguments)

    def board(self) -> "ActorHandle":
        """The actor that collects the workers' news; it lives and dies with this machine."""
        here = self._on(self.ray.get_runtime_context().get_node_id())
        board = self.ray.remote(cluster_task.Board)
        return board.options(num_cpus=0, scheduling_strategy=here).remote()

    def _on(self, node: str) -> Any:
        strategies = self.ray.util.scheduling_strategies
        return strategies.NodeAffinitySchedulingStrategy(node, soft=False)

    def has_workers(self) -> bool:
        """Whether a machine is left, or has come, that can take a task."""
        alive = (node["Resources"] for node in self.ray.nodes() if node["Alive"])
        return any(_slots(has, self.request) for has in alive)

    def outcome(self, task: "ObjectRef[Any]") -> Any:
        """What a task returned; raises LostError or ConfigError where it returned nothing."""
        errors = self.ray.exceptions
        try:
            return self.ray.get(task)
        except errors.RayTaskError as error:
            raise ConfigError(_worker_said(error)) from error
        except errors.OutOfMemoryError as error:
            raise NoMemoryError(_first_line(error)) from error
        except errors.RayError as error:
            raise LostError(f"{type(error).__name__}: {_first_line(error)}") from error

    def _probe(self) -> list[WorkerDevice]:
        """The device of a task on each machine that answers in time; at least one."""
        asked = {
            self.submit(cluster_task.describe_worker, slots, node=name): name
            for name, slots in self._slots.items()
        }
        waiting, found, lost = list(asked), [], "none has a free processor"
        ready, waiting = self.ray.wait(waiting, num_returns=len(waiting), timeout=PROBE_SECONDS)
        if not ready and waiting:
            print("waiting for a machine of the cluster to be free", file=sys.stderr, flush=True)
            ready, waiting = self.ray.wait(waiting, num_returns=1)
        for task in waiting:
            self.ray.cancel(task, force=True)
        for task in ready:
            try:
                found.append(self.outcome(task))
            except LostError as error:
                lost = str(error)
        if not found:
            raise ConfigError(f"no machine of the Ray cluster can take a chunk: {lost}")
        _check(found, gpu="num_gpus" in self.request)
        return found


class LostError(ConfigError):
    """A task was lost with its worker, more often than it is retried."""


class NoMemoryError(ConfigError):
    """Ray ended a task because its machine had no memory left."""


def _request(nodes: Collection[dict[str, float]]) -> dict[str, int]:
    """What a task asks for: one GPU where the cluster has any, else a machine's processors.

    Machines of different sizes are counted in units of the smallest: a compiled program uses all
    processors of a machine anyway.
    """
    if any(has.get("GPU", 0) >= 1 for has in nodes):
        return {"num_gpus": 1, "num_cpus": 1}
    processors = [int(has["CPU"]) for has in nodes if has.get("CPU", 0) >= 1]
    if not processors:
        raise ConfigError("the Ray cluster has neither GPUs nor processors for a task.")
    return {"num_cpus": min(processors)}


def _slots(has: dict[str, float], request: dict[str, int]) -> int:
    asked = {"CPU": request["num_cpus"], "GPU": request.get("num_gpus", 0)}
    return min(int(has.get(name, 0)) // number for name, number in asked.items() if number)


def _check(found: Sequence[WorkerDevice], *, gpu: bool) -> None:
    for worker in found:
        codes = {"code": code_version()}, {"code": worker.code}
        if differing := differences(*codes, names=("here", "there")):
            raise ConfigError(
                f"the worker {worker.host} has other code than this machine: "
                f"{'; '.join(differing)}. Install the same versions on every machine."
            )
        if gpu and worker.platform == "cpu":
            raise ConfigError(
                f"the worker {worker.host} has a GPU that JAX does not see there; install "
                "'ahmsa-jax[cuda12]' on it."
            )


def _worker_said(error: Exception) -> str:
    cause = getattr(error, "cause", None) or error
    if isinstance(cause, ConfigError):
        return str(cause)
    if isinstance(cause, cluster_task.OtherCodeError):
        return f"a worker has other code than this machine ({cause}); install the same versions."
    if isinstance(cause, ImportError):
        return f"a worker cannot run this code ({cause}); install the same versions on every one."
    return f"a worker failed with {type(cause).__name__}: {_first_line(cause)}"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
