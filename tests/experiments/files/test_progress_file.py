"""progress.jsonl read back: what a run said, lines that were cut, and files that are none."""

import json
import os

import numpy as np
import pytest

from ahmsa_jax.config import ConfigError
from experiments.files import progress_file

START = {"event": "start", "time": 100.0, "epochs": 10, "chunks": {"0": [[0, "a"], [0, "b"]]}}
EPOCH = {"event": "epoch", "time": 103.0, "chunk": 0, "epoch": 4, "loss": 0.5, "left": 7.5}


def written(folder, *lines):
    writer = progress_file.Writer(folder, START)
    writer.append(lines)
    writer.close()
    return folder / progress_file.FILE


def test_what_was_said_is_read(tmp_path):
    chunks = {"chunks": {"0": [[0, "a"], [0, "b"]], "1": [[1, "a"]]}}
    counts = {"evaluated": 4, "confusion": [[1, 0], [2, 3]]}
    written(
        tmp_path,
        START | {"event": "plan", "time": 101.0} | chunks,
        {"event": "begun", "time": 102.0, "chunk": 0, "epoch": 0},
        EPOCH | counts,
        EPOCH | {"event": "finished", "time": 112.0, "epoch": 10, "left": 2.0},
        {"event": "begun", "time": 113.0, "chunk": 1, "epoch": 6, "loss": None},
        {"event": "waiting", "time": 114.0, "text": "compiling"},
    )
    found = progress_file.read(tmp_path)
    assert (found.epochs, found.jobs, found.finished_jobs) == (10, 3, 2)
    assert found.trained == 2 * 10 + 1 * 6
    assert (found.started, found.last, found.longest_gap) == (100.0, 114.0, 9.0)
    assert (found.left, found.waiting, found.stopped) == (2.0, "compiling", False)
    # Counts stay until there are newer ones.
    np.testing.assert_array_equal(found.chunks[0].counts_KxK, counts["confusion"])
    assert found.chunks[1].begun
    assert not found.chunks[1].finished
    assert found.chunks[1].loss is None


def test_a_chunk_given_up_has_trained_nothing(tmp_path):
    lost = {"event": "given_up", "time": 104.0, "chunk": 0}
    stopped = {"event": "stopped", "time": 105.0}
    written(tmp_path, EPOCH, lost, stopped)
    found = progress_file.read(tmp_path)
    assert found.trained == 0
    assert not found.chunks[0].begun
    assert found.stopped


def test_any_cut_is_read_as_far_as_whole_lines_go(tmp_path):
    path = written(tmp_path, EPOCH, EPOCH | {"epoch": 5, "time": 104.0})
    data = path.read_bytes()
    ends = [place + 1 for place, byte in enumerate(data) if byte == ord("\n")]
    for cut in range(ends[0], len(data)):
        path.write_bytes(data[:cut])
        assert progress_file.read(tmp_path).trained == (8 if cut >= ends[1] else 0)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}\n",
        b"[1]\n",
        b"no json\n",
        b"\xff\n",
        json.dumps(EPOCH).encode() + b"\n",
        json.dumps(START | {"time": float("nan")}).encode() + b"\n",
        *(
            json.dumps(START).encode() + b"\n" + json.dumps(EPOCH | change).encode() + b"\n"
            for change in (
                {"chunk": 1},
                {"epoch": 11},
                {"epoch": "many"},
                {"loss": [1]},
                {"confusion": [[1, 2]]},
                {"confusion": [[-1, 0], [0, 1]]},
                {"time": None},
            )
        ),
    ],
)
def test_what_cannot_be_is_named_damaged(tmp_path, content):
    (tmp_path / progress_file.FILE).write_bytes(content)
    with pytest.raises(ConfigError, match=r"progress\.jsonl' is damaged \("):
        progress_file.read(tmp_path)


def test_a_pipe_is_not_waited_for_and_not_deleted(tmp_path):
    os.mkfifo(tmp_path / progress_file.FILE)
    with pytest.raises(ConfigError, match="no regular file"):
        progress_file.read(tmp_path)
    progress_file.drop(tmp_path)
    assert (tmp_path / progress_file.FILE).exists()


def test_it_is_begun_anew_and_dropped(tmp_path):
    written(tmp_path, EPOCH)
    written(tmp_path)
    assert progress_file.read(tmp_path).trained == 0
    progress_file.drop(tmp_path)
    assert progress_file.read(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    progress_file.drop(tmp_path)
