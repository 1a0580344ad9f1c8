"""Curves for TensorBoard against means and scores counted by hand, of chunks of several seeds."""

import errno

import event_records
import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from ahmsa_jax.training.protocols import EpochShape, Job, loso_folds
from experiments.files import event_files
from experiments.run.chunk import Chunk, ChunkResult, Plan, empty_history
from experiments.schedule.event_curves import EventCurves, keep_curves

SHAPE = EpochShape(1, 8, 8)
FOLDS = loso_folds(["lab/a", "lab/b"])
JOBS = [Job(seed, fold) for seed in (0, 1) for fold in FOLDS]
# The second chunk holds jobs of both seeds.
PLAN = Plan((Chunk(0, SHAPE, 1, (JOBS[0],)), Chunk(1, SHAPE, 3, tuple(JOBS[1:]))))
RNG = np.random.default_rng(0)


def history(jobs, epochs, every=2):
    found = empty_history(jobs, 3)
    found.add_losses(RNG.uniform(0, 2, (jobs, epochs)).astype(np.float32))
    for epoch in range(every, epochs + 1, every):
        found.add_counts(epoch, RNG.integers(0, 5, (jobs, 3, 3)))
    return ChunkResult(**vars(found))


def grown(whole, epochs):
    """The beginning of a history."""
    found = empty_history(len(whole.loss_SxE), 3)
    found.add_losses(whole.loss_SxE[:, :epochs])
    for place, epoch in enumerate(whole.evaluated_V[whole.evaluated_V <= epochs]):
        found.add_counts(int(epoch), whole.confusion_SxVxKxK[:, place])
    return found


def scores(counts_KxK):
    """UF1 and UAR by scikit-learn, from counts as so many clips."""
    places = np.argwhere(np.ones_like(counts_KxK)).repeat(counts_KxK.ravel(), axis=0)
    options = {"labels": [0, 1, 2], "average": "macro", "zero_division": 0}
    return f1_score(*places.T, **options), recall_score(*places.T, **options)


def steps(curve):
    return [step for step, _ in curve]


def values(curve):
    return [value for _, value in curve]


def test_seeds_and_chunks_as_they_are_trained(tmp_path):
    first, second = history(1, 6), history(3, 6)
    said = []
    curves = EventCurves(tmp_path, PLAN, said.append)
    curves.begin(0, 1)
    for epoch in (1, 2, 4, 6):
        curves.advance(0, grown(first, epoch))
    curves.finish(0, first)
    curves.begin(1, 3)
    for epoch in (3, 5):
        curves.advance(1, grown(second, epoch))
    curves.finish(1, second)
    curves.complete()
    curves.close()
    assert said == []
    (path,) = event_records.files(tmp_path)
    found = event_records.scalars(path)
    of_chunks = {f"{name}/chunk-000{n}" for name in ("train_loss", "uf1", "uar") for n in (0, 1)}
    of_seeds = {f"{name}/seed-{n}" for name in ("train_loss", "uf1", "uar") for n in (0, 1)}
    assert set(found) == of_chunks | of_seeds
    for tag, curve in found.items():
        assert steps(curve) == ([1, 2, 3, 4, 5, 6] if "loss" in tag else [2, 4, 6]), tag
    # Seed 0 has a job in each chunk.
    losses = np.concatenate([first.loss_SxE, second.loss_SxE[:1]]).mean(axis=0)
    np.testing.assert_allclose(values(found["train_loss/seed-0"]), losses, rtol=1e-6)
    losses = second.loss_SxE[1:].mean(axis=0)
    np.testing.assert_allclose(values(found["train_loss/seed-1"]), losses, rtol=1e-6)
    for place in range(3):
        of_first, of_second = first.confusion_SxVxKxK[0, place], second.confusion_SxVxKxK[:, place]
        expected = {
            "chunk-0000": of_first,
            "chunk-0001": of_first + of_second.sum(axis=0),
            "seed-0": of_first + of_second[0],
            "seed-1": of_second[1] + of_second[2],
        }
        for whose, counts in expected.items():
            pair = found[f"uf1/{whose}"][place][1], found[f"uar/{whose}"][place][1]
            np.testing.assert_allclose(pair, scores(counts), rtol=1e-6, err_msg=whose)


def test_one_chunk_needs_no_curves_of_its_own_and_shows_each_epoch_at_once(tmp_path):
    plan = Plan((Chunk(0, SHAPE, 2, tuple(JOBS[:2])),))
    curves = EventCurves(tmp_path, plan, print)
    whole = history(2, 4)
    curves.begin(0, 2)
    curves.advance(0, grown(whole, 3))
    curves.close()
    (path,) = event_records.files(tmp_path)
    found = event_records.scalars(path)
    assert set(found) == {"train_loss/seed-0", "uf1/seed-0", "uar/seed-0"}
    assert steps(found["train_loss/seed-0"]) == [1, 2, 3]


def test_a_resumed_run_tells_all_again_behind_a_mark(tmp_path):
    first, second = history(1, 6), history(3, 6)
    curves = EventCurves(tmp_path, PLAN, print)
    curves.add(0, first)
    curves.begin(1, 3, grown(second, 4))
    curves.give_up(1)
    # Trained again from the start, as on a cluster: no step comes twice.
    curves.begin(1, 3)
    for epoch in range(1, 7):
        curves.advance(1, grown(second, epoch))
    curves.close()
    (path,) = event_records.files(tmp_path)
    log = event_records.events(path)[1].session_log
    assert log.status == log.START
    for tag, curve in event_records.scalars(path).items():
        assert steps(curve) == ([1, 2, 3, 4, 5, 6] if "loss" in tag else [2, 4, 6]), tag


def test_folds_without_a_number_are_left_out_of_the_mean(tmp_path):
    whole = history(3, 2)
    whole.loss_SxE[:, :] = [[1, np.nan], [3, np.inf], [np.nan, np.nan]]
    keep_curves(tmp_path, Plan((Chunk(0, SHAPE, 3, tuple(JOBS[1:])),)), {0: whole})
    (path,) = event_records.files(tmp_path)
    found = event_records.scalars(path)
    np.testing.assert_array_equal(values(found["train_loss/seed-0"]), [1, np.nan])
    np.testing.assert_array_equal(values(found["train_loss/seed-1"]), [3, np.nan])


@pytest.mark.parametrize("method", ["scalar", "flush", "close"])
def test_a_full_disk_is_said_once_and_ends_nothing(tmp_path, monkeypatch, method):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    said = []
    monkeypatch.setattr("experiments.schedule.event_curves.FLUSH_SECONDS", 0.0)
    curves = EventCurves(tmp_path, PLAN, said.append)
    monkeypatch.setattr(event_files.Writer, method, full)
    for _ in range(2):
        curves.add(0, history(1, 4))
        curves.add(1, history(3, 4))
    curves.close()
    (line,) = said
    assert "tensorboard' cannot be written (No space left on device); training goes on" in line
