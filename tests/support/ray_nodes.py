"""A Ray cluster of several nodes on this machine, in a process of its own.

JAX and pytest must not be in the process that Ray forks its own from, and what is left of the
cluster ends with that process.
"""

import multiprocessing
import os
import pathlib
from typing import Self

from command_runner import _SERVER

# A dead node is noticed in about a second instead of twenty.
_PATIENCE = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 500,
    "health_check_failure_threshold": 2,
}


class Nodes:
    """A head without processors and two nodes of one processor each, in a `with` block.

    Their workers find a file's path in the variable MARK, those of the victim also VICTIM.
    """

    def __init__(self, mark: pathlib.Path) -> None:
        self.mark = mark
        self._address: str | None = None
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = _SERVER.Process(target=_hold, args=(theirs, str(mark)))

    def __enter__(self) -> Self:
        self._process.start()
        return self

    @property
    def address(self) -> str:
        """HOST:PORT; waits until the nodes stand ready."""
        if self._address is None:
            assert self._pipe.poll(60), "the Ray cluster did not start within a minute"
            self._address = self._pipe.recv()
        return self._address

    def kill_victim(self) -> None:
        """End that node as a power cut would: its processes get SIGKILL."""
        self._pipe.send("kill")
        assert self._pipe.poll(30)
        assert self._pipe.recv() == "killed"

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(30)
        assert self._process.exitcode == 0


def _hold(pipe, mark: str) -> None:
    # Workers find the faults that tests hand them.
    os.environ["PYTHONPATH"] = str(pathlib.Path(__file__).parent)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": _PATIENCE}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    cluster.add_node(num_cpus=1, env_vars={"MARK": mark})
    victim = cluster.add_node(num_cpus=1, env_vars={"MARK": mark, "VICTIM": "yes"})
    pipe.send(cluster.address)
    try:
        while True:
            pipe.recv()
            cluster.remove_node(victim, allow_graceful=False)
            pipe.send("killed")
    except EOFError:
        cluster.shutdown()
