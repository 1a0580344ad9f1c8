"""The page: as the kept runs give it, every figure of ours marked, gaps named.

Modules tried here without being imported:
experiments.recording.pictures, experiments.recording.tables.
"""

import re

import pytest

from ahmsa_jax.config import ConfigError
from experiments import record
from experiments.recording import jitter, kept, page, scored_runs, tables
from experiments.recording.rows import DEVELOPED_HERE, METHODS, NOT_MEASURED, ROWS


def test_the_page_is_what_the_kept_runs_give():
    runs = kept.read_all(ROWS, record.KEPT)
    text = page.text(runs, jitter.read(record.KEPT), record.KEPT)
    shown = (record.DOCS / page.PAGE).read_text(encoding="utf-8")
    assert shown == text, "run python -m experiments.record"
    for picture in re.findall(r"\]\((record/\w+\.png)\)", text):
        assert (record.DOCS / picture).is_file()


def test_every_figure_of_ours_is_marked():
    text = (record.DOCS / page.PAGE).read_text(encoding="utf-8")
    figures = [
        line
        for line in text.partition("## Commands")[0].splitlines()
        if line.startswith("|") and re.search(r"recipe ours|svm_maps|kernel_flow", line)
    ]
    controls = text.partition("## Control")[2].partition("## ")[0].splitlines()
    for line in set(figures) - set(controls):
        assert DEVELOPED_HERE in line or "PRETEND" in text.partition(line)[0].rpartition("## ")[2]
    assert len(figures) > 10


def test_no_path_of_a_machine_stands_in_what_is_kept():
    for path in record.KEPT.rglob("*"):
        if path.suffix in (".csv", ".json"):
            assert not re.search(r"(?<![\w.])/(tmp|home|work|root)\b", path.read_text("utf-8")), (
                path
            )


def test_an_empty_record_says_what_is_not_measured(tmp_path):
    (tmp_path / "kept").mkdir()
    path = page.write(tmp_path / "kept", tmp_path)
    text = path.read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if NOT_MEASURED in line]
    assert len(rows) > len(METHODS)
    assert "Hard clips: not counted yet" in text
    assert "Moved frames of held-out clips: not measured" in text
    assert {picture.name for picture in (tmp_path / "record").iterdir()} == {
        "overview.png",
        "learning_curve.png",
    }


@pytest.mark.parametrize(
    ("seconds", "words"), [(7.4, "7 s"), (99.4, "99 s"), (101, "2 min"), (6_000, "1 h 40 min")]
)
def test_times_in_words(seconds, words):
    assert tables.in_time(seconds) == words


def test_the_list_of_scored_runs(tmp_path):
    assert scored_runs.read(tmp_path) == []
    path = tmp_path / scored_runs.FILE
    path.write_text("date,what,uf1,uar,remark\n2026-11-29,a run,0.5,0.6,\n", encoding="utf-8")
    assert scored_runs.table(tmp_path).rows == [("2026-11-29", "a run", "0.5", "0.6", "")]
    for text in ("date,what\n", "date,what,uf1,uar,remark\n1,2\n"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match="damaged"):
            scored_runs.read(tmp_path)
