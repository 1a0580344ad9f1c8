"""What choosing among candidates is worth, from files written by hand."""

import dataclasses

import numpy as np
import pytest
import written_runs

from ahmsa_jax.metrics import pooled_scores
from experiments.files.candidate_files import LAST, PICKED
from experiments.run.chunk import Choice
from experiments.scores import candidates
from experiments.scores.summary import read_records

LINES = ("--epochs=4", "")
ANSWERS = {"lab/a": ((0, 1, 2), (0, 1, 1)), "lab/b": ((0, 1, 2), (0, 2, 2))}
# Of the nested choice 4 of 6 clips are right; of the second candidate 5.
FIRST = np.array([[2, 0, 0], [0, 1, 1], [0, 1, 1]])
SECOND = np.array([[2, 0, 0], [0, 2, 0], [0, 1, 1]])
BEST = np.diag([2, 2, 2])


@pytest.fixture
def records(tmp_path):
    found = read_records([written_runs.write(tmp_path / "run", [ANSWERS])])
    choices = [Choice(4, LINES[0], -0.5), Choice(2, LINES[1], -0.4)]
    return dataclasses.replace(
        found,
        spec=dataclasses.replace(found.spec, select="inner", candidates=LINES),
        folds=[
            dataclasses.replace(fold, choice=choice)
            for fold, choice in zip(found.folds, choices, strict=True)
        ],
        candidates={(0, LAST, 0): FIRST, (1, LAST, 0): SECOND, (1, PICKED, 0): BEST},
    )


def test_every_figure_stands_under_its_name(records):
    table = candidates.table(records)
    rows = {row[0]: row[1:] for row in table.rows}
    nested, second = pooled_scores(FIRST), pooled_scores(SECOND)
    assert rows["nested: chosen by the training subjects"][0] == f"{nested.uf1:.4f}"
    assert rows["last epoch: --epochs=4"] == (f"{nested.uf1:.4f}", f"{nested.uar:.4f}", "", "1")
    # The line without flags is the settings given; its best epoch on test gets all clips right.
    assert rows["last epoch: the settings given"][2:] == ("1.0000", "1")
    best = rows["best of the 2 candidates by held-out score (no result)"]
    assert best[0] == f"{second.uf1:.4f}"
    inflation = rows["its inflation over the nested figure"][0]
    assert inflation == f"{second.uf1 - nested.uf1:+.4f}"
    found = candidates.best_on_test(records)
    assert found["candidate"] == "the settings given"
    assert found["inflation"]["uar"] == pytest.approx(second.uar - nested.uar)


def test_the_picture_counts_the_folds_of_each_candidate_and_length(records):
    (axis,) = candidates.draw(records).axes
    assert [text.get_text() for text in axis.get_yticklabels()] == [LINES[0], "the settings given"]
    widths = {bars.get_label(): [bar.get_width() for bar in bars] for bars in axis.containers}
    assert widths == {"2 epochs": [0, 1], "4 epochs": [1, 0]}


def test_runs_without_inner_selection_have_none(tmp_path):
    plain = read_records([written_runs.write(tmp_path / "run", [ANSWERS])])
    assert candidates.table(plain) is None
    assert candidates.best_on_test(plain) is None
