"""One step, one epoch, one initialisation of a single fold, against definitions and by hand."""

import dataclasses
import gc

import jax
import numpy as np
import optax
import pytest
import small_problem
from small_problem import OPTIMISED, TRAINING, engine, folds, inputs

from ahmsa_jax.networks.ahmsa import is_frozen
from ahmsa_jax.networks.initial import initial_variables
from ahmsa_jax.training import optimizers
from ahmsa_jax.training import step as train
from ahmsa_jax.training.engine import Job

ALL_JOBS = [Job(0, fold) for fold in folds()]


@pytest.fixture(scope="module")
def one_fold():
    """A fold's pieces for calling train's functions by hand."""
    job = ALL_JOBS[0]
    learner = train.make_learner(small_problem.MODEL, TRAINING)
    key = train.fold_key(3, np.uint32(job.fold.stable_id))
    state, dead = train.init_fold(key, learner)
    arrays = train.Data(*jax.tree.map(jax.numpy.asarray, inputs()))
    fold = train.FoldInput(
        dead, jax.numpy.asarray(job.fold.train_N), jax.numpy.asarray(job.fold.test_index), key
    )
    return learner, state, fold, arrays


def gradient_of(learner, state, *batch):
    return train.gradient(train.loss_of_batch(learner, state, *batch), state.live)


def test_masked_rows_are_neutral(one_fold):
    learner, state, fold, arrays = one_fold
    index = np.array([8, 9, 10, 11, 12, 7, 7, 7])
    real = np.array([True] * 5 + [False] * 3)
    gradient = jax.jit(lambda i, r: gradient_of(learner, state, fold, arrays, i, r)[:2])
    # Rounding differs between programs only where the compiler optimises them.
    padded_loss, padded = gradient.lower(index, real).compile(OPTIMISED)(index, real)
    few = (index[:5], real[:5])
    subset_loss, subset = gradient.lower(*few).compile(OPTIMISED)(*few)
    np.testing.assert_allclose(padded_loss, subset_loss, rtol=1e-6)
    for path in subset:
        scale = float(np.abs(subset[path]).max())
        # float32 sums in another order: 1e-5 of the leaf's largest gradient.
        np.testing.assert_allclose(padded[path], subset[path], atol=1e-5 * scale, err_msg=path)


def test_loss_is_the_mean_cross_entropy(one_fold):
    learner, state, fold, arrays = one_fold
    index = np.array([8, 9, 10])
    params = train.variables_of(state.live, fold.dead, {})
    logits, _ = jax.jit(learner.model.apply)(params, arrays.inputs["flow"][index])
    logits = np.asarray(logits, np.float64)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probability = shifted / shifted.sum(axis=1, keepdims=True)
    by_hand = -np.log(probability[np.arange(3), np.asarray(arrays.label_N)[index]]).mean()
    loss = jax.jit(
        lambda state: gradient_of(learner, state, fold, arrays, index, np.ones(3, bool))[0]
    )(state)
    np.testing.assert_allclose(loss, by_hand, rtol=1e-6)


def test_gradient_reaches_every_live_parameter_and_no_dead_one(one_fold):
    learner, state, fold, arrays = one_fold
    index = np.arange(7, 24)

    everything = state._replace(live={**state.live, **fold.dead})
    nothing_dead = fold._replace(dead={})
    gradient = jax.jit(
        lambda state: gradient_of(learner, state, nothing_dead, arrays, index, np.ones(17, bool))[1]
    )(everything)
    # One block at the top, with a query and a key.
    assert len(fold.dead) == 2
    for path, leaf in gradient.items():
        largest = float(np.abs(leaf).max())
        if is_frozen(path, small_problem.MODEL):
            assert largest == 0.0, path
        else:
            assert largest > 0.0, path


def test_first_adam_step_has_the_size_of_the_learning_rate(one_fold):
    """Adam's first update is lr * g / (|g| + eps): the learning rate wherever g is not tiny."""
    learner, state, fold, arrays = one_fold
    index = np.arange(7, 23)
    everyone = np.ones(16, bool)

    @jax.jit
    def step_and_gradient(state):
        after, _ = train.train_step(learner, state, fold, arrays, index, everyone)
        return after, gradient_of(learner, state, fold, arrays, index, everyone)[1]

    after, gradient = step_and_gradient(state)
    path = ("head", "kernel")
    moved = np.asarray(after.live[path], np.float64) - np.asarray(state.live[path])
    g = np.asarray(gradient[path], np.float64)
    # float32 cannot hold a change of 5e-6 to a weight of 0.1 better than to 1e-8.
    np.testing.assert_allclose(moved, -5e-6 * g / (np.abs(g) + 1e-8), atol=1.5e-8)


