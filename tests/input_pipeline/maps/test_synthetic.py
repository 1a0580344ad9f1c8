"""The synthetic data set: its make-up, its repeatability, and how hard it is."""

import collections

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score
from sklearn.svm import SVC

from input_pipeline.core.clips import Clips, shuffle_labels
from input_pipeline.core.errors import InputError
from input_pipeline.core.map_form import CUTS, FORMS
from input_pipeline.maps import synthetic


@pytest.fixture(scope="module", params=synthetic.SIZES)
def clips(request) -> Clips:
    return synthetic.make("five", request.param)


@pytest.fixture(scope="module")
def small() -> Clips:
    return synthetic.make("five", "small")


def test_make_up(clips):
    expected = {
        160: (24, [91, 39, 30], 25),
        442: (68, [250, 109, 83], 39),
        699: (88, [457, 55, 187], 36),
    }
    subjects, per_class, largest = expected[len(clips)]
    sizes = collections.Counter(clips.subject_key_N)
    assert len(sizes) == subjects
    assert np.bincount(clips.label_N).tolist() == per_class
    assert (min(sizes.values()), max(sizes.values())) == (1, largest)
    # Most subjects are small: the median is below the mean.
    assert np.median(list(sizes.values())) < len(clips) / subjects
    # CAS(ME)^3 is one database.
    databases = ["synthetic-a"] if subjects == 88 else ["synthetic-a", "synthetic-b", "synthetic-c"]
    assert sorted(set(clips.database_N)) == databases
    assert clips.dataset == "synthetic"
    assert clips.clip_key_N[0] == "synthetic-a/a01/a01_01"
    assert len(set(clips.clip_key_N)) == len(clips)
    for label in range(3):
        assert len(set(np.array(clips.subject_key_N)[clips.label_N == label])) >= 8


def test_maps_are_whole_faces_in_range(clips):
    assert clips.flow_NxHxWxC.shape == clips.flow_whole_NxHxWxC.shape == (len(clips), 28, 28, 3)
    assert clips.flow_NxHxWxC.dtype == np.float32
    for maps in (clips.flow_NxHxWxC, clips.flow_whole_NxHxWxC):
        assert maps.min() >= 0
        assert maps.max() <= 255
    # Every clip moves, in every channel.
    assert (np.ptp(clips.flow_whole_NxHxWxC, axis=(1, 2)) > 100).all()


def test_the_same_bytes_on_every_machine(small):
    # A change here changes every published number on synthetic data: note it in the changelog.
    assert synthetic.make("five", "small").content_hash() == small.content_hash()
    assert small.content_hash()[:16] == "6d9fb4b65e478375"


def test_layouts_differ_only_in_the_composed_map(small):
    for layout in CUTS:
        other = synthetic.make(layout, "small")
        np.testing.assert_array_equal(other.flow_whole_NxHxWxC, small.flow_whole_NxHxWxC)
        np.testing.assert_array_equal(other.label_N, small.label_N)
        assert (other.flow_NxHxWxC == small.flow_NxHxWxC).all() == (layout == "five")


@pytest.mark.parametrize("layout", ["whole_symmetric", "five_phases2_36"])
def test_forms_are_of_the_same_clips(small, layout):
    form, other = FORMS[layout], synthetic.make(layout, "small")
    assert other.flow_NxHxWxC.shape == (len(small), *form.shape)
    assert other.clip_key_N == small.clip_key_N
    assert (other.label_N == small.label_N).all()
    if form.map_size == 28:
        # The same flow before it was normalised: each channel is a straight line of the other's.
        first, second = small.flow_whole_NxHxWxC[3, ..., 0], other.flow_whole_NxHxWxC[3, ..., 0]
        assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.9999
    else:
        # Most of the motion is undone on the way back.
        there, back = (other.flow_whole_NxHxWxC[..., k] for k in (0, 3))
        related = [
            np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(there, back, strict=True)
        ]
        assert np.median(related) < -0.5


def test_shuffled_labels_keep_counts_and_hide_the_emotion(small):
    shuffled = shuffle_labels(small, seed=3)
    assert np.bincount(shuffled.label_N).tolist() == np.bincount(small.label_N).tolist()
    assert (shuffled.label_N != small.label_N).any()
    assert "emotion" not in shuffled.extras
    np.testing.assert_array_equal(shuffled.flow_NxHxWxC, small.flow_NxHxWxC)
    again = shuffle_labels(small, seed=3)
    np.testing.assert_array_equal(again.label_N, shuffled.label_N)


def loso_scores(clips: Clips) -> tuple[float, float]:
    """UF1 and UAR of a support vector machine with a Gaussian kernel, leave one subject out."""
    features = clips.flow_NxHxWxC.reshape(len(clips), -1) / 255.0
    squares = (features**2).sum(axis=1)
    distances = squares[:, None] + squares[None, :] - 2.0 * features @ features.T
    kernel = np.exp(-distances / (features.shape[1] * features.var()))
    subjects = np.array(clips.subject_key_N)
    prediction = np.empty_like(clips.label_N)
    for subject in np.unique(subjects):
        held_out = subjects == subject
        machine = SVC(C=10.0, kernel="precomputed", class_weight="balanced")
        machine.fit(kernel[np.ix_(~held_out, ~held_out)], clips.label_N[~held_out])
        prediction[held_out] = machine.predict(kernel[np.ix_(held_out, ~held_out)])
    uf1 = f1_score(clips.label_N, prediction, average="macro")
    return uf1, recall_score(clips.label_N, prediction, average="macro")


def test_neither_trivial_nor_hopeless(clips):
    uf1, _ = loso_scores(clips)
    assert 0.60 <= uf1 <= 0.80


def test_shuffled_labels_score_at_chance(small):
    scores = [loso_scores(shuffle_labels(small, seed))[1] for seed in range(8)]
    # A recall over n clips has the variance 2/9 / n at chance; UAR is the mean of three.
    spread = np.sqrt(sum(2 / 9 / n for n in np.bincount(small.label_N))) / 3
    assert abs(np.mean(scores) - 1 / 3) < 3 * spread / np.sqrt(len(scores))


@pytest.mark.parametrize(("layout", "size"), [("six", "small"), ("five", "huge")])
def test_unknown_layout_or_size_lists_what_is_allowed(layout, size):
    with pytest.raises(InputError, match="allowed are"):
        synthetic.make(layout, size)
