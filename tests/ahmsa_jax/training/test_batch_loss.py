"""The loss of a step under every ingredient: by hand, by what it must equal, by what it may see.

Modules tried here without being imported: ahmsa_jax.training.losses.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_problem
from small_problem import TRAINING, folds, inputs

from ahmsa_jax.inputs.mirror import mirrored
from ahmsa_jax.training import facts, step
from ahmsa_jax.training.batch_loss import loss_of_batch
from ahmsa_jax.training.fold_state import Data, FoldInput
from ahmsa_jax.training.protocols import Job, epoch_shapes

JOB = Job(0, folds()[0])
INDEX = np.flatnonzero(JOB.fold.train_N)[:8]
REAL = np.array([True] * 6 + [False] * 2)


def prepared(label=None, flow=None, train_N=None, **settings):
    """A learner, a fresh fold, what it reads, and the clips."""
    training = dataclasses.replace(TRAINING, **settings)
    learner = step.make_learner(small_problem.MODEL, training)
    arrays, labels = inputs()
    flow = arrays["flow"] if flow is None else flow
    data = Data({"flow": jnp.asarray(flow)}, jnp.asarray(labels if label is None else label))
    key = step.fold_key(0, np.uint32(JOB.fold.stable_id))
    state, dead = step.init_fold(key, learner)
    train_N = JOB.fold.train_N if train_N is None else train_N
    fold = FoldInput(dead, jnp.asarray(train_N), jnp.asarray(JOB.fold.test_index), key)
    return learner, state, facts.known(learner, fold, data), data


def loss(learner, state, fold, data, key=None, index=INDEX, real=REAL):
    of = loss_of_batch(learner, state, fold, data, jnp.asarray(index), jnp.asarray(real), key)
    return float(of(state.live)[0])


def logits_of(learner, state, fold, data, index=INDEX):
    variables = step.variables_of(state.live, fold.dead, state.statistics)
    return np.array(learner.model.apply(variables, data.inputs["flow"][index])[0])


def as_pytorch(logits, label, weight=None, smoothing=0.0):
    """Mean over real clips of cross_entropy(label_smoothing=...) as PyTorch defines it, by hand."""
    logits, label = logits[REAL].astype(np.float64), label[REAL]
    surprise = np.log(np.exp(logits).sum(axis=1, keepdims=True)) - logits
    own = surprise[np.arange(len(label)), label]
    each = (1 - smoothing) * own + smoothing * surprise.mean(axis=1)
    return (each * (1 if weight is None else weight[label])).mean()


def test_smoothing_and_class_weights_are_pytorchs_times_the_weight_of_the_clip():
    _, labels = inputs()
    label = np.where(np.arange(len(labels)) < 14, 0, labels)
    pieces = prepared(label, label_smoothing=0.2, class_weights=True)
    count = np.bincount(label[JOB.fold.train_N], minlength=3)
    weight = JOB.fold.train_N.sum() / (3 * count)
    np.testing.assert_allclose(pieces[2].class_weight_K, weight, rtol=1e-6)
    expected = as_pytorch(logits_of(*pieces), label[INDEX], weight, smoothing=0.2)
    assert loss(*pieces) == pytest.approx(expected, rel=1e-5)


def test_weights_and_shares_come_from_the_clips_being_trained_on_alone():
    """Held-out clips of another class, or other maps, change none of them."""
    arrays, label = inputs()
    poisoned, changed = arrays["flow"].copy(), label.copy()
    poisoned[JOB.fold.test_index] = 1e6
    changed[JOB.fold.test_index] = 2
    settings = {"class_weights": True, "fold_std": True, "loss": "logit_adjusted"}
    fold, other = prepared(**settings)[2], prepared(changed, poisoned, **settings)[2]
    for name in ("std_C", "class_weight_K", "log_prior_K"):
        np.testing.assert_array_equal(getattr(fold, name), getattr(other, name))
    # The control: a training clip changes them all.
    changed[INDEX[0]], poisoned[INDEX[0]] = (label[INDEX[0]] + 1) % 3, 3.0
    moved = prepared(changed, poisoned, **settings)[2]
    for name in ("std_C", "class_weight_K", "log_prior_K"):
        assert (getattr(fold, name) != getattr(moved, name)).any(), name


def test_a_class_that_a_fold_cannot_learn_weighs_nothing():
    np.testing.assert_allclose(
        facts.class_weights(jnp.array([6.0, 0.0, 2.0])), [8 / 12, 0, 8 / 4], rtol=1e-6
    )


def test_deviations_are_numpys():
    arrays, _ = inputs()
    found = facts.channel_deviations(jnp.asarray(JOB.fold.train_N), jnp.asarray(arrays["flow"]))
    expected = arrays["flow"][JOB.fold.train_N].astype(np.float64).std(axis=(0, 1, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    still = jnp.zeros((4, 2, 2, 3))
    np.testing.assert_array_equal(facts.channel_deviations(jnp.ones(4, bool), still), 1)


def test_fold_std_is_the_network_on_divided_maps():
    arrays, _ = inputs()
    pieces = prepared(fold_std=True)
    by_hand = prepared(flow=arrays["flow"] / np.asarray(pieces[2].std_C))
    assert loss(*pieces) == pytest.approx(loss(*by_hand), rel=1e-5)
    probability = [
        np.asarray(step.predict(p[0], p[1], p[2], p[3], p[2].test_T)) for p in (pieces, by_hand)
    ]
    np.testing.assert_allclose(*probability, atol=1e-6)


def test_logit_adjustment_with_equal_shares_is_cross_entropy():
    equal = np.arange(24) % 3
    train_N = np.arange(24) < 21
    adjusted = prepared(equal, train_N=train_N, loss="logit_adjusted")
    assert loss(*adjusted) == pytest.approx(loss(*prepared(equal, train_N=train_N)), rel=1e-6)


def test_logit_adjustment_by_hand():
    label = np.where(np.arange(24) < 16, 0, 1 + np.arange(24) % 2)
    pieces = prepared(label, loss="logit_adjusted")
    data = pieces[3]
    label = np.asarray(data.label_N)[INDEX]
    share = np.bincount(np.asarray(data.label_N)[JOB.fold.train_N], minlength=3) / 17
    expected = as_pytorch(logits_of(*pieces) + np.log(share).astype(np.float32), label)
    assert loss(*pieces) == pytest.approx(expected, rel=1e-5)


def test_mixup_mixes_maps_and_losses_with_one_share_among_real_clips():
    """Found again from the maps that the network is given; padding is never mixed in."""
    arrays, _ = inputs()
    seen = []
    learner, state, fold, data = prepared(augment=("mixup",))

    class Watching:
        def apply(self, variables, flow, **more):
            seen.append(flow)
            return learner.model.apply(variables, flow, **more)

    mean_loss = loss(learner._replace(model=Watching()), state, fold, data, jax.random.key(4))
    mixed, clips = np.asarray(seen[0]), arrays["flow"][INDEX]
    real = np.flatnonzero(REAL)
    partner, shares = [], []
    for row in real:
        fits = []
        for other in real:
            way = clips[other] - clips[row]
            if other == row:
                continue
            away = ((mixed[row] - clips[row]) * way).sum() / (way**2).sum()
            rest = np.abs(mixed[row] - clips[row] - away * way).max()
            fits.append((rest, other, 1 - away))
        rest, other, share = min(fits)
        # A clip may be mixed with itself.
        if np.allclose(mixed[row], clips[row], atol=1e-3):
            other, share, rest = row, np.nan, 0
        assert rest < 1e-2
        partner.append(other)
        shares.append(share)
    assert sorted(partner) == list(real)
    share = np.nanmean(shares)
    np.testing.assert_allclose(np.array(shares)[~np.isnan(shares)], share, atol=1e-4)
    logits = np.array(learner.model.apply(step.variables_of(state.live, fold.dead, {}), seen[0])[0])
    label = np.asarray(data.label_N)[INDEX]
    own = as_pytorch(logits, label)
    swapped = label.copy()
    swapped[real] = label[partner]
    assert mean_loss == pytest.approx(
        share * own + (1 - share) * as_pytorch(logits, swapped), rel=1e-4
    )


def test_without_a_key_nothing_is_drawn():
    plain = loss(*prepared())
    assert loss(*prepared(augment=("mirror", "affine", "mixup"))) == pytest.approx(plain, rel=1e-6)
    assert loss(
        *prepared(augment=("mirror", "affine", "mixup")), jax.random.key(4)
    ) != pytest.approx(plain)


@pytest.mark.parametrize("norm", ["none", "robust"])
def test_mirrored_copies_are_averaged_at_test(norm):
    learner, state, fold, data = prepared(test_mirror=True, input_norm=norm)
    plain = prepared(input_norm=norm)[0]
    flow = np.asarray(data.inputs["flow"])
    turned = data._replace(inputs={"flow": jnp.asarray(mirrored(flow, centred=norm != "none"))})
    both = [step.predict(plain, state, fold, clips, fold.test_T) for clips in (data, turned)]
    found = step.predict(learner, state, fold, data, fold.test_T)
    np.testing.assert_allclose(found, (both[0] + both[1]) / 2, atol=1e-6)
    # A mirrored data set is predicted alike.
    again = step.predict(learner, state, fold, turned, fold.test_T)
    np.testing.assert_allclose(found, again, atol=1e-6)


def test_balanced_draws_take_training_clips_of_every_class_alike():
    label = np.where(np.arange(24) < 19, 0, 1 + np.arange(24) % 2)
    train_N = np.ones(24, bool)
    train_N[[2, 20]] = False
    fold = FoldInput({}, jnp.asarray(train_N), jnp.zeros(1, int), jax.random.key(1))
    shape = epoch_shapes([dataclasses.replace(JOB.fold, train_N=train_N)], 8)[JOB.fold.key]
    drawn = [
        np.asarray(step.epoch_order(fold, jnp.int32(e), shape, shuffle=True, balanced_N=label)[0])
        for e in range(60)
    ]
    assert (drawn[0] != drawn[1]).any()
    drawn = np.concatenate(drawn)
    assert train_N[drawn].all()
    assert set(drawn) == set(np.flatnonzero(train_N))
    share = np.bincount(label[drawn]) / len(drawn)
    assert np.abs(share - 1 / 3).max() < 5 * np.sqrt(2 / 9 / len(drawn))


def test_an_incomplete_last_batch_can_be_left_out():
    """17 training clips in batches of 8: two full ones, and no place for a 17th."""
    shapes = epoch_shapes(folds(), 8, drop_last=True)
    shape = shapes[JOB.fold.key]
    assert (shape.steps, shape.last_size, shape.places) == (2, 8, 16)
    fold = FoldInput({}, jnp.asarray(JOB.fold.train_N), jnp.zeros(1, int), jax.random.key(1))
    index, real = step.epoch_order(fold, jnp.int32(0), shape, shuffle=True)
    assert real.all()
    assert len(set(np.asarray(index).tolist())) == 16
    # A fold of fewer clips than a batch keeps its only one.
    few = epoch_shapes(folds(), 64, drop_last=True)[JOB.fold.key]
    assert (few.steps, few.last_size) == (1, 24)
