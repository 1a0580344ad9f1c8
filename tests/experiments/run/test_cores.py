"""Cores of a process by its binding and control groups, and as how many devices they train.

Modules tried here without being imported:
experiments.run.control_groups.
"""

import os

import pytest

from experiments.run import cores


@pytest.mark.parametrize(
    ("jobs", "most", "sizes", "devices"),
    [
        (68, 2, (), 2),
        (1, 8, (), 1),
        # Two after another on each device: twelve do as sixteen would.
        (24, 16, (), 12),
        (5, 3, (), 3),
        (3, 8, (), 3),
        (68, 1, (), 1),
        (500, 400, (), 63),
        # Every chunk's size is a multiple.
        (24, 4, {6}, 3),
        (24, 4, {3}, 3),
        (24, 2, {3}, 1),
        (24, 8, {8, 12}, 4),
        (24, 8, {7}, 7),
    ],
)
def test_hand_worked_numbers(jobs, most, sizes, devices):
    assert cores.devices(jobs, most, sizes) == devices


@pytest.mark.parametrize("most", range(1, 20))
def test_fewer_devices_are_never_later(most):
    for jobs in range(1, 60):
        found = cores.devices(jobs, most)
        assert 1 <= found <= most
        assert -(-jobs // found) == -(-jobs // min(most, jobs))
        assert found == 1 or -(-jobs // (found - 1)) > -(-jobs // found)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "350000 100000\n"}, 3),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "9900000 100000\n"}, 8),
        ({"cpu.max": "nonsense"}, 8),
        # The process's own group, and the least of those above it.
        ({"slice/job/cpu.max": "200000 100000\n"}, 2),
        ({"slice/job/cpu.max": "600000 100000\n", "slice/cpu.max": "500000 100000\n"}, 5),
        ({"slice/other/cpu.max": "200000 100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        (
            {
                "cpu/jobs/one/cpu.cfs_quota_us": "300000\n",
                "cpu/jobs/one/cpu.cfs_period_us": "100000\n",
            },
            3,
        ),
    ],
)
def test_cores_are_those_that_the_control_groups_leave(monkeypatch, tmp_path, files, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    written = {f"sys/{name}": text for name, text in files.items()}
    written["proc/self/cgroup"] = "4:cpu,cpuacct:/jobs/one\n0::/slice/job\n"
    for name, text in written.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cores.usable(tmp_path / "proc", tmp_path / "sys") == expected


def test_without_control_groups_they_are_those_bound_to(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(3)))
    assert cores.usable(tmp_path / "proc", tmp_path / "sys") == 3
