"""Which signals end a command, when they come, and which stay ignored."""

import os
import signal
import subprocess
import sys

import pytest
from command_runner import ROOT

from experiments.schedule.interruption import Interruption
from input_pipeline.core.command import StoppedError

# A signal while Python collects garbage, whose callbacks cannot pass an exception on.
IN_GARBAGE_COLLECTION = """
import gc, os, signal, time
from experiments.schedule.interruption import Interruption
from input_pipeline.core import command

# Started in the background, the tests ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)

def send(phase, _):
    if phase == "start":
        gc.callbacks.clear()
        os.kill(os.getpid(), signal.{name})

def main():
    with Interruption("experiments.tried"):
        gc.callbacks.append(send)
        gc.collect()
        time.sleep(60)
    return 0

command.run(main, name="experiments.tried", purpose="Nothing.")
"""


@pytest.fixture(autouse=True)
def heeded():
    """No signal is ignored, however the tests were started."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    usual[signal.SIGHUP] = signal.SIG_DFL
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "word"),
    [(signal.SIGTERM, "SIGTERM"), (signal.SIGHUP, "SIGHUP"), (signal.SIGINT, "Ctrl-C")],
)
def test_each_signal_stops_with_its_own_status(number, word):
    before = signal.getsignal(number)
    with pytest.raises(StoppedError, match=f"stopped by {word}") as stop, Interruption("tried"):
        signal.raise_signal(number)
    assert stop.value.status == 128 + number
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_a_signal_ignored_from_the_start_stays_ignored(number):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with Interruption("tried") as interruption:
            signal.raise_signal(number)
            assert not interruption.requested
            # The others are heeded all the same.
            with pytest.raises(StoppedError):
                signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_sighup_lets_the_work_save_first():
    saved = []

    def work():
        os.kill(os.getpid(), signal.SIGHUP)
        while not interruption.requested:
            signal.sigtimedwait([], 0.01)
        saved.append(True)
        raise interruption.stopped()

    with Interruption("tried") as interruption:
        interruption.can_save = True
        with pytest.raises(StoppedError, match="SIGHUP"):
            interruption.run(work)
    assert saved


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_inside_garbage_collection_is_not_lost(name, status):
    done = subprocess.run(
        [sys.executable, "-c", IN_GARBAGE_COLLECTION.format(name=name)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == status, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("experiments.tried: stopped by ")
