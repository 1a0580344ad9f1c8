"""Probabilities from decisions, pooling, and the two kernels against independent computations.

Modules tried here without being imported:
experiments.classical_methods.majority.
"""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from sklearn.svm import SVC

from ahmsa_jax.inputs.input_norm import normalised
from ahmsa_jax.inputs.mirror import mirrored
from experiments.classical_methods import kernel_flow, machines, svm_maps
from experiments.classical_methods.method import FoldTask, Places
from experiments.classical_methods.pooling import smoothed
from experiments.classical_methods.registry import METHODS
from experiments.classical_methods.settings import KernelFlowConfig, MajorityConfig, SvmConfig
from input_pipeline.maps import synthetic

CLIPS = synthetic.make("whole", "small").rows(np.arange(60))
TRAIN, TEST = np.arange(15, 60), np.arange(15)


def task(classes: int = 3, labels: np.ndarray | None = None) -> FoldTask:
    label_N = CLIPS.label_N if labels is None else labels
    return FoldTask(TRAIN, label_N[TRAIN], TEST, classes)


def described(name: str):
    return METHODS[name].described(CLIPS, METHODS[name].config(), Places(None))


def test_softmax_by_hand():
    found = machines.softmax(np.array([[0.0, np.log(3.0), -np.inf]]), 1.0)
    np.testing.assert_allclose(found, [[0.25, 0.75, 0]], rtol=1e-6)
    sharper = machines.softmax(np.array([[0.0, np.log(3.0) / 2]]), 0.5)
    np.testing.assert_allclose(sharper, [[0.25, 0.75]], rtol=1e-6)


PROBABILITIES = st.lists(
    st.tuples(st.lists(st.integers(0, 4), min_size=3, max_size=3), st.integers(0, 2)),
    min_size=1,
    max_size=20,
)


@given(PROBABILITIES)
@settings(max_examples=100, deadline=None)
def test_the_prediction_has_the_largest_probability_and_the_values_stay(rows):
    probability = np.array([values for values, _ in rows], np.float32) / 12
    prediction = np.array([answer for _, answer in rows])
    changed = machines.with_largest(probability, prediction)
    np.testing.assert_array_equal(changed.argmax(axis=1), prediction)
    np.testing.assert_allclose(np.sort(changed), np.sort(probability), atol=1e-7)
    same = probability.argmax(axis=1) == prediction
    np.testing.assert_array_equal(changed[same], probability[same])


@pytest.mark.parametrize("labels", [CLIPS.label_N, np.where(CLIPS.label_N == 1, 2, 0)])
def test_svm_maps_predicts_what_scikit_learn_does(labels):
    maps = normalised("unit", CLIPS.flow_NxHxWxC, CLIPS.flow_whole_NxHxWxC).astype(np.float64)
    kernel = (
        sum((channel := maps[..., c].reshape(len(CLIPS), -1)) @ channel.T for c in range(3)) / 3
    )
    machine = SVC(C=1, kernel="precomputed", class_weight="balanced")
    machine.fit(kernel[np.ix_(TRAIN, TRAIN)], labels[TRAIN])
    found = svm_maps.predict(described("svm_maps"), task(labels=labels), SvmConfig())
    expected = machine.predict(kernel[np.ix_(TEST, TRAIN)])
    np.testing.assert_array_equal(found.argmax(axis=1), expected)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    # A class that nobody was trained on has no chance.
    assert not found[:, np.setdiff1d(range(3), labels[TRAIN])].any()


def test_svm_c_matters():
    kernel = described("svm_maps")
    first, second = (
        svm_maps.predict(kernel, task(), SvmConfig(svm_c=value)) for value in (0.01, 100)
    )
    assert (first != second).any()


@pytest.mark.parametrize("sigma", [0.7, 1.0, 1.2, 1.5])
def test_smoothing_is_scipys(sigma):
    maps = np.random.default_rng(0).normal(size=(2, 28, 28))
    expected = gaussian_filter(maps, (0, sigma, sigma), mode="reflect")
    np.testing.assert_allclose(smoothed(maps, sigma), expected, atol=1e-12)
    np.testing.assert_allclose(smoothed(maps, sigma, 2), expected[:, ::2, ::2], atol=1e-12)


