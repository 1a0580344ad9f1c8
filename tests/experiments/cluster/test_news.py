"""News of workers as the driver hears them, without a cluster: parts, losses, late arrivals.

Modules tried here without Ray: experiments.cluster.tasks, experiments.cluster.executor.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from experiments.cluster import tasks
from experiments.cluster.executor import ClusterExecutor
from experiments.run.chunk import empty_history
from experiments.schedule.interruption import Interruption
from experiments.schedule.progress import Report


class Heard(Report):
    def __init__(self):
        self.lines = []

    def note(self, text):
        self.lines.append(("note", text))

    def begin(self, number, jobs, history=None):
        self.lines.append(("begin", number, jobs))

    def advance(self, number, history):
        counts = history.latest_counts()
        self.lines.append(("advance", number, history.epoch, counts is not None and counts.sum()))

    def give_up(self, number):
        self.lines.append(("give_up", number))


@pytest.fixture
def board():
    """A worker's board that needs no Ray."""
    found = tasks.Board()
    return SimpleNamespace(tell=SimpleNamespace(remote=found.tell), take=found.take)


@pytest.fixture
def driver():
    training = SimpleNamespace(epochs=12)
    needs = SimpleNamespace(train_config=training, work=None, cluster=None)
    return ClusterExecutor(needs, Interruption("tried"))


def trained(board, monkeypatch, epochs):
    """What a worker tells that advances one epoch a time and evaluates every second."""
    monkeypatch.setattr(tasks, "_TELL_SECONDS", 0.0)
    reporter = tasks._Reporter(board, 3)
    history = empty_history(2, 3)
    reporter.begin(7, 2)
    for epoch in range(1, epochs + 1):
        history.add_losses(np.full((2, 1), epoch, np.float32))
        if epoch % 2 == 0:
            history.add_counts(epoch, np.full((2, 3, 3), epoch))
        reporter.advance(7, history)
    return board.take()


def hear(driver, news):
    heard = Heard()
    for one in news:
        driver._hear(one, heard)
    return heard.lines


def test_parts_become_the_whole_history(driver, board, monkeypatch):
    lines = hear(driver, trained(board, monkeypatch, 4))
    # 18 counts each of the latest evaluated epoch.
    assert lines == [
        ("begin", 7, 2),
        ("advance", 7, 1, False),
        ("advance", 7, 2, 36),
        ("advance", 7, 3, 36),
        ("advance", 7, 4, 72),
    ]
    np.testing.assert_array_equal(driver._heard[7].loss_SxE, [[1, 2, 3, 4]] * 2)
    assert driver._heard[7].evaluated_V.tolist() == [2, 4]


def test_a_chunk_that_begins_again_is_given_up_and_late_news_are_not_counted(
    driver, board, monkeypatch
):
    first, second = (trained(board, monkeypatch, epochs) for epochs in (3, 2))
    *told, late = first
    lines = hear(driver, [*told, *second[:2], late, *second[2:]])
    kinds = [line[0] for line in lines]
    again = ["give_up", "note", "begin", "advance", "advance"]
    assert kinds == ["begin", "advance", "advance", *again]
    assert "at epoch 2 and is trained again" in lines[4][1]
    assert driver._heard[7].epoch == 2
