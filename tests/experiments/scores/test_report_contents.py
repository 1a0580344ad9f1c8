"""What summary.md tells: chance, intervals, clips, order of databases, and how the run was made.

Modules tried here without being imported:
input_pipeline.core.invocation.
"""

import dataclasses
import itertools
import json
import re

import numpy as np
import pytest
import written_runs
from command_runner import run_command

from ahmsa_jax.metrics import (
    confusion_matrix,
    f1_per_class,
    pooled_scores,
    recall_per_class,
)
from experiments.scores import (
    chance,
    comparison_figure,
    comparison_rows,
    paired,
    reporting,
    tables,
)
from experiments.scores.summary import read_records
from input_pipeline.databases.names import in_order
from input_pipeline.databases.rows import ReadResult
from input_pipeline.reports import build_report

# Given out of order; smic/s01 is right once of three times, all others always.
ANSWERS = {
    "own/p1": ((0,), (0,)),
    "casme3/spNO.1": ((0, 0), (0, 0)),
    "smic/s01": ((0, 1, 2), (0, 0, 0)),
    "samm/006": ((2,), (2,)),
    "casme2/sub01": ((1, 0), (1, 0)),
}


def test_guessing_is_the_mean_over_all_answers():
    # Three clips: all 27 answers can be listed.
    truth = np.array([0, 0, 1])
    every = [
        pooled_scores(confusion_matrix(truth, np.array(answers), 3))
        for answers in itertools.product(range(3), repeat=3)
    ]
    found = chance.guessing(np.array([2, 1, 0]))
    for name in ("uf1", "uar", "accuracy"):
        expected = np.mean([getattr(scores, name) for scores in every])
        assert getattr(found, name) == pytest.approx(expected, abs=1e-12), name
    assert found.n == 3


def test_guessing_by_hand():
    # One clip of two classes each: F1 is 2/2 p n / (n + p) with p of 0, 1, 2 at 4/9, 4/9, 1/9.
    found = chance.guessing(np.array([1, 1, 0]))
    assert found.uf1 == pytest.approx(2 * (4 / 9 / 2 + 1 / 9 * 2 / 3) / 3, abs=1e-12)
    assert found.uar == pytest.approx(2 / 9, abs=1e-12)
    assert chance.guessing(np.array([250, 109, 83])).uar == pytest.approx(1 / 3, abs=1e-12)
    assert chance.guessing(np.zeros(3, int)).n == 0


def test_always_the_largest_class_by_hand():
    found = chance.majority(np.array([1, 6, 3]))
    # Recall 1 of one class; precision 6 / 10, so F1 is 12 / 16.
    assert (found.uf1, found.uar, found.accuracy) == (0.25, pytest.approx(1 / 3), 0.6)


def test_the_interval_of_a_score_is_that_of_all_draws():
    """Three subjects: all 27 equally likely draws can be listed."""
    counts = np.random.default_rng(1).integers(0, 4, (3, 2, 3, 3))
    draws = np.stack(np.meshgrid(*[range(3)] * 3), axis=-1).reshape(-1, 3)
    for score, name in ((f1_per_class, "uf1"), (recall_per_class, "uar")):
        every = [
            np.mean([getattr(pooled_scores(one), name) for one in counts[draw].sum(axis=0)])
            for draw in draws
        ]
        found = paired.score_interval(counts, score, draws=40_000)
        expected = np.percentile(np.repeat(every, 1000), paired.INTERVAL)
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_words_stand_to_the_left_numbers_to_the_right_and_empty_columns_nowhere():
    rows = [
        ["method", "UF1", "difference", "UAR / one-sided", "optimistic", "source"],
        ["svm", "0.75 to 0.80", "-0.1", "", "", "a long sentence"],
        ["network", "0.7", "+0.25", "-", "", "HTNet"],
    ]
    assert reporting.aligned(rows).splitlines() == [
        "method            UF1  difference  UAR / one-sided  source",
        "svm      0.75 to 0.80        -0.1                   a long sentence",
        "network           0.7       +0.25                -  HTNet",
    ]


def test_the_order_of_databases():
    names = ["own", "casme3", "smic", "another", "samm", "casme2", "samm"]
    assert in_order(names) == ["casme2", "samm", "smic", "casme3", "another", "own"]


def report(workdir, *arguments):
    finished = run_command("experiments.report", f"--workdir={workdir}", *arguments)
    assert finished.status == 0, finished.err
    return finished


