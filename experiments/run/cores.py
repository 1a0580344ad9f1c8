"""The cores that this process may use, and as how many devices they train folds."""

import os
import pathlib
from collections.abc import Collection

from experiments.run import control_groups
from experiments.run.control_groups import CGROUPS, PROC, Group

# Every device holds the clips, and threads of its own.
MOST_DEVICES = 64


def usable(proc: pathlib.Path = PROC, cgroups: pathlib.Path = CGROUPS) -> int:
    """Cores that the process is bound to, or fewer where a control group leaves it less time."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limits = map(_limit, control_groups.of_process("cpu", proc, cgroups))
    return min(bound or 1, *(limit for limit in limits if limit), MOST_DEVICES)


def _limit(group: Group) -> int | None:
    """Whole cores whose time the group may take, 1 at least; None where it is not limited."""
    names = ("cpu.max",) if group.version == 2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    try:
        texts = [(group.folder / name).read_text(encoding="ascii") for name in names]
        quota, period = map(int, " ".join(texts).split())
    except (OSError, ValueError):
        # No such group, or the word "max".
        return None
    return max(1, quota // period) if quota > 0 else None


def devices(folds: int, most: int, sizes: Collection[int] = ()) -> int:
    """Devices for so many folds: as few as train them as soon as `most` would.

    Every size of a chunk is a multiple, so that none of its places stays free.
    """
    most = max(1, min(most, folds, MOST_DEVICES))
    if sizes:
        return max(n for n in range(1, most + 1) if all(size % n == 0 for size in sizes))
    one_after_another = -(-folds // most)
    return -(-folds // one_after_another)
