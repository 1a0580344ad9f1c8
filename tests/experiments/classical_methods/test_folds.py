"""Inner selection by classical methods: no held-out clip changes what is chosen."""

import dataclasses

import numpy as np
import pytest

from ahmsa_jax.training.protocols import Fold, loso_folds
from ahmsa_jax.training.selection import SELECT_BY, inner_folds
from experiments.classical_methods.folds import Candidates, predict_all
from experiments.classical_methods.method import FoldTask, Places
from experiments.classical_methods.registry import METHODS
from experiments.classical_methods.settings import KernelFlowConfig, SvmConfig
from input_pipeline.core.clips import Clips
from input_pipeline.maps import synthetic

CLIPS = synthetic.make("whole", "small")
FOLDS = loso_folds(CLIPS.subject_key_N)
FOLD = next(fold for fold in FOLDS if fold.key == "synthetic-a/a04")
SETTINGS = tuple(SvmConfig(svm_c=value) for value in (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0))
RIDGES = tuple(KernelFlowConfig(kernel_ridge=value) for value in (0.03, 0.3, 3.0))


def run(clips: Clips, fold: Fold, name: str = "svm_maps", by: str = "logloss"):
    settings = SETTINGS if name == "svm_maps" else RIDGES
    lines = [str(place) for place in range(len(settings))]
    candidates = Candidates(lines, settings, by, 3)
    places = Places(None)
    ((_, result),) = predict_all(
        METHODS[name], settings[0], clips, [fold], places=places, candidates=candidates
    )
    return result


def poisoned(clips: Clips, index: np.ndarray) -> Clips:
    """The clips with other maps at these places."""
    rng = np.random.default_rng(0)
    changed = {}
    for field in ("flow_NxHxWxC", "flow_whole_NxHxWxC"):
        maps = getattr(clips, field).copy()
        maps[index] = rng.uniform(0, 255, maps[index].shape)
        changed[field] = maps
    return dataclasses.replace(clips, **changed)


def relabelled(clips: Clips, index: np.ndarray) -> Clips:
    label_N = clips.label_N.copy()
    label_N[index] = (label_N[index] + 1) % 3
    return dataclasses.replace(clips, label_N=label_N)


@pytest.mark.parametrize("name", ["svm_maps", "kernel_flow"])
@pytest.mark.parametrize("by", SELECT_BY)
def test_held_out_clips_change_no_choice(name, by):
    before = run(CLIPS, FOLD, name, by)
    held_out = FOLD.test_index
    after = run(relabelled(CLIPS, held_out), FOLD, name, by)
    # Its label is no part of the prediction either.
    np.testing.assert_array_equal(after.probability[0], before.probability[0])
    assert after.choices == before.choices
    other = run(poisoned(CLIPS, held_out), FOLD, name, by)
    assert other.choices == before.choices
    assert (other.probability[0] != before.probability[0]).any()


@pytest.mark.parametrize("changed", [poisoned, relabelled])
def test_training_clips_change_it(changed):
    # The positive control: the same change in the largest training subject.
    subjects = np.array(CLIPS.subject_key_N)
    index = np.flatnonzero(subjects == "synthetic-a/a01")
    before, after = run(CLIPS, FOLD, by="auc"), run(changed(CLIPS, index), FOLD, by="auc")
    assert after.choices[0].candidate != before.choices[0].candidate


def test_the_choice_is_the_one_worked_out_by_hand():
    kernel = METHODS["svm_maps"].described(CLIPS, SvmConfig(), Places(None))
    scores = []
    for settings in SETTINGS:
        probability_NxK = np.zeros((len(CLIPS), 3))
        for inner in inner_folds(FOLD, CLIPS, 3):
            train = np.flatnonzero(inner.train_N)
            task = FoldTask(train, CLIPS.label_N[train], inner.test_index, 3)
            probability_NxK[inner.test_index] = METHODS["svm_maps"].predicted(
                kernel, task, settings
            )
        trained = FOLD.train_N
        scores.append(SELECT_BY["auc"](probability_NxK[trained], CLIPS.label_N[trained]))
    found = run(CLIPS, FOLD, by="auc").choices[0]
    assert found.candidate == str(int(np.argmax(scores)))
    assert found.score == pytest.approx(max(scores))
    assert found.epochs is None


def test_of_equal_candidates_the_first_is_taken():
    candidates = Candidates(["first", "second"], [SvmConfig(), SvmConfig()], "auc", 2)
    ((_, result),) = predict_all(
        METHODS["svm_maps"],
        SvmConfig(),
        CLIPS,
        [FOLD],
        places=Places(None),
        candidates=candidates,
    )
    assert result.choices[0].candidate == "first"
