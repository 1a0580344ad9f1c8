"""How long a run will take on a CPU, counted before anything is compiled; for the warning."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from ahmsa_jax.config import NetworkConfig, TrainConfig
from ahmsa_jax.networks.arithmetic import forward_products
from ahmsa_jax.training.protocols import Job

# Share of the matrix-product rate that a training step is taken to reach; the rest goes into
# element-wise work. Rough: shares of 0.15 to 0.8 were seen, by width and by the machine's load.
CPU_EFFICIENCY = 0.25
# Beyond this, a run on a CPU starts with a warning.
LONG_RUN_SECONDS = 600.0


def cpu_seconds(
    model_config: NetworkConfig, train_config: TrainConfig, jobs: Sequence[Job]
) -> float:
    """Estimated training seconds of these folds on this machine's CPU, without compiling.

    Counts six operations per multiply-add and clip (forward, and twice that backward), at the rate
    of a matrix product timed now.
    """
    rows = sum(job.fold.n_train for job in jobs)
    operations = 6.0 * sum(forward_products(model_config).values()) * rows * train_config.epochs
    return operations / (CPU_EFFICIENCY * numpy_product_rate(1024, repeats=3))


def numpy_product_rate(side: int, repeats: int) -> float:
    """Operations per second of NumPy's product of square matrices, the best of some."""
    factor = np.ones((side, side), np.float32)
    return 2 * side**3 / best_seconds(lambda: factor @ factor, repeats)


def best_seconds(work: Callable[[], object], repeats: int) -> float:
    """The least time that `work` takes in some repeats, after a first one that does not count."""
    work()
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)


def in_words(seconds: float) -> str:
    """A duration for people: 40 s, 12 min, 5.0 h, 3.2 days."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.1f} days"
