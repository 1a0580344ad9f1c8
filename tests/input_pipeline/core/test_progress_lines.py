"""Progress of a build and an import: lines in a file, one redrawn bar on a terminal."""

import io
import re
import sys

import pretend_maps
import pytest

from input_pipeline.core import progress_lines
from input_pipeline.flow import workers as clip_workers
from input_pipeline.flow.clip_maps import MapSettings
from input_pipeline.flow.workers import Outcome
from input_pipeline.maps import published

LINE = r"{}: (\d+)/{} done, \d\d:\d\d so far, \d\d:\d\d left"


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    """Seconds that pass when something is done."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr("tqdm.std.time", lambda: self.now)

    def work(self, items, seconds):
        for item in items:
            self.now += seconds
            yield item


def test_in_a_file_a_line_every_ten_seconds_with_the_time_left(monkeypatch):
    clock, out = Clock(monkeypatch), io.StringIO()
    items = progress_lines.over(range(100), "clips", out)
    for _ in clock.work(items, 2.5):
        pass
    lines = out.getvalue().splitlines()
    assert "\r" not in out.getvalue()
    # Four of 2.5 s each; 96 are left.
    assert lines[0] == "clips: 4/100 done, 00:10 so far, 04:00 left"
    assert lines[1] == "clips: 8/100 done, 00:20 so far, 03:50 left"
    assert lines[-1] == "clips: 100/100 done, 04:10 so far, 00:00 left"
    assert len(lines) == 25


def test_what_takes_less_than_ten_seconds_says_nothing_in_a_file(monkeypatch):
    clock, out = Clock(monkeypatch), io.StringIO()
    assert list(clock.work(progress_lines.over(range(5), "maps", out), 1.0)) == [0, 1, 2, 3, 4]
    assert out.getvalue() == ""


def test_on_a_terminal_one_bar_is_redrawn_and_taken_away(monkeypatch):
    clock, out = Clock(monkeypatch), Terminal()
    for _ in clock.work(progress_lines.over(range(8), "clips", out), 1.0):
        pass
    text = out.getvalue()
    assert "\n" not in text
    assert re.search(r"\rclips:  50%\|.*\| 4/8, 00:04 so far, 00:04 left", text)
    assert text.rsplit("\r", 2)[1].strip() == ""


@pytest.mark.parametrize(("terminal", "drawn"), [(True, "err"), (False, "out")])
def test_where_they_go(monkeypatch, terminal, drawn):
    streams = {"out": io.StringIO(), "err": Terminal() if terminal else io.StringIO()}
    monkeypatch.setattr(sys, "stdout", streams["out"])
    monkeypatch.setattr(sys, "stderr", streams["err"])
    clock = Clock(monkeypatch)
    for _ in clock.work(progress_lines.over(range(3), "clips"), 11.0):
        pass
    assert [name for name, stream in streams.items() if stream.getvalue()] == [drawn]


@pytest.fixture
def _at_once(monkeypatch):
    monkeypatch.setattr(progress_lines, "PLAIN_INTERVAL", 0.0)


@pytest.mark.usefixtures("_at_once")
def test_a_build_writes_them(monkeypatch, capsys):
    class Record:
        def __init__(self, key):
            self.key = key

    records = [Record(f"casme2/sub01/EP{n}") for n in range(3)]

    def done(records, work, workers):
        return iter([Outcome(record.key) for record in records])

    monkeypatch.setattr(clip_workers, "_together", done)
    assert len(clip_workers.run(records, MapSettings(), None, 1)) == 3
    counted = re.findall(LINE.format("clips", 3), capsys.readouterr().out)
    assert counted[-3:] == ["1", "2", "3"]


@pytest.mark.usefixtures("_at_once")
@pytest.mark.parametrize("form", ["table", "split"])
def test_an_import_writes_them(tmp_path, capsys, form):
    if form == "table":
        pretend_maps.write_table(tmp_path)
    else:
        pretend_maps.write_split(tmp_path)
    published.read_maps(tmp_path, "megc2019", "five")
    out = capsys.readouterr().out
    first = ("maps", 8) if form == "table" else ("folds", 5)
    assert re.findall(LINE.format(*first), out)[-1] == str(first[1])
    assert re.findall(LINE.format("regions", 8), out)[-1] == "8"