def test_optimizer_is_torchs_adam():
    """Three updates against Kingma and Ba's formulas in float64, with PyTorch's defaults."""
    optimizer = optimizers.adam(dataclasses.replace(TRAINING, learning_rate=0.1))
    gradients = [0.3, -2.0, 0.001]
    theta, m, v = 1.0, 0.0, 0.0
    value = jax.numpy.asarray(1.0)
    state = optimizer.init(value)
    for step, g in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        theta -= 0.1 * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)) ** 0.5 + 1e-8)
        update, state = optimizer.update(jax.numpy.asarray(g), state)
        value = optax.apply_updates(value, update)
    np.testing.assert_allclose(value, theta, rtol=1e-6)


def test_epoch_order_is_a_fresh_permutation_of_the_training_clips(one_fold):
    fold = one_fold[2]
    shape = engine(1).shape
    train_index = set(np.flatnonzero(np.asarray(fold.train_N)).tolist())
    orders = []
    for epoch in range(3):
        index, real = map(np.asarray, train.epoch_order(fold, epoch, shape, shuffle=True))
        assert real.sum() == len(train_index) == 17
        assert set(index[real].tolist()) == train_index
        # Padding repeats a training clip; a held-out one is never touched.
        assert set(index.tolist()) <= train_index
        orders.append(index[real].tolist())
    assert orders[0] != orders[1] != orders[2]
    fixed, real = map(np.asarray, train.epoch_order(fold, 1, shape, shuffle=False))
    assert fixed[real].tolist() == sorted(train_index)


def test_initial_parameters_have_torchs_ranges():
    """Every Linear and Conv leaf fills +-1/sqrt(fan_in); LayerNorm starts at 1 and 0."""
    model = train.make_model(small_problem.MODEL, TRAINING)
    params, _ = initial_variables(jax.random.key(0), model, small_problem.MODEL)
    for path, leaf in params.items():
        kernel = params.get((*path[:-1], "kernel"))
        value = np.asarray(leaf)
        if kernel is None:
            assert (value == (1 if path[-1] == "scale" else 0)).all(), path
            continue
        bound = np.prod(kernel.shape[:-1]) ** -0.5
        assert np.abs(value).max() <= bound, path
        if value.size > 300:
            assert np.abs(value).max() > 0.98 * bound, path
            # A uniform distribution's deviation is bound / sqrt(3).
            assert value.std() == pytest.approx(bound / 3**0.5, rel=0.1), path


def test_networks_own_initialisers_agree():
    model = train.make_model(small_problem.MODEL, TRAINING)
    ours, _ = initial_variables(jax.random.key(0), model, small_problem.MODEL)
    plain = jax.jit(model.init)(jax.random.key(0), np.zeros((1, 28, 28, 3), np.float32))["params"]
    flat = {
        tuple(key.key for key in path): leaf
        for path, leaf in jax.tree_util.tree_flatten_with_path(plain)[0]
    }
    assert sorted(flat) == sorted(ours)
    for path, leaf in flat.items():
        assert leaf.shape == ours[path].shape
        if leaf.size > 300:
            np.testing.assert_allclose(np.abs(leaf).max(), np.abs(ours[path]).max(), rtol=0.02)


def test_garbage_is_collected_rarely_while_a_program_is_traced():
    usual = gc.get_threshold()
    inside = []
    try:
        # Seldom, often, and never: collecting more often than asked for would be no favour.
        for asked in ((2 * train.COLLECTED_AFTER, 5, 5), (700, 10, 10), (0, 10, 10)):
            gc.set_threshold(*asked)
            with train.computing(small_problem.TRAINING):
                inside.append(gc.get_threshold()[0])
            assert gc.get_threshold() == asked
    finally:
        gc.set_threshold(*usual)
    assert inside == [2 * train.COLLECTED_AFTER, train.COLLECTED_AFTER, 0]
