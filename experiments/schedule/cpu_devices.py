"""As how many devices a CPU trains: with folds of its own, a core waits for no other.

The products of one program are too small for several cores: at width 24 two devices of a core each
took 0.7 of the time for a fold's step that one device of two cores took.
"""

import os
import pathlib
from collections.abc import Collection
from typing import TYPE_CHECKING

from experiments.run.spec import Execution
from experiments.schedule import memory, plan

if TYPE_CHECKING:
    from experiments.run.request import Run

# Every device holds the clips, and threads of its own.
MOST = 64
# A step needs more than the guess of its memory; see plan.fitted_size, which compiles.
_ROOM = 2
_CGROUPS = pathlib.Path("/sys/fs/cgroup")


def of_run(run: "Run", execution: Execution) -> int:
    """Devices to train a run on, where that is on a CPU. Asks JAX for none."""
    jobs = len(run.spec.seeds) * len(run.folds_here)
    if execution.parallel == "batch" or not jobs:
        return 1
    sizes = plan.stored_sizes(execution.workdir)
    if not sizes and execution.folds_at_once:
        sizes = {plan.even_size(jobs, execution.folds_at_once, 1)}
    return count(jobs, min(cores(), _held(run)), sizes)


def count(jobs: int, most: int, sizes: Collection[int] = ()) -> int:
    """Devices for so many folds: as few as train them as soon as `most` would.

    Every size of a chunk is a multiple, so that none of its places stays free.
    """
    most = max(1, min(most, jobs, MOST))
    if sizes:
        return max(n for n in range(1, most + 1) if all(size % n == 0 for size in sizes))
    one_after_another = -(-jobs // most)
    return -(-jobs // one_after_another)


def cores(cgroups: pathlib.Path = _CGROUPS) -> int:
    """Cores that this process may use: those it is bound to, or less by its control group."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limits = [limit for limit in (_limit_v2(cgroups), _limit_v1(cgroups / "cpu")) if limit]
    return max(1, min([bound or 1, *limits]))


def _limit_v2(group: pathlib.Path) -> int | None:
    try:
        quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
        return None if quota == "max" else int(quota) // int(period) or 1
    except (OSError, ValueError):
        return None


def _limit_v1(group: pathlib.Path) -> int | None:
    try:
        quota, period = (
            int((group / f"cpu.cfs_{name}_us").read_text(encoding="ascii"))
            for name in ("quota", "period")
        )
        return quota // period or 1 if quota > 0 else None
    except (OSError, ValueError):
        return None


def _held(run: "Run") -> int:
    """Devices whose clips and folds the free memory holds."""
    largest = max(int(fold.train_N.sum()) for fold in run.folds_here)
    fold = plan.guess_fold_bytes(run.network_config, run.train_config, largest)
    arrays = run.clips.faces or {"flow": run.clips.flow_NxHxWxC}
    clips = sum(array.nbytes for array in arrays.values())
    return int(memory.machine_bytes() * memory.MEMORY_SHARE) // (_ROOM * fold + clips)
