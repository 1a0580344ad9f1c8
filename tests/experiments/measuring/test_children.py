"""Processes of parts: their results, their last words, and their end at the deadline."""

import os
import time

import pytest

from experiments.measuring.children import Children, PartError, TimeOverError


def children(folder, seconds=60.0):
    return Children(folder, time.monotonic() + seconds, {"A_VARIABLE_OF_PARTS": "yes"})


def facts(first, second):
    return {"sum": first + second, "variable": os.environ["A_VARIABLE_OF_PARTS"]}


def failing():
    raise ValueError("no card is here")


def sleeping(file):
    with open(file, "w") as marker:
        marker.write(str(os.getpid()))
    time.sleep(600)


def test_facts_come_back_from_a_process_with_the_parts_variables(tmp_path):
    assert children(tmp_path).facts_of(facts, 2, 3) == {"sum": 5, "variable": "yes"}
    assert "A_VARIABLE_OF_PARTS" not in os.environ


def test_a_failure_brings_what_was_said(tmp_path):
    with pytest.raises(PartError, match=r"(?s)left with 1: .*no card is here"):
        children(tmp_path).facts_of(failing)


def test_a_command_is_run_as_a_users(tmp_path):
    with pytest.raises(PartError, match=r"(?s)left with 2: .*--workdir is missing"):
        children(tmp_path).command("experiments.report", [])
    seconds, log = children(tmp_path).command("experiments.report", ["--help"])
    assert seconds > 0
    assert "--workdir" in log


def test_a_process_is_ended_at_the_deadline(tmp_path):
    marker = tmp_path / "pid"
    with pytest.raises(TimeOverError):
        children(tmp_path, seconds=3.0).facts_of(sleeping, str(marker))
    with pytest.raises(ProcessLookupError):
        os.kill(int(marker.read_text()), 0)
