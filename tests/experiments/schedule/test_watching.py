"""What is said once reaches all who listen, and a History sent in parts is the same history.

Modules tried here without being imported: experiments.schedule.pace (test_progress).
"""

import contextlib
import inspect
import io

import numpy as np

from experiments.files import event_files, progress_file
from experiments.run.chunk import Plan, empty_history
from experiments.schedule import watching
from experiments.schedule.progress import Progress, Report


class Listener(Report):
    """Writes down what it is told."""

    def __init__(self, heard):
        for name, _ in inspect.getmembers(Report, inspect.isfunction):
            if name != "waiting":
                setattr(self, name, lambda *words, name=name: heard.append((name, *words)))
        self._heard = heard

    @contextlib.contextmanager
    def waiting(self, text):
        self._heard.append(("waits", text))
        yield
        self._heard.append(("waited", text))


def test_every_word_reaches_every_listener():
    heard = [], []
    reports = watching.Reports(*map(Listener, heard))
    words = {"text": "words", "number": 3, "jobs": 2, "history": "history"}
    words |= {"plan": "plan", "result": "result"}
    said = []
    for name, method in inspect.getmembers(Report, inspect.isfunction):
        arguments = [words[part] for part in list(inspect.signature(method).parameters)[1:]]
        if name == "waiting":
            with reports.waiting(*arguments):
                said.append(("waits", *arguments))
            said.append(("waited", *arguments))
        else:
            getattr(reports, name)(*arguments)
            said.append((name, *arguments))
    assert heard == (said, said)
    assert len(said) == 13


def test_event_files_are_kept_only_where_asked_for(tmp_path):
    for asked in (False, True):
        shown = Progress(1, 1, out=io.StringIO())
        watching.watched(shown, tmp_path, Plan(()), 1, tensorboard=asked).close()
        assert (tmp_path / progress_file.FILE).exists()
        assert event_files.are_there(tmp_path) == asked


def test_a_history_in_parts_is_the_whole():
    rng = np.random.default_rng(1)
    whole, grown = empty_history(2, 3), empty_history(2, 3)
    for epochs in (1, 4, 2):
        before = whole.epoch
        whole.add_losses(rng.uniform(size=(2, epochs)).astype(np.float32))
        for epoch in range(before + 1, whole.epoch + 1, 2):
            whole.add_counts(epoch, rng.integers(0, 9, (2, 3, 3)))
        whole.seconds += 1.5
        grown.extend(whole.since(before))
    assert grown.epoch == 7
    for name, value in vars(whole).items():
        np.testing.assert_array_equal(getattr(grown, name), value)
