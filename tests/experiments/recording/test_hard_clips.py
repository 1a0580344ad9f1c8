"""Hard clips by hand, their tables, and their pictures."""

import numpy as np
import pytest
from PIL import Image

from ahmsa_jax.config import ConfigError
from experiments.files.run_files import Prediction
from experiments.recording import hard_clips
from experiments.recording.kept import KeptRun
from experiments.recording.rows import HARD, ROWS
from input_pipeline.core.clips import CLASS_NAMES
from input_pipeline.maps import synthetic


def run(name, answers):
    """A kept run: of each seed what it says of four clips, whose labels are 0, 1, 2, 0."""
    clips = [("casme2", "a", "1"), ("casme2", "a", "2"), ("samm", "b", "1"), ("smic", "c", "1")]
    rows = [
        Prediction(seed, *clip, label, answer)
        for seed, said in enumerate(answers)
        for clip, label, answer in zip(clips, (0, 1, 2, 0), said, strict=True)
    ]
    return KeptRun(ROWS[name], None, CLASS_NAMES, rows, {})


# Clip 1 is wrong for all; clip 2 under two of three seeds; clip 3 under one of two alone.
KEPT = dict(
    zip(
        HARD,
        (
            run(HARD[0], [(1, 0, 0, 0)]),
            run(HARD[1], [(1, 2, 0, 1)]),
            run(HARD[2], [(2, 0, 2, 1), (1, 0, 1, 1), (1, 1, 0, 1)]),
            run(HARD[3], [(2, 0, 2, 1), (2, 0, 1, 0)]),
        ),
        strict=True,
    )
)


def test_a_clip_is_hard_where_most_seeds_of_every_run_are_wrong():
    found = hard_clips.found(KEPT)
    assert [(one.subject_key, one.clip, one.label) for one in found] == [
        ("casme2/a", "1", 0),
        ("casme2/a", "2", 1),
    ]
    # Of three answers the most frequent, of two equally frequent the first class.
    assert found[0].said == (1, 1, 1, 2)
    assert found[1].said == (0, 2, 0, 0)


def test_the_tables_count_them():
    found = hard_clips.found(KEPT)
    (row,) = hard_clips.by_subject(found, KEPT).rows
    assert row == ("CASME II/a", "2", "2", "1 negative, 1 positive", "1, 2")
    rows = hard_clips.counts_table(found, KEPT).rows
    assert [row[1:] for row in rows] == [
        ("3", "2", "1", "0"),
        ("4", "2", "1", "1"),
        ("4", "2", "1", "1"),
        ("2", "2", "0", "0"),
        ("2", "2", "0", "0"),
    ]


def test_runs_that_are_not_kept_are_named():
    assert hard_clips.missing({}) == list(HARD)
    assert hard_clips.missing(KEPT) == []


def test_the_maps_are_drawn_twelve_a_page(tmp_path):
    clips = synthetic.make("whole", "small")
    keys = [key.rsplit("/", 1) for key in clips.clip_key_N[:13]]
    hard = [hard_clips.HardClip(*key, 0, (1, 2)) for key in keys]
    written = hard_clips.draw_maps(hard, KEPT, clips, tmp_path / "maps")
    assert [path.name for path in written] == ["hard_clips-1.png", "hard_clips-2.png"]
    for path in written:
        assert np.asarray(Image.open(path)).std() > 10
    with pytest.raises(ConfigError, match="lacks 1 of the 1 hard clips, first casme2/a/1"):
        hard_clips.draw_maps([hard_clips.HardClip("casme2/a", "1", 0, (1,))], KEPT, clips, tmp_path)
