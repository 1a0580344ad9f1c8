"""How far a run is, in words: figures by hand, and signs of life."""

import re

import numpy as np
import pytest
import written_runs

from experiments.files import progress_file
from experiments.files.progress_file import Standing, Unfinished
from experiments.scores import unfinished

DONE = Standing(4, 10, 0.25, np.diag([4, 2, 0]), begun=True, finished=True)
GOING = Standing(2, 5, 1.0, np.array([[0, 0, 0], [0, 0, 2], [0, 0, 0]]), begun=True)
FOUND = Unfinished(
    epochs=10,
    chunks={0: DONE, 1: GOING, 2: Standing(2)},
    started=1000.0,
    last=1090.0,
    longest_gap=40.0,
    left=75.0,
)


def described(now=1100.0, pretend=False, **changes):
    found = Unfinished(**(vars(FOUND) | changes))
    return unfinished.described(found, now, pretend=pretend)


def test_folds_epochs_losses_and_scores():
    lines = described()
    assert lines[0] == ("4 of 8 folds finished, 50 of 80 epochs of folds trained (62 %)")
    assert lines[1] == "in training: chunk 1 of 2 folds, epoch 5 of 10, mean training loss 1.0000"
    assert lines[2] == "mean training loss of the finished folds, last epoch: 0.2500"
    # 4 of 4 negative and 2 of 4 positive right, the others taken for surprise: F1 1, 2/3 and 0,
    # recall 1, 1/2 and, of nobody, 0.
    assert lines[3] == (
        "held-out clips so far: UF1 0.5556, UAR 0.5000, from 8 predictions in 6 folds, each as "
        "last evaluated; of an unfinished run, and no result"
    )
    assert lines[4].endswith(", 01:30 so far, about 01:15 left to train")
    assert lines[5] == "it seems to run: last heard of 00:10 ago"
    assert len(lines) == 6


def test_what_nobody_knows_yet_is_not_said():
    fresh = {0: Standing(4), 1: Standing(4, begun=True)}
    lines = described(chunks=fresh, left=None, pretend=True)
    assert lines[0].startswith("PRETEND data")
    assert lines[1] == "0 of 8 folds finished, 0 of 80 epochs of folds trained (0 %)"
    assert lines[2] == "in training: chunk 1 of 4 folds, epoch 0 of 10"
    assert lines[3].endswith("01:30 so far, time left not known yet")
    assert not re.search("UF1|loss", "\n".join(lines))


@pytest.mark.parametrize(
    ("now", "changes", "line"),
    [
        # Three times its longest silence.
        (1090.0 + 119, {}, "it seems to run: last heard of 01:59 ago"),
        (1090.0 + 121, {}, "it has said nothing for 02:01 and seems to have ended; the command"),
        (1090.0 + 61, {"longest_gap": 2.0}, "it has said nothing for 01:01"),
        (1090.0 + 300, {"waiting": "compiling"}, "last heard of 05:00 ago (compiling)"),
        (1090.0 + 4000, {"waiting": "compiling"}, "seems to have ended"),
        (1095.0, {"stopped": True}, "it stopped 00:05 ago; the command that started it goes on"),
        # Clocks of two machines.
        (1000.0, {}, "last heard of 00:00 ago"),
    ],
)
def test_signs_of_life(now, changes, line):
    assert line in described(now, **changes)[-1]


def test_candidates_of_inner_selection_and_what_else_there_is(tmp_path, capsys):
    workdir = written_runs.write(tmp_path / "run", [{"lab/a": ([0], [1])}])
    assert not unfinished.tell([workdir])
    assert capsys.readouterr().out == ""
    folder = workdir / "inner" / "3"
    folder.mkdir(parents=True)
    start = {"event": "start", "time": 100.0, "epochs": 10, "chunks": {"0": [[0, "lab/a"]]}}
    progress_file.Writer(folder, start).close()
    assert not unfinished.tell([workdir])
    told = capsys.readouterr().out
    assert told.startswith(f"unfinished: {folder}\nPRETEND")
    assert "0 of 1 folds finished, 0 of 10 epochs" in told
    # Where no fold is finished, there is nothing to report besides.
    (workdir / "predictions.csv").unlink()
    assert unfinished.tell([workdir])
