"""The control groups of Linux that this process stands in: a container, or a job of a queue."""

import pathlib
from collections.abc import Iterator
from typing import NamedTuple

PROC = pathlib.Path("/proc")
CGROUPS = pathlib.Path("/sys/fs/cgroup")


class Group(NamedTuple):
    """A control group: version 1 or 2 of Linux's, which name their files differently."""

    version: int
    folder: pathlib.Path


def of_process(
    controller: str, proc: pathlib.Path = PROC, cgroups: pathlib.Path = CGROUPS
) -> Iterator[Group]:
    """The groups that may limit what `controller` counts, each before those above it.

    None where the machine has no such groups. A folder need not exist.
    """
    try:
        lines = (proc / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            version, root = 2, cgroups
        elif controller in controllers.split(","):
            version, root = 1, cgroups / controller
        else:
            continue
        # Inside a container the path may be the host's, of which only the root is seen here.
        parts = [part for part in path.split("/") if part and part != ".."]
        for depth in range(len(parts), -1, -1):
            yield Group(version, root.joinpath(*parts[:depth]))
