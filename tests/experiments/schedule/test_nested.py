"""Inner selection of networks: what it reads, what it chooses, and how it goes on.

Modules tried here without being imported: experiments.schedule.starts.
"""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from nested_problem import LINES, PARTS, TRAINING, clips_of, run_of, trained
from sklearn.metrics import log_loss

from ahmsa_jax.config import ConfigError
from ahmsa_jax.training.protocols import Job
from ahmsa_jax.training.selection import inner_folds
from experiments.files import candidate_files, chunks
from experiments.schedule import nested


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("nested")
    run = run_of(clips_of())
    return workdir, run, trained(workdir, run)


def stored(workdir, part, folds):
    """Results of a part's run, by fold key: results and the fold's rows in the curve."""
    content = json.loads((workdir / part / "plan.json").read_text())
    found = {}
    for entry in content["chunks"]:
        keys = [key for _, key in entry["jobs"]]
        own = {fold.key: fold for fold in folds}
        jobs = [Job(0, own[key]) for key in keys]
        result = chunks.load(workdir / part, entry["number"], jobs)
        assert result is not None
        ends = np.cumsum([len(job.fold.test_index) for job in jobs])
        for row, job in enumerate(jobs):
            rows_of_job = slice(ends[row] - len(job.fold.test_index), ends[row])
            found[job.fold.key] = (result, row, rows_of_job)
    return found


def test_the_choice_is_the_best_inner_log_loss(whole):
    """Against scikit-learn on the stored inner predictions, class weights for the mean of means."""
    workdir, run, finished = whole
    label = run.clips.label_N
    for chunk, result in finished:
        (job,), (choice,) = chunk.jobs, result.choices
        inner = inner_folds(job.fold, run.clips, PARTS)
        scores = {}
        for number in range(len(LINES)):
            found = stored(workdir, f"inner/{number}", inner_of(run))
            curves = []
            for fold in inner:
                one, row, rows_of_job = found[fold.key]
                if one.curve_VxTxK is None:
                    curves.append(one.probability[row][None])
                else:
                    curves.append(one.curve_VxTxK[:, rows_of_job])
            pooled = np.concatenate(curves, axis=1)
            truth = label[np.concatenate([fold.test_index for fold in inner])]
            weight = 1 / np.bincount(truth)[truth]
            epochs = [3] if number == 1 else [1, 2, 3, 4]
            for epoch, probability in zip(epochs, pooled, strict=True):
                clipped = np.clip(probability.astype(np.float64), 1e-7, 1)
                clipped /= clipped.sum(axis=1, keepdims=True)
                scores[number, epoch] = -log_loss(truth, clipped, sample_weight=weight)
        number, epoch = max(scores, key=lambda key: (scores[key], -key[0], -key[1]))
        assert (choice.candidate, choice.epochs) == (LINES[number], epoch)
        assert choice.score == pytest.approx(scores[number, epoch], rel=1e-4)


def inner_of(run):
    return [one for fold in run.folds for one in inner_folds(fold, run.clips, PARTS)]


def test_the_result_is_the_chosen_candidates_at_the_chosen_epoch(whole):
    workdir, run, finished = whole
    assert sorted(chunk.jobs[0].fold.key for chunk, _ in finished) == ["lab/s0", "lab/s3"]
    for chunk, result in finished:
        (job,), (choice,) = chunk.jobs, result.choices
        number = LINES.index(choice.candidate)
        one, row, rows_of_job = stored(workdir, f"outer/{number}", run.folds)[job.fold.key]
        expected = one.probability[row]
        if one.curve_VxTxK is not None:
            expected = one.curve_VxTxK[list(one.evaluated_V).index(choice.epochs), rows_of_job]
        np.testing.assert_array_equal(result.probability[0], expected)
        assert result.epoch == choice.epochs
        assert int(result.confusion_SxVxKxK.sum()) == len(job.fold.test_index)


