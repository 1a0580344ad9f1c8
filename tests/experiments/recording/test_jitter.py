"""Moved frames: which ones, scores of held-out clips that are shown otherwise, the kept table."""

import pathlib

import numpy as np
import pytest

from ahmsa_jax.config import ConfigError
from ahmsa_jax.metrics import confusion_matrix, pooled_scores
from ahmsa_jax.training.protocols import loso_folds
from experiments.classical_methods.folds import predict_all
from experiments.classical_methods.method import Places
from experiments.classical_methods.registry import METHODS
from experiments.recording import jitter
from input_pipeline.core.errors import InputError
from input_pipeline.databases import reading
from input_pipeline.databases.rows import ClipRecord
from input_pipeline.flow.cache import MapCache
from input_pipeline.flow.clip_maps import MapSettings
from input_pipeline.maps import synthetic


def record(onset=10, apex=14, database="casme2"):
    frames = tuple((number, pathlib.Path(f"{number}.jpg")) for number in range(8, 20))
    names = {"database": database, "subject": "a", "clip": "1", "emotion": "x", "label": 0}
    return ClipRecord(**names, onset=onset, apex=apex, offset=18, frames=frames)


@pytest.mark.parametrize(
    ("which", "shift", "onset", "apex"),
    [
        ("apex", 0, 10, 14),
        ("apex", 2, 10, 16),
        ("apex", -3, 10, 11),
        ("apex", -9, 10, 11),  # never the onset
        ("apex", 9, 10, 19),  # never beyond the frames
        ("onset", 1, 11, 14),
        ("onset", 9, 13, 14),
        ("onset", -9, 8, 14),
    ],
)
def test_moved_frames_stay_in_the_clip_and_in_order(which, shift, onset, apex):
    found = jitter.moved(record(), which, shift)
    assert (found.onset, found.apex) == (onset, apex)


def test_the_offset_serves_where_no_apex_is_annotated():
    found = jitter.moved(record(apex=None, database="smic"), "apex", -1)
    assert (found.onset, found.apex) == (10, 17)
    with pytest.raises(InputError, match="no apex after its onset"):
        jitter.moved(record(onset=14), "onset", 1)


@pytest.mark.parametrize("name", jitter.TRIED)
def test_clips_shown_as_trained_are_scored_as_ever(name):
    clips = synthetic.make("whole", "small")
    finished = predict_all(
        METHODS[name],
        METHODS[name].config(),
        clips,
        loso_folds(clips.subject_key_N),
        places=Places(),
    )
    counts = sum(
        confusion_matrix(
            clips.label_N[chunk.jobs[0].fold.test_index], result.probability[0].argmax(axis=1), 3
        )
        for chunk, result in finished
    )
    assert jitter.shown_off(name, clips, clips) == pooled_scores(counts)
    # The other clips are those that are shown: turned around they are taken for others.
    turned = clips.rows(np.arange(len(clips)))
    turned.flow_NxHxWxC[:] = 255 - turned.flow_NxHxWxC
    turned.flow_whole_NxHxWxC[:] = 255 - turned.flow_whole_NxHxWxC
    assert jitter.shown_off(name, clips, turned).uf1 < pooled_scores(counts).uf1


def test_a_pretend_database_is_measured_and_marked(tmp_path, monkeypatch, pretend_smic):
    monkeypatch.setattr(jitter, "SHIFTS", (-1, 0))
    monkeypatch.setattr(jitter, "MOVED", ("apex",))
    monkeypatch.setattr(jitter, "TRIED", ("svm_maps",))
    found = reading.read_databases("smic", pretend_smic)
    settings = MapSettings(flow="farneback")
    cache = MapCache(tmp_path / "cache", settings)
    lines = jitter.measured("smic", found, cache, settings, 2)
    assert [(one.data, one.method, one.moved, one.shift) for one in lines] == [
        ("PRETEND", "svm_maps", "apex", -1),
        ("PRETEND", "svm_maps", "apex", 0),
    ]
    assert {(one.clips, one.subjects, one.apart) for one in lines} == {(10, 4, 5.0)}
    assert all(0 <= one.uf1 <= 1 for one in lines)
    (tmp_path / jitter.FILE).write_text(jitter.text(lines), encoding="utf-8")
    assert jitter.read(tmp_path) == lines
    table = jitter.table(lines)
    assert table.heading.startswith("PRETEND data: ")
    assert table.rows[0][2:] == tuple(f"{one.uf1:.4f} / {one.uar:.4f}" for one in lines)
    assert jitter.draw(lines).get_suptitle().startswith("PRETEND data: ")


@pytest.mark.parametrize("text", ["", "a,b\n", ",".join(jitter.Line._fields) + "\n1,2\n"])
def test_a_damaged_table_is_refused(tmp_path, text):
    assert jitter.read(tmp_path) == []
    (tmp_path / jitter.FILE).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="damaged"):
        jitter.read(tmp_path)
