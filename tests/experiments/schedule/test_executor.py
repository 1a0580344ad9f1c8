"""The loop over chunks with an executor that trains nothing: resuming, halving, stopping."""

import json

import numpy as np
import pytest

from ahmsa_jax.training.protocols import EpochShape, Job, loso_folds
from experiments.files import chunks
from experiments.run.chunk import ChunkResult, OutOfMemory, Plan, empty_history
from experiments.schedule import executor, plan
from experiments.schedule.interruption import Interruption
from input_pipeline.core.command import StoppedError

SHAPE = EpochShape(1, 8, 8)
JOBS = [Job(0, fold) for fold in loso_folds([f"lab/{name}" for name in "abcdef"])]
SHAPES = {job.fold.key: SHAPE for job in JOBS}


def result_of(chunk):
    history = empty_history(len(chunk.jobs), 3)
    history.add_losses(np.ones((len(chunk.jobs), 2), np.float32))
    history.add_counts(2, np.stack([np.eye(3, dtype=np.int64)] * len(chunk.jobs)))
    probability = [np.full((1, 3), 1 / 3, np.float32) for _ in chunk.jobs]
    return ChunkResult(**vars(history), probability=probability)


class Pretender:
    """Trains nothing; chunks with more places than `most` do not fit."""

    epochs, lanes = 2, 1

    def __init__(self, most=6, side_by_side=False, after=lambda chunk: None):
        self.most, self.side_by_side, self.after = most, side_by_side, after
        self.begun, self.closed = [], False
        self._waiting = []

    def outcomes(self, chunks, report):
        new = [chunk for chunk in chunks if chunk.number not in self.begun]
        for chunk in new if self.side_by_side else []:
            self.begun.append(chunk.number)
            report.begin(chunk.number, len(chunk.jobs))
            self._waiting.append(chunk)
        while waiting := self._waiting if self.side_by_side else new:
            chunk = waiting.pop(0)
            if not self.side_by_side:
                self.begun.append(chunk.number)
                report.begin(chunk.number, len(chunk.jobs))
            self.after(chunk)
            yield chunk, OutOfMemory("full") if chunk.size > self.most else result_of(chunk)

    def running(self):
        return [chunk.number for chunk in self._waiting]

    def close(self):
        self.closed = True


def planned(size):
    return Plan(plan.make_plan(JOBS, SHAPES, {SHAPE: size}, 1))


def train(pretender, workdir, size=3, stored=None, interruption=None):
    workdir.mkdir(exist_ok=True)
    found = executor.results(
        pretender, planned(size), stored or {}, workdir, interruption or Interruption("tried")
    )
    return [(chunk.number, [job.fold.key for job in chunk.jobs]) for chunk, _ in found]


def test_every_chunk_is_on_the_disk_and_the_executor_closed(tmp_path):
    pretender = Pretender()
    assert [number for number, _ in train(pretender, tmp_path)] == [0, 1]
    assert set(chunks.load_all(tmp_path, planned(3).chunks)) == {0, 1}
    assert pretender.closed


def test_stored_chunks_come_first_and_are_not_trained_again(tmp_path, capsys):
    stored = {1: result_of(planned(3).chunks[1])}
    pretender = Pretender()
    assert [number for number, _ in train(pretender, tmp_path, stored=stored)] == [1, 0]
    assert pretender.begun == [0]
    assert "resuming: 3 folds are finished already" in capsys.readouterr().out


@pytest.mark.parametrize("side_by_side", [False, True])
def test_what_does_not_fit_is_halved_and_every_fold_trained_once(tmp_path, side_by_side):
    pretender = Pretender(most=2, side_by_side=side_by_side)
    found = train(pretender, tmp_path)
    assert sorted(key for _, keys in found for key in keys) == sorted(SHAPES)
    stored = json.loads((tmp_path / plan.PLAN_FILE).read_text(encoding="utf-8"))
    # Alone, the chunks behind the one that failed would fail as well; side by side each may fit.
    assert len(stored["halvings"]) == (2 if side_by_side else 1)
    assert all(chunk["size"] <= 2 for chunk in stored["chunks"])
    assert pretender.closed


def test_a_signal_ends_the_loop_with_what_is_finished(tmp_path):
    interruption = Interruption("tried")

    def ask(chunk):
        interruption.requested = True

    pretender = Pretender(after=ask)
    with pytest.raises(StoppedError, match="3 of 6 folds are finished; the same command"):
        train(pretender, tmp_path, interruption=interruption)
    assert pretender.begun == [0]
    assert pretender.closed
    assert set(chunks.load_all(tmp_path, planned(3).chunks)) == {0}
