"""Sums of a trace by room; on a card the events name the program's instructions."""

import gzip
import pathlib

import pytest

from experiments.measuring import traced

PROGRAMS = pathlib.Path(__file__).parents[1] / "weighing" / "programs"


def test_events_are_summed_by_the_room_of_their_instruction():
    rooms = {"fusion.1": "head", "dot.2": "head", "add.3": "optimizer"}
    events = [
        {"ph": "X", "name": "fusion_1", "dur": 2.0, "args": {"hlo_op": "fusion.1"}},
        {"ph": "X", "name": "dot.2", "dur": 3.0},
        {"ph": "X", "name": "k", "dur": 5.5, "args": {"hlo_op": "add.3", "hlo_module": "f"}},
        # No instruction of the program, another kind of event, and a name without time.
        {"ph": "X", "name": "cudaLaunchKernel", "dur": 70.0, "args": {}},
        {"ph": "M", "name": "fusion.1", "args": {"name": "thread"}},
        {"ph": "X", "name": "dot.2"},
    ]
    assert traced.summed(events, rooms) == {"head": pytest.approx(5.0), "optimizer": 5.5}


def test_rooms_of_a_compiled_program_leave_out_what_only_calls_others():
    text = gzip.decompress((PROGRAMS / "two_folds.hlo.gz").read_bytes()).decode()
    rooms = traced.rooms_of_text(text)
    assert {"optimizer", "head", "evaluation", "level 2: feed-forward"} <= set(rooms.values())
    assert not [name for name in rooms if name.startswith("while")]