def test_kernel_flow_is_kernel_ridge_regression_with_weighted_clips():
    maps = normalised("robust", CLIPS.flow_NxHxWxC, CLIPS.flow_whole_NxHxWxC)
    plain = kernel_flow.descriptions(maps)
    across = kernel_flow.descriptions(mirrored(maps, centred=True))
    kernels = []
    for own, other in zip(plain, across, strict=True):
        near = ((own[:, None] - own[None, TRAIN]) ** 2).sum(axis=-1)
        far = ((own[:, None] - other[None, TRAIN]) ** 2).sum(axis=-1)
        among = near[TRAIN]
        scale = np.median(among[~np.eye(len(TRAIN), dtype=bool)])
        kernels += [np.exp(-near / scale), np.exp(-far / scale)]
    kernel = np.mean(kernels, axis=0) + 1
    label = CLIPS.label_N[TRAIN]
    weight = len(TRAIN) / (3 * np.bincount(label)[label])
    # A ridge divided by a weight is that weight on the squared error: W (y - K a) = ridge a.
    weighted = weight[:, None] * kernel[TRAIN] + 0.3 * np.eye(len(TRAIN))
    target = weight[:, None] * (np.eye(3)[label] - 1 / 3)
    expected = kernel[TEST] @ np.linalg.lstsq(weighted, target, rcond=None)[0]
    found = kernel_flow.decision(described("kernel_flow"), task(), KernelFlowConfig())
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # kernel_scale multiplies the median: twice the distances at twice the width are the same.
    wider = KernelFlowConfig(kernel_scale=2.0)
    twice = kernel_flow.decision(described("kernel_flow") * 2, task(), KernelFlowConfig())
    np.testing.assert_allclose(twice, expected, atol=1e-6)
    roots = kernel_flow.decision(described("kernel_flow"), task(), wider)
    halves = [np.sqrt(one) for one in kernels]
    kernel = np.mean(halves, axis=0) + 1
    weighted = weight[:, None] * kernel[TRAIN] + 0.3 * np.eye(len(TRAIN))
    wide = kernel[TEST] @ np.linalg.lstsq(weighted, target, rcond=None)[0]
    np.testing.assert_allclose(roots, wide, atol=1e-6)
    probability = kernel_flow.predict(described("kernel_flow"), task(), KernelFlowConfig())
    expected = np.exp(expected / 0.2) / np.exp(expected / 0.2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probability, expected, atol=1e-5)


def test_descriptions_by_hand():
    # u rises by 1 a column: stretching, no turning; its gradient points to the right, bin 0.
    maps = np.zeros((1, 28, 28, 3))
    maps[..., 0] = np.arange(28) - 13.5
    _, turns, parts, changes = kernel_flow.descriptions(maps)
    inner = (slice(None), slice(4, 10), slice(4, 10))
    bins = turns.reshape(1, 16, 14, 14)
    np.testing.assert_allclose(bins[0, 0][4:10, 4:10], 1, atol=1e-6)
    # The root of a rounding error stays.
    assert bins[0, 1:].max() < 1e-6
    divergence, less, curl, curl_less, shear, shear_less, other, other_less = changes.reshape(
        8, 14, 14
    )[:, None]
    np.testing.assert_allclose([divergence[inner], shear[inner]], 1, atol=1e-6)
    assert not any(part.any() for part in (less, curl, curl_less, shear_less, other, other_less))
    # u+ is on the right half, u- on the left one, mirror images of each other.
    right, _, strain, left, _ = parts.reshape(5, 14, 14)
    assert not strain.any()
    assert right[:, 10:].min() > 2 > 0 == right[:, :3].max()
    assert left[:, :4].min() > 2 > 0 == left[:, 11:].max()


def test_a_mirrored_clip_is_predicted_alike_by_kernel_flow():
    # Every kernel is averaged with the one against the mirrored clip; pooling keeps every second
    # pixel, so that the mirrored features differ a little.
    maps = CLIPS.flow_NxHxWxC.copy()
    maps[:15] = mirrored(maps[:15], centred=False)
    other = dataclasses.replace(CLIPS, flow_NxHxWxC=maps, flow_whole_NxHxWxC=maps)
    found = kernel_flow.decision(described("kernel_flow"), task(), KernelFlowConfig())
    method = METHODS["kernel_flow"]
    turned = kernel_flow.decision(
        method.described(other, KernelFlowConfig(), Places(None)), task(), KernelFlowConfig()
    )
    np.testing.assert_allclose(found, turned, atol=0.05)


def test_majority_by_hand():
    labels = np.array([0, 0, 1, 1, 1, 2])
    of_six = FoldTask(np.arange(6), labels, np.arange(2), 3)
    found = METHODS["majority"].predicted(None, of_six, MajorityConfig())
    np.testing.assert_allclose(found, [[2 / 6, 3 / 6, 1 / 6]] * 2, rtol=1e-6)
    equal = of_six._replace(label_T=np.array([2, 2, 1, 1, 0, 2]) % 3)
    found = METHODS["majority"].predicted(None, equal._replace(label_T=labels[[0, 0, 2, 2]]), None)
    assert found.argmax(axis=1).tolist() == [0, 0]


@pytest.mark.parametrize("name", ["majority", "svm_maps", "kernel_flow"])
def test_one_class_alone_is_predicted(name):
    alone = task(labels=np.full(60, 1))
    found = METHODS[name].predicted(described(name), alone, METHODS[name].config())
    np.testing.assert_array_equal(found, [[0, 1, 0]] * 15)


@pytest.mark.parametrize("name", ["svm_maps", "kernel_flow"])
def test_clips_that_are_all_alike_get_finite_probabilities(name):
    same = np.repeat(CLIPS.flow_NxHxWxC[:1], 60, axis=0)
    for maps in (same, np.zeros_like(same)):
        clips = dataclasses.replace(CLIPS, flow_NxHxWxC=maps, flow_whole_NxHxWxC=maps)
        method = METHODS[name]
        found = method.predicted(
            method.described(clips, method.config(), Places(None)), task(), method.config()
        )
        assert np.isfinite(found).all()
