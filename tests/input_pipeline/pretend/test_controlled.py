"""Pretend clips of known motion: what each frame shows, and what the annotation says."""

import numpy as np
import pytest

from input_pipeline.faces.frames import read_frame
from input_pipeline.pretend import controlled
from input_pipeline.pretend.controlled import APEX, OFFSET, ONSET


def test_clips_name_frames_that_are_there(tmp_path):
    records = controlled.records(tmp_path, 2, noise=1.0, jitter=0)
    assert [record.key for record in records][:3] == [f"controlled/c01/c01_{n}" for n in (1, 2, 3)]
    assert [record.label for record in records] == [0, 1, 2] * 2
    for record in records:
        assert [number for number, _ in record.frames] == [ONSET, APEX, OFFSET]
        assert all(read_frame(path).shape == (480, 640, 3) for _, path in record.frames)
    # Again: the same files, untouched.
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    assert controlled.records(tmp_path, 2, noise=1.0, jitter=0) == records
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")} == before


def test_the_annotated_apex_errs_by_at_most_the_jitter(tmp_path, monkeypatch):
    # The pictures do not matter here, and take their time.
    monkeypatch.setattr(controlled, "_picture", lambda *_: np.zeros((4, 4, 3), np.uint8))
    apexes = {
        jitter: [r.apex for r in controlled.records(tmp_path, 20, noise=0.0, jitter=jitter)]
        for jitter in (0, 2, 6)
    }
    assert set(apexes[0]) == {APEX}
    for jitter in (2, 6):
        off = np.array(apexes[jitter]) - APEX
        assert {off.min(), off.max()} == {-jitter, jitter}
    # A clip errs to the same side, whatever the jitter.
    small, large = (np.array(apexes[jitter]) - APEX for jitter in (2, 6))
    assert (small * large >= 0).all()
    with pytest.raises(ValueError, match="0 to 6"):
        controlled.records(tmp_path, 2, noise=0.0, jitter=7)


def test_motion_rises_to_the_apex_and_fades(monkeypatch):
    monkeypatch.setattr(controlled, "_PASSING", 0.0)
    strongest = {}
    for frame in range(ONSET, OFFSET + 1):
        motions = controlled.motions_at(3, 1, frame)
        strongest[frame] = max(map(abs, motions.values()))
    assert strongest[ONSET] == 0
    assert max(strongest, key=strongest.get) == APEX
    assert strongest[OFFSET] == pytest.approx(0.25 * strongest[APEX])
    assert np.all(np.diff([strongest[n] for n in range(ONSET, APEX + 1)]) > 0)


def test_noise_is_as_strong_as_asked_and_new_in_each_frame():
    still, noisy = (controlled._picture(0, 0, ONSET, noise) for noise in (0.0, 4.0))
    inside = (still > 30) & (still < 225)
    difference = (noisy.astype(float) - still)[inside]
    assert difference.std() == pytest.approx(4.0, rel=0.05)
    later = controlled._picture(0, 0, ONSET, 4.0)
    assert (later == noisy).all()
    assert (controlled._picture(0, 0, OFFSET, 4.0) != noisy).mean() > 0.8
