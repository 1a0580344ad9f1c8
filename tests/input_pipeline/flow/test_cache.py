"""Stored maps know whose they are: another clip's, old and damaged ones are not used."""

import dataclasses
import hashlib
import json
import os
import shutil

import numpy as np
import pytest
from pretend_clips import clip

from input_pipeline.flow.cache import MapCache
from input_pipeline.flow.clip_maps import ClipMaps, MapSettings, Quality

FAST = MapSettings(flow="farneback")
FOREIGN = (
    "1 stored maps are those of another clip, of other settings or damaged, and are computed again."
)
UNMARKED = (
    "1 stored maps of an earlier version do not say whose they are and are computed again; with a "
    "whole database that takes hours."
)


def maps(value: float) -> ClipMaps:
    square = np.zeros((8, 8), np.uint8)
    return ClipMaps(
        flow_SxSxC=np.full((8, 8, 3), value, np.float32),
        landmarks_5x2=np.zeros((5, 2), np.float32),
        landmarks_68x2=np.zeros((68, 2), np.float32),
        onset_SxS=square,
        apex_SxS=square,
        quality=Quality(1.0, value, 0.1, 1, 5, ("nearest_frame_apex",)),
    )


@pytest.fixture
def two(tmp_path):
    """A cache that holds the maps of two clips whose files differ in nothing but the bytes."""
    first = clip(tmp_path / "frames", {1: b"one", 5: b"two"})
    second = dataclasses.replace(first, subject="sub02")
    cache = MapCache(tmp_path / "cache", FAST)
    cache.save(first, maps(1.0))
    (path,) = (tmp_path / "cache").iterdir()
    cache.save(second, maps(2.0))
    (other,) = set((tmp_path / "cache").iterdir()) - {path}
    return cache, first, second, path, other


def test_what_was_stored_comes_back(two):
    cache, first, second, _, _ = two
    assert cache.load(first).flow_SxSxC.max() == 1.0
    assert cache.load(second).quality == maps(2.0).quality
    assert cache.unusable([first, second]) == []


def test_a_copy_under_another_clip_s_name_is_not_used(two):
    cache, first, second, path, other = two
    shutil.copy(path, other)
    assert cache.load(second) is None
    assert cache.load(first).flow_SxSxC.max() == 1.0
    assert cache.unusable([first, second]) == [FOREIGN]


def test_a_copy_made_with_other_settings_is_not_used(two, tmp_path):
    _, first, _, path, other = two
    strange = MapCache(tmp_path / "cache", dataclasses.replace(FAST, strain="htnet"))
    assert strange.load(first) is None
    assert strange.unusable([first]) == []
    strange.save(first, maps(3.0))
    (new,) = set((tmp_path / "cache").iterdir()) - {path, other}
    shutil.copy(path, new)
    assert strange.load(first) is None
    assert strange.unusable([first]) == [FOREIGN]


def test_files_without_marks_are_counted_and_made_again(two, tmp_path):
    _, first, second, path, _ = two
    # As the first version wrote them: named by this formula, no marks inside.
    settings = {name: v for name, v in FAST.provenance().items() if name != "spot_seconds"}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update(json.dumps([first.key, 1, 5, 9]).encode())
    for number, frame in first.frames:
        status = frame.stat()
        told = (number, frame.name, status.st_size, status.st_mtime_ns)
        digest.update(json.dumps(told).encode())
    old = MapCache(tmp_path / "old", FAST)
    (tmp_path / "old").mkdir()
    with np.load(path) as stored:
        parts = {name: stored[name] for name in stored.files if name != "marks"}
    np.savez(tmp_path / "old" / f"{digest.hexdigest()[:32]}.npz", **parts)
    assert old.load(first) is None
    assert old.unusable([first, second]) == [UNMARKED]
    old.save(first, maps(1.0))
    assert old.unusable([first, second]) == []
    # A file under today's name whose marks were lost counts as well.
    np.savez(path, **parts)
    assert MapCache(path.parent, FAST).load(first) is None
    assert MapCache(path.parent, FAST).unusable([first]) == [UNMARKED]


def test_another_limit_of_the_search_for_an_apex_is_another_file(two):
    cache, first, _, path, _ = two
    longer = MapCache(path.parent, dataclasses.replace(FAST, spot_seconds=2.0))
    assert cache.load(first) is not None
    assert longer.load(first) is None
    assert longer.unusable([first]) == []


def test_a_damaged_file_is_made_again(two):
    cache, first, _, path, _ = two
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert cache.load(first) is None
    path.write_bytes(data[:100])
    assert cache.unusable([first]) == [FOREIGN]
    path.unlink()
    os.mkfifo(path)
    assert cache.load(first) is None
