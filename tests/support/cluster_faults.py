"""Faults on the workers of a Ray cluster, and signals to the command that leads them.

Workers import this module by its name: ray_nodes puts this folder on their path.
"""

import os
import pathlib
import signal
import threading
import time

_done = []


def victim_stops_in_a_chunk():
    """The victim's worker trains five epochs, marks that, and stands still; then the other works.

    The mark holds the worker's process number.
    """
    _on_workers(_train_after_the_mark)


def victim_stops_in_a_chunk_and_sigterm_comes(mark):
    """So does the victim's; the other trains one chunk. SIGTERM comes once both is done."""
    from experiments.files import chunks

    _on_workers(_train_one)
    honest = chunks.save
    written = threading.Event()

    def save(workdir, number, jobs, result):
        honest(workdir, number, jobs, result)
        written.set()

    def signal_then():
        written.wait()
        while not os.path.exists(mark):
            time.sleep(0.02)
        pathlib.Path(f"{mark}-signal").touch()
        os.kill(os.getpid(), signal.SIGTERM)

    chunks.save = save
    threading.Thread(target=signal_then, daemon=True).start()


def second_folds_diverge_and_three_do_not_fit():
    _on_workers(_train_poisoned)


def chunks_raise_alone():
    """No cluster runs here, so the machine's own is started; training is a fault of ours."""
    from experiments.cluster import ray_cluster

    os.environ["PYTHONPATH"] = os.path.dirname(__file__)
    ray_cluster._address = lambda where: None
    _on_workers(_train_wrongly)


def workers_die():
    from experiments.cluster import ray_cluster

    honest = ray_cluster.Cluster.submit

    def submit(self, function, *arguments, node=None):
        # Machines are asked by name before; a worker that dies there by accident is started again.
        ray_cluster.RETRIES = 3 if node else 0
        return honest(self, function, *arguments, node=node)

    ray_cluster.Cluster.submit = submit
    _on_workers(_die)


def ray_is_missing():
    import sys

    sys.modules["ray"] = None


def _on_workers(function):
    from experiments.cluster import tasks

    # The name under which workers find it.
    function.__module__ = "cluster_faults"
    tasks.train_chunk = function


def _train_after_the_mark(work, chunk, board):
    deadline = time.monotonic() + 60
    while "VICTIM" not in os.environ and not os.path.exists(os.environ["MARK"]):
        assert time.monotonic() < deadline, "the victim has begun no chunk"
        time.sleep(0.02)
    return _train_and_stop(work, chunk, board)


def _train_one(work, chunk, board):
    if "VICTIM" not in os.environ and _done:
        time.sleep(100)
    result = _train_and_stop(work, chunk, board)
    _done.append(True)
    return result


def _train_and_stop(work, chunk, board):
    import restart_faults

    from experiments.cluster import tasks

    def stand_still():
        # The leader is to have heard of the five epochs, which take no time, before it is killed.
        time.sleep(3)
        pathlib.Path(os.environ["MARK"]).write_text(str(os.getpid()))
        time.sleep(100)

    if "VICTIM" in os.environ:
        restart_faults._after_epoch(5, stand_still)
    return tasks.train_chunk(work, chunk, board)


def _train_poisoned(work, chunk, board):
    import injected_faults
    import jax

    from ahmsa_jax.training.engine import Engine
    from experiments.cluster import tasks

    if not _done:
        _done.append(True)
        injected_faults.poison_second_fold()
        poisoned = Engine.run_epochs

        def run_epochs(self, chunk, data, first_epoch, epochs):
            if self.size > 2:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory.")
            return poisoned(self, chunk, data, first_epoch, epochs)

        Engine.run_epochs = run_epochs
    return tasks.train_chunk(work, chunk, board)


def _train_wrongly(work, chunk, board):
    raise ValueError("seven is no number\nof folds")


def _die(work, chunk, board):
    time.sleep(0.2)
    os._exit(1)
