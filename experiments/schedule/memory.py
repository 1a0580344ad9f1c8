"""How much memory a chunk of folds may take here: a device's, or a machine's within its limits."""

import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from experiments.run import control_groups
from experiments.run.control_groups import CGROUPS, PROC

# Share of the memory that is free at the start which a chunk may take.
MEMORY_SHARE = 0.8
# What a control group of either version calls its limit, its use, and pages of files in that.
_NAMES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}
# Version 1 says "no limit" with a number near 2^63.
_NO_LIMIT = 2**60


class Device(Protocol):
    """What is asked of a JAX device, or of one that a cluster's worker describes."""

    @property
    def platform(self) -> str:
        """`cpu`, `gpu`, ..."""

    @property
    def device_kind(self) -> str:
        """The product's name."""

    def memory_stats(self) -> Mapping[str, Any] | None:
        """What the allocator knows, bytes; None where it knows nothing."""


def available_bytes(devices: Sequence[Device]) -> int:
    """Memory that a chunk may use on one device, bytes.

    A GPU's allocator has a limit; for CPUs the machine's free memory is divided among them.
    """
    stats = devices[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return int((stats["bytes_limit"] - stats.get("bytes_in_use", 0)) * MEMORY_SHARE)
    return int(machine_bytes() * MEMORY_SHARE / len(devices))


def machine_bytes(proc: pathlib.Path = PROC, cgroups: pathlib.Path = CGROUPS) -> int:
    """Free memory of the machine, or what the process's control groups leave of it, bytes."""
    free = min(_machine_free(proc), *_limits(proc, cgroups), _NO_LIMIT)
    return max(free, 0)


def _machine_free(proc: pathlib.Path) -> int:
    for line in (proc / "meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return _NO_LIMIT


def _limits(proc: pathlib.Path, cgroups: pathlib.Path) -> Iterator[int]:
    """What each control group above the process still allows, bytes."""
    for group in control_groups.of_process("memory", proc, cgroups):
        left = _left(group.folder, *_NAMES[group.version])
        if left is not None:
            yield left


def _left(group: pathlib.Path, limit_name: str, usage_name: str, cache_name: str) -> int | None:
    try:
        limit = int((group / limit_name).read_text(encoding="ascii"))
        used = int((group / usage_name).read_text(encoding="ascii"))
        stat = (group / "memory.stat").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        # No such group, or the word "max": nothing is limited here.
        return None
    if limit >= _NO_LIMIT:
        return None
    # Pages of files count as used, but are given back when memory is asked for.
    cache = dict(zip(stat[::2], stat[1::2], strict=False)).get(cache_name, "0")
    return limit - used + int(cache)
