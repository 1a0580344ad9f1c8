"""The progress of a run: time left by hand, 80 columns, lines of a log, seconds of compiling."""

import io
import re
import time

import numpy as np
import pytest

from experiments.run.chunk import ChunkResult, empty_history
from experiments.schedule import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves when told."""

    class Clock:
        now = 100.0

    monkeypatch.setattr(progress.time, "monotonic", lambda: Clock.now)
    # tqdm has its own.
    monkeypatch.setattr("tqdm.std.time", lambda: Clock.now)
    return Clock


def lines(out: io.StringIO) -> list[str]:
    return [line for line in re.split(r"[\r\n]+", out.getvalue()) if line.strip()]


def trained(jobs: int, epochs: int, counts_KxK: np.ndarray | None = None) -> ChunkResult:
    """A chunk's history of loss 0.5; the counts are those of its last epoch, of all its jobs."""
    history = empty_history(jobs, 3)
    history.add_losses(np.full((jobs, epochs), 0.5, np.float32))
    if counts_KxK is not None:
        others = np.zeros((jobs - 1, 3, 3), np.int64)
        history.add_counts(epochs, np.concatenate([counts_KxK[None], others]))
    return ChunkResult(**vars(history))


def test_time_left_counts_training_alone(clock):
    # 8 folds of 10 epochs; 4 of them take 20 s, so the other 4 will.
    out = io.StringIO()
    bar = progress.Progress(8, 10, out=out)
    bar.stop_clock()
    clock.now += 300  # compiling
    bar.restart_clock()
    clock.now += 20
    bar.begin(0, 4)
    bar.advance(0, trained(4, 5))
    assert lines(out)[-1] == "folds 0/8, epoch 5/10: 25%, 01:00 left, loss 0.500"
    clock.now += 20
    bar.stop_clock()
    clock.now += 700  # compiling the prediction
    bar.advance(0, trained(4, 10))
    bar.finish(0, trained(4, 10))
    assert lines(out)[-1] == "folds 0/8, epoch 10/10: 50%, 00:40 left, loss 0.500"
    bar.close()
    assert lines(out)[-1] == "folds 4/8, epoch 10/10: 50%, 00:40 left, loss 0.500"


def test_resumed_folds_do_not_count_as_work_of_this_start(clock):
    out = io.StringIO()
    bar = progress.Progress(4, 10, done_jobs=2, out=out)
    bar.begin(0, 2, trained(2, 6))
    assert lines(out)[-1] == "folds 2/4, epoch 6/10: 80%, ? left"
    bar.restart_clock()
    clock.now += 30
    bar.advance(0, trained(2, 8))
    # 4 epochs of folds in 30 s, 4 are left.
    assert lines(out)[-1] == "folds 2/4, epoch 8/10: 90%, 00:30 left, loss 0.500"
    bar.close()


def test_a_log_gets_a_line_every_ten_seconds(clock):
    out = io.StringIO()
    bar = progress.Progress(1, 100, out=out)
    bar.restart_clock()
    bar.begin(0, 1)
    for epoch in range(1, 101):
        clock.now += 1
        bar.advance(0, trained(1, epoch))
    bar.close()
    told = [int(re.search(r"epoch (\d+)/100", line)[1]) for line in lines(out)]
    assert told == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]


def test_the_score_so_far_is_that_of_finished_folds_and_those_in_training(clock):
    out = io.StringIO()
    bar = progress.Progress(2, 4, out=out)
    bar.restart_clock()
    clock.now += 11
    bar.begin(0, 1)
    bar.finish(0, trained(1, 4, np.diag([2, 0, 0])))
    # UF1 over three classes of which one occurs and is always right.
    assert "UF1 0.333 so far" in lines(out)[-1]
    clock.now += 11
    # With those before, 3 of 3 negative and 1 of 2 positive right: F1 6/7, 2/3 and 0.
    counts = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]])
    bar.begin(1, 1)
    bar.advance(1, trained(1, 2, counts))
    expected = (2 * 3 / (2 * 3 + 1) + 2 * 1 / (2 * 1 + 1)) / 3
    assert f"UF1 {expected:.3f} so far" in lines(out)[-1]
    bar.close()


def test_a_terminal_of_80_columns_shows_the_whole_line(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = Terminal()
    bar = progress.Progress(1068, 800, out=out)
    bar.restart_clock()
    clock.now += 36_000
    bar.begin(0, 4)
    bar.advance(0, trained(4, 1, np.eye(3, dtype=int)))
    bar.note("a line of its own")
    bar.close()
    assert "a line of its own" in lines(out)
    drawn = [line for line in lines(out) if line.startswith("folds")]
    assert drawn
    assert all(len(line) <= 80 for line in drawn)
    shown = r"\|[ █▏▎▍▌▋▊▉#\d]+\| 0%, \d+:\d\d:\d\d left, loss 0\.500, UF1 1\.000 so far ?"
    assert re.fullmatch(rf"folds 0/1068 {shown}", drawn[-1])


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_compiling_says_so_and_counts_seconds(monkeypatch, kind):
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 0.5)
    monkeypatch.setattr(progress, "_REDRAWN_INTERVAL", 0.5)
    out = kind()
    with progress.waiting("compiling for 4 folds", out):
        time.sleep(1.3)
    told = lines(out)
    assert told[0].strip() in ("compiling for 4 folds", "compiling for 4 folds: 0 s")
    assert "compiling for 4 folds: 1 s" in told
    bar = progress.Progress(1, 1, out=out)
    with bar.waiting("compiling for 2 folds"):
        time.sleep(1.3)
    bar.close()
    assert any("compiling for 2 folds: 1 s" in line for line in lines(out))
    if kind is Terminal:
        # The bar has its own words back.
        assert lines(out)[-1].startswith("folds 0/1 |")