def rows_of(text, title):
    section = text.split(f"## {title}")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_a_summary_stands_alone(tmp_path):
    run = written_runs.write(tmp_path / "run", [ANSWERS, ANSWERS], earlier=ANSWERS)
    noted = {
        "command": "python -m experiments.loso --dataset='a|b'",
        "started": "2026-11-21T10:00:00+00:00",
        "devices": ["gpu: H100", "gpu: H100"],
        "python": "3.11.9",
        "packages": {"jax": "0.7.1", "optax": None},
        "commit": "0123456789ab",
    }
    (run / "environment.json").write_text(json.dumps(noted))
    output = tmp_path / "elsewhere"
    report(run, f"--output={output}")
    text = (output / "summary.md").read_text()
    facts = dict(row for row in re.findall(r"^\| (.*?) \| (.*) \|$", text.split("## ")[-1], re.M))
    assert facts["command"] == r"python -m experiments.loso --dataset='a\|b'"
    assert facts["started"] == noted["started"]
    assert facts["device"] == "2 x gpu: H100"
    assert facts["versions"] == "Python 3.11.9, jax 0.7.1"
    assert facts["commit"] == noted["commit"]
    assert facts["data, content hash"] == "0" * 64
    for name in ("confusion_matrix", "curves", "subjects"):
        assert f"]({name}.png)" in text
        assert (output / f"{name}.png").is_file()
    scores = {row[0]: row[1:] for row in rows_of(text, "PRETEND data: Scores")}
    order = ["CASME II", "SAMM", "SMIC", "CAS(ME)^3", "own"]
    assert [name for name in scores if name in order] == order
    # Nine clips, five of them of class 0: 5 / 9 right, F1 2 * 5 / (5 + 9).
    always = scores["always negative, the largest class"]
    assert (always[0], always[4], always[5]) == (f"{10 / 14 / 3:.4f}", "0.5556", "9")
    assert scores["guessing, on average"][2] == "0.3333"
    # Databases of one subject each leave nothing to draw.
    for name in ("SMIC", "all clips, last epoch"):
        assert (scores[name][1], scores[name][3]) == ("", "")
    clips = {row[0]: row[1:] for row in rows_of(text, "PRETEND data: Clips")}
    assert list(clips) == [*order, "all clips"]
    assert clips["SMIC"] == ["1", "1", "1", "1", "3"]
    assert clips["all clips"] == ["5", "5", "2", "2", "9"]
    first = [row[0].split("/")[0] for row in rows_of(text, "PRETEND data: Subjects")]
    assert first == order
    # Programs read the names as stored.
    names = [line.split(",")[0] for line in (output / "scores.csv").read_text().splitlines()]
    assert names[2:7] == ["casme2", "samm", "smic", "casme3", "own"]


@pytest.mark.parametrize("content", [None, "{", "[]", '{"packages": 3, "devices": "gpu"}'])
def test_runs_that_noted_less_are_reported(tmp_path, content):
    run = written_runs.write(tmp_path / "run", [ANSWERS])
    if content is not None:
        (run / "environment.json").write_text(content)
    text = tables.facts_table(read_records([run])).markdown()
    for what in ("command", "started", "device", "versions", "commit"):
        assert f"| {what} | not recorded |" in text


def test_a_rule_of_selection_that_is_not_known_here_keeps_its_name(tmp_path):
    run = written_runs.write(tmp_path / "run", [ANSWERS], dataset="megc2019", pretend=False)
    records = read_records([run])
    records = dataclasses.replace(records, spec=dataclasses.replace(records.spec, select="median"))
    assert tables.epoch_rule(records) == "median"
    row = comparison_rows.our_row("run", records)
    assert row.selection == "median"
    assert len(comparison_figure.draw([row]).axes) == 1


def test_two_reports_of_a_run_are_the_same(tmp_path):
    run = written_runs.write(tmp_path / "run", [ANSWERS])
    for name in ("one", "two"):
        report(run, f"--output={tmp_path / name}")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(names) > 5
    for name in names:
        same = (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        assert same, name


def test_a_build_report_has_its_command_and_date(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["x", "--dataset=smic", "--raw_dir=a b|c"])
    path = build_report.write_report(tmp_path, "Build", ReadResult(), [], [], {})
    text = path.read_text()
    (command,) = re.findall(r"^\| command \| (.*) \|$", text, re.M)
    assert command.endswith(r"--dataset=smic '--raw_dir=a b\|c'")
    assert re.search(r"^\| date \| 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d&?.*\|$", text, re.M)
