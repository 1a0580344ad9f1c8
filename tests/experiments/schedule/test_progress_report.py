"""progress.jsonl as a run writes it: what it says, how often, and faults of the disk."""

import errno
import json

import numpy as np
import pytest

from ahmsa_jax.training.protocols import EpochShape, Job, loso_folds
from experiments.files import progress_file
from experiments.run.chunk import ChunkResult, Plan, empty_history
from experiments.schedule import plan as planning
from experiments.schedule import progress_lines

SHAPE = EpochShape(1, 8, 8)
FOLDS = loso_folds(["lab/a", "lab/b", "lab/c"])
JOBS = [Job(seed, fold) for seed in (0, 1) for fold in FOLDS]
SHAPES = {fold.key: SHAPE for fold in FOLDS}
# Two chunks of three jobs, one a seed.
PLAN = Plan(planning.make_plan(JOBS, SHAPES, {SHAPE: 3}, 1))


def history(epochs, loss=0.5, evaluated=None):
    found = empty_history(3, 3)
    found.add_losses(np.full((3, epochs), loss, np.float32))
    if evaluated:
        found.add_counts(evaluated, np.stack([np.eye(3, dtype=np.int64)] * 3))
    return ChunkResult(**vars(found))


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

    monkeypatch.setattr(progress_lines.time, "monotonic", lambda: Clock.now)
    return Clock


@pytest.fixture
def said():
    return []


@pytest.fixture
def lines(clock, tmp_path, said):
    found = progress_lines.ProgressLines(tmp_path, PLAN, 10, said.append)
    yield found
    found.close()


def told(folder):
    text = (folder / progress_file.FILE).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_it_begins_with_what_is_trained(tmp_path, lines):
    (first,) = told(tmp_path)
    assert (first["event"], first["epochs"]) == ("start", 10)
    assert first["chunks"]["1"] == [[1, "lab/a"], [1, "lab/b"], [1, "lab/c"]]


def test_it_is_written_once_a_second_at_most_with_the_latest(tmp_path, lines, clock):
    lines.begin(0, 3)
    for epoch in range(1, 9):
        clock.now += 0.3
        lines.advance(0, history(epoch))
    # At 1.2 s with epoch 4, and at 2.4 s with epoch 8.
    assert [line.get("epoch") for line in told(tmp_path)] == [None, 0, 4, 8]
    # After an hour every 1.8 s.
    clock.now += 3600
    lines.advance(0, history(9))
    clock.now += 1.7
    lines.advance(0, history(10))
    assert told(tmp_path)[-1]["epoch"] == 9
    clock.now += 0.2
    lines.advance(0, history(10))
    assert told(tmp_path)[-1]["epoch"] == 10


def test_losses_and_held_out_counts_of_a_chunk(tmp_path, lines, clock):
    diverged = history(5, evaluated=4)
    diverged.loss_SxE[:, -1] = 0.25, 0.75, np.nan
    lines.begin(0, 3)
    clock.now += 1
    lines.advance(0, diverged)
    line = told(tmp_path)[-1]
    assert (line["chunk"], line["epoch"], line["evaluated"]) == (0, 5, 4)
    # The mean is over those that are numbers.
    assert (line["loss"], line["losses"]) == (0.5, [0.25, 0.75, None])
    assert line["confusion"] == (3 * np.eye(3, dtype=int)).tolist()


def test_time_left_is_that_of_training_alone(tmp_path, lines, clock):
    # Half of all was done by an earlier start.
    lines.add(1, history(10, evaluated=10))
    clock.now += 300  # compiling
    lines.restart_clock()
    lines.begin(0, 3, history(2))
    clock.now += 8
    lines.advance(0, history(6))
    # 4 of the 8 missing epochs took 8 s.
    assert told(tmp_path)[-1]["left"] == 8.0
    found = progress_file.read(tmp_path)
    assert found.trained == 3 * 10 + 3 * 6
    assert found.finished_jobs == 3


def test_waiting_and_the_end_are_said_at_once(tmp_path, lines):
    with lines.waiting("compiling for 3 folds"):
        assert told(tmp_path)[-1]["text"] == "compiling for 3 folds"
    lines.close()
    assert progress_file.read(tmp_path).stopped


def test_a_chunk_given_up_and_other_chunks_in_its_place(tmp_path, lines, clock):
    lines.begin(0, 3)
    lines.advance(0, history(6))
    lines.give_up(0)
    smaller = planning.halved(PLAN, 0, {1}, 1, "full")
    lines.planned(smaller)
    clock.now += 1
    lines.begin(2, 2)
    found = progress_file.read(tmp_path)
    assert {number: chunk.jobs for number, chunk in found.chunks.items()} == {1: 3, 2: 2, 3: 1}
    assert found.trained == 0


def test_a_finished_run_leaves_nothing(tmp_path, lines):
    lines.complete()
    lines.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_once_and_ends_nothing(tmp_path, lines, clock, said, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(progress_file.Writer, "append", full)
    for epoch in range(1, 5):
        clock.now += 2
        lines.advance(0, history(epoch))
    lines.finish(0, history(10))
    lines.complete()
    lines.close()
    (line,) = said
    assert "progress.jsonl' cannot be written (No space left on device); training goes on" in line


def test_a_folder_in_its_place_is_said_and_stays(tmp_path, said):
    (tmp_path / progress_file.FILE).mkdir()
    lines = progress_lines.ProgressLines(tmp_path, PLAN, 10, said.append)
    lines.begin(0, 3)
    lines.complete()
    lines.close()
    assert len(said) == 1
    assert (tmp_path / progress_file.FILE).is_dir()