def test_every_candidates_counts_are_kept_for_the_report(whole):
    workdir, run, _ = whole
    tallies = candidate_files.read([workdir], run.clips.class_names)
    assert {number for number, _, _ in tallies} == {0, 1, 2}
    # Two folds of six clips each.
    assert {int(counts.sum()) for counts in tallies.values()} == {12}
    rules = {number: {rule for own, rule, _ in tallies if own == number} for number in range(3)}
    # One that cannot choose its epochs was looked at after the last one only.
    assert rules == {0: {"last", "held-out clips"}, 1: {"last"}, 2: {"last", "held-out clips"}}
    for number in (0, 2):
        picked = np.trace(tallies[number, "held-out clips", 0])
        assert picked >= np.trace(tallies[number, "last", 0])


def test_it_goes_on_from_what_is_there(whole, tmp_path):
    """Half of the parts lost, as by a kill: the same choices and the same bytes of predictions."""
    workdir, run, finished = whole
    copy = tmp_path / "copy"
    shutil.copytree(workdir, copy)
    shutil.rmtree(copy / "outer" / "1")
    (copy / "inner" / "2" / "chunks" / "chunk-0000.npz").unlink()
    again = trained(copy, run)
    for (_, first), (_, second) in zip(finished, again, strict=True):
        assert first.choices == second.choices
        np.testing.assert_array_equal(first.probability[0], second.probability[0])


def chosen(workdir, change, select_by="logloss"):
    run = run_of(clips_of(change), ("--epochs=4",), ("lab/s0",), select_by)
    ((_, result),) = trained(workdir, run)
    return result.choices[0], result.probability[0]


def test_held_out_clips_have_no_part_in_a_choice(tmp_path):
    """Poisoned maps and other labels of the held-out subject change nothing but its prediction."""

    def poisoned(flow, label):
        flow[:6] = 255 - flow[:6]
        label[:6] = (label[:6] + 1) % 3

    def of_training(flow, label):
        flow[6:12] = 255 - flow[6:12]

    plain_choice, plain_probability = chosen(tmp_path / "plain", lambda flow, label: None)
    choice, probability = chosen(tmp_path / "poisoned", poisoned)
    assert choice == plain_choice
    assert (probability != plain_probability).any()
    # The control: a training subject's maps do change the scores.
    moved, _ = chosen(tmp_path / "training", of_training)
    assert moved.score != plain_choice.score


def test_the_partition_is_of_the_data_set_not_of_the_seed():
    run = run_of(clips_of())
    first, second = (
        dataclasses.replace(run, spec=dataclasses.replace(run.spec, seeds=(seed,)))
        for seed in (0, 7)
    )
    own = [nested.inner_run(nested.candidates_of(one)[0], PARTS) for one in (first, second)]
    for one, other in zip(own[0].folds, own[1].folds, strict=True):
        assert one.key == other.key
        np.testing.assert_array_equal(one.train_N, other.train_N)
    held_out = run.clips.subject_N == "s0"
    for fold in own[0].folds[:PARTS]:
        assert fold.key.startswith("lab/s0/inner/")
        assert not fold.train_N[held_out].any()
        assert not held_out[fold.test_index].any()


def test_epochs_are_chosen_where_a_shorter_training_begins_a_longer_one():
    assert nested.chooses_epochs(TRAINING)
    for settings in ({"schedule": "cosine"}, {"ema": 0.9}, {"average_weights": 0.2}):
        assert not nested.chooses_epochs(dataclasses.replace(TRAINING, **settings))
    candidates = nested.candidates_of(run_of(clips_of()))
    assert [one.run.keeps_curve for one in candidates] == [True, False, True]
    assert [one.run.spec.eval_every for one in candidates] == [1, 0, 1]


def test_the_time_told_is_that_of_all_trainings(whole):
    workdir, run, finished = whole
    spent = 0.0
    for number in range(len(LINES)):
        for part, folds in ((f"inner/{number}", inner_of(run)), (f"outer/{number}", run.folds)):
            results = {id(one): one for one, *_ in stored(workdir, part, folds).values()}
            assert all(one.seconds > 0 for one in results.values())
            spent += sum(one.seconds for one in results.values())
    assert sum(result.seconds for _, result in finished) == pytest.approx(spent)


def test_damaged_counts_of_candidates_are_named(whole, tmp_path):
    workdir, run, _ = whole
    text = (workdir / candidate_files.FILE).read_text()
    (tmp_path / candidate_files.FILE).write_text(text.replace("negative", "neutral"))
    with pytest.raises(ConfigError, match="is damaged"):
        candidate_files.read([tmp_path], run.clips.class_names)
