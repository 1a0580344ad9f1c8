"""What makes a LOSO number trustworthy: no leak, no influence of neighbours, padding or order."""

import dataclasses

import jax
import numpy as np
import optax
import pytest
import small_problem
from small_problem import TRAINING, data, engine, folds, trained

from ahmsa_jax import train
from ahmsa_jax.engine import Job
from ahmsa_jax.initial import initial_params, parameter_shapes
from ahmsa_jax.model import is_dead

ALL_JOBS = [Job(0, fold) for fold in folds()]
# Folds trained together, one of them poisoned: f has one clip, a has seven.
CHUNK = 3


def same(first, second) -> bool:
    return all(np.array_equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def clean():
    return trained(ALL_JOBS[:CHUNK], 3, size=CHUNK)


@pytest.mark.parametrize("what", ["pixels", "labels"])
@pytest.mark.parametrize("victim", [0, 1, 2])
def test_held_out_clips_cannot_reach_their_fold(clean, what, victim):
    flow, label = data()
    own = ALL_JOBS[victim].fold.test_index
    if what == "pixels":
        # Finite: NaN would not show wherever it is multiplied away.
        flow[own] = np.random.default_rng(1).uniform(-1e4, 1e4, flow[own].shape)
    else:
        label[own] = (label[own] + 1) % small_problem.CLASSES
    poisoned, losses, _ = trained(ALL_JOBS[:CHUNK], 3, size=CHUNK, flow=flow, label=label)
    for place, (before, after) in enumerate(zip(clean[0], poisoned, strict=True)):
        if place == victim:
            assert same(before, after), "the held-out subject's clips changed its own fold"
            np.testing.assert_array_equal(clean[1][place], losses[place])
        else:
            # The positive control: the same clips do train the other folds.
            assert not same(before, after)


def test_prediction_reads_the_held_out_pixels(clean):
    flow, _ = data()
    own = ALL_JOBS[1].fold.test_index
    flow[own] = 255 - flow[own]
    _, _, probability = trained(ALL_JOBS[:CHUNK], 3, size=CHUNK, flow=flow)
    assert not np.array_equal(probability[1], clean[2][1])
    assert probability[1].shape == (len(own), 3)


def test_every_clip_is_predicted_exactly_once():
    parts = [trained(ALL_JOBS[first : first + CHUNK], 1, size=CHUNK) for first in (0, CHUNK)]
    probability = [found for part in parts for found in part[2]]
    index = np.concatenate([job.fold.test_index for job in ALL_JOBS])
    assert sorted(index.tolist()) == list(range(len(small_problem.SUBJECTS)))
    assert [len(p) for p in probability] == [len(job.fold.test_index) for job in ALL_JOBS]
    np.testing.assert_allclose(np.concatenate(probability).sum(axis=1), 1, atol=1e-6)


def assert_equal_to_rounding(first, second, start):
    """Two trainings of a fold agree over ten steps.

    Losses: 1e-4 relative. Other folds or seeds differ by 1e-3 and more (see the control below);
    float32 products summed in another order were seen to differ by 1.3e-5.
    Parameters: Adam divides a gradient by its own size, so that an element whose gradient is all
    rounding error still moves by a whole step, either way. Each leaf is therefore held to 2 % of
    the way that training moved it (by norm), where different data gives far above 10 %.
    """
    parameters, losses, _ = first
    np.testing.assert_allclose(losses, second[1], rtol=1e-4)
    for name, value in parameters.items():
        moved = np.linalg.norm(value - start[name])
        gap = np.linalg.norm(value - second[0][name])
        assert gap <= 0.02 * moved, f"{name}: gap {gap:.3g} of a way of {moved:.3g}"


def row(result, place):
    return result[0][place], result[1][place], result[2][place]


@pytest.mark.parametrize("seed", [0, 7])
def test_fold_does_not_depend_on_the_chunk(seed):
    jobs = [Job(seed, fold) for fold in folds()]
    together = trained(jobs[:CHUNK], 5, size=CHUNK)
    start = engine(1).start([jobs[2]])
    initial = engine(1).parameters(start, [jobs[2]])[0]
    alone = trained([jobs[2]], 5, size=1)
    assert_equal_to_rounding(row(together, 2), row(alone, 0), initial)
    # Another position among other neighbours.
    shuffled = trained([jobs[4], jobs[2], jobs[5]], 5, size=CHUNK)
    assert_equal_to_rounding(row(shuffled, 1), row(alone, 0), initial)


def test_tolerance_tells_folds_apart():
    """The positive control of the comparison above: another seed's fold fails it clearly."""
    first = trained([ALL_JOBS[2]], 5, size=1)
    other = trained([ALL_JOBS[3]], 5, size=1)
    assert np.abs(first[1] / other[1] - 1).max() > 1e-3
    start = engine(1).parameters(engine(1).start([ALL_JOBS[2]]), [ALL_JOBS[2]])[0]
    moved = {name: np.linalg.norm(leaf - start[name]) for name, leaf in first[0][0].items()}
    gap = {name: np.linalg.norm(leaf - other[0][0][name]) for name, leaf in first[0][0].items()}
    assert gap["head/kernel"] > 0.1 * moved["head/kernel"]


def test_vmapped_fold_equals_the_plain_functions():
    """The engine's fold against a loop that calls train_step alone, without vmap, pmap or scan."""
    job = ALL_JOBS[1]
    program = engine(1)
    model = train.make_model(small_problem.MODEL, TRAINING)
    optimizer = train.make_optimizer(TRAINING)
    key = train.fold_key(0, np.uint32(job.fold.stable_id))
    shapes = parameter_shapes(model, small_problem.MODEL)
    state, dead = train.init_fold(key, shapes, small_problem.MODEL, optimizer)
    initial = {"/".join(path): np.asarray(leaf) for path, leaf in {**state.live, **dead}.items()}
    flow, label = data()
    arrays = train.Data(jax.numpy.asarray(flow), jax.numpy.asarray(label))
    fold = train.FoldInput(dead, jax.numpy.asarray(job.fold.train_N), train.shuffle_key(key))
    losses = []
    with train.matmul_precision(TRAINING):
        step = jax.jit(lambda s, i, r: train.train_step(model, optimizer, s, fold, arrays, i, r))
        for epoch in range(5):
            index, real = train.epoch_order(fold, epoch, program.shape, shuffle=True)
            kept = np.asarray(index)[np.asarray(real)]
            parts = [kept[:16], kept[16:]]
            total = 0.0
            for part in parts:
                state, loss = step(state, part, np.ones(len(part), bool))
                total += float(loss) * len(part)
            losses.append(total / len(kept))
    parameters = {"/".join(path): np.asarray(v) for path, v in {**state.live, **dead}.items()}
    engined = trained([job], 5, size=1)
    assert_equal_to_rounding((parameters, np.array(losses), None), row(engined, 0), initial)


def test_repeat_is_bitwise():
    first = trained(ALL_JOBS[:CHUNK], 3, size=CHUNK)
    second = trained(ALL_JOBS[:CHUNK], 3, size=CHUNK)
    for before, after in zip(first[0], second[0], strict=True):
        assert same(before, after)
    np.testing.assert_array_equal(first[2][0], second[2][0])


def test_dispatches_of_any_length_are_one_training():
    program = engine(CHUNK)
    placed = program.place_data(*data())
    chunk = program.start(ALL_JOBS[:CHUNK])
    parts = [program.run_epochs(chunk, placed, first, n) for first, n in ((0, 1), (1, 3), (4, 1))]
    whole, losses, _ = trained(ALL_JOBS[:CHUNK], 5, size=CHUNK)
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), losses)
    assert same(program.parameters(chunk, ALL_JOBS[:CHUNK])[2], whole[2])


def test_four_devices_equal_one():
    spread = trained(ALL_JOBS, 5, size=len(ALL_JOBS), devices=4)
    alone = trained([ALL_JOBS[5]], 5, size=1)
    initial = engine(1).parameters(engine(1).start([ALL_JOBS[5]]), [ALL_JOBS[5]])[0]
    assert engine(len(ALL_JOBS), 4).size == 8  # six folds on four devices: two places are dummies
    assert_equal_to_rounding(row(spread, 5), row(alone, 0), initial)


def test_seeds_and_subjects_give_other_parameters():
    def first_kernel(job):
        chunk = engine(1).start([job])
        return engine(1).parameters(chunk, [job])[0]["patch_embedding/kernel"]

    one, again = first_kernel(ALL_JOBS[0]), first_kernel(ALL_JOBS[0])
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, first_kernel(Job(1, ALL_JOBS[0].fold)))
    assert not np.array_equal(one, first_kernel(ALL_JOBS[1]))


@pytest.fixture(scope="module")
def one_fold():
    """A fold's pieces for calling train's functions by hand."""
    job = ALL_JOBS[0]
    model = train.make_model(small_problem.MODEL, TRAINING)
    optimizer = train.make_optimizer(TRAINING)
    key = train.fold_key(3, np.uint32(job.fold.stable_id))
    shapes = parameter_shapes(model, small_problem.MODEL)
    state, dead = train.init_fold(key, shapes, small_problem.MODEL, optimizer)
    flow, label = data()
    arrays = train.Data(jax.numpy.asarray(flow), jax.numpy.asarray(label))
    fold = train.FoldInput(dead, jax.numpy.asarray(job.fold.train_N), train.shuffle_key(key))
    return model, optimizer, state, fold, arrays


def test_masked_rows_are_neutral(one_fold):
    model, _, state, fold, arrays = one_fold
    index = np.array([8, 9, 10, 11, 12, 7, 7, 7])
    real = np.array([True] * 5 + [False] * 3)
    gradient = jax.jit(
        lambda i, r: jax.value_and_grad(train.mean_loss, argnums=1)(
            model, state.live, fold.dead, arrays.flow_NxHxWxC[i], arrays.label_N[i], r
        )
    )
    padded_loss, padded = gradient(index, real)
    subset_loss, subset = gradient(index[:5], real[:5])
    np.testing.assert_allclose(padded_loss, subset_loss, rtol=1e-6)
    for path in subset:
        scale = float(np.abs(subset[path]).max())
        # float32 sums in another order: 1e-5 of the leaf's largest gradient.
        np.testing.assert_allclose(padded[path], subset[path], atol=1e-5 * scale, err_msg=path)


def test_loss_is_the_mean_cross_entropy(one_fold):
    model, _, state, fold, arrays = one_fold
    index = np.array([8, 9, 10])
    params = {"params": train.join_params(state.live, fold.dead)}
    logits, _ = jax.jit(model.apply)(params, arrays.flow_NxHxWxC[index])
    logits = np.asarray(logits, np.float64)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probability = shifted / shifted.sum(axis=1, keepdims=True)
    by_hand = -np.log(probability[np.arange(3), np.asarray(arrays.label_N)[index]]).mean()
    flow, label = arrays.flow_NxHxWxC[index], arrays.label_N[index]
    loss = jax.jit(
        lambda live: train.mean_loss(model, live, fold.dead, flow, label, np.ones(3, bool))
    )(state.live)
    np.testing.assert_allclose(loss, by_hand, rtol=1e-6)


def test_gradient_reaches_every_live_parameter_and_no_dead_one(one_fold):
    model, _, state, fold, arrays = one_fold
    index = np.arange(7, 24)

    def loss(everything):
        live = {path: everything[path] for path in state.live}
        dead = {path: everything[path] for path in fold.dead}
        return train.mean_loss(
            model, live, dead, arrays.flow_NxHxWxC[index], arrays.label_N[index], np.ones(17, bool)
        )

    gradient = jax.jit(jax.grad(loss))({**state.live, **fold.dead})
    # One block at the top, with a query and a key.
    assert len(fold.dead) == 2
    for path, leaf in gradient.items():
        largest = float(np.abs(leaf).max())
        if is_dead(path, small_problem.MODEL):
            assert largest == 0.0, path
        else:
            assert largest > 0.0, path


def test_first_adam_step_has_the_size_of_the_learning_rate(one_fold):
    """Adam's first update is lr * g / (|g| + eps): the learning rate wherever g is not tiny."""
    model, optimizer, state, fold, arrays = one_fold
    index = np.arange(7, 23)
    everyone = np.ones(16, bool)

    @jax.jit
    def step_and_gradient(state):
        after, _ = train.train_step(model, optimizer, state, fold, arrays, index, everyone)
        flow, label = arrays.flow_NxHxWxC[index], arrays.label_N[index]
        gradient = jax.grad(train.mean_loss, argnums=1)
        return after, gradient(model, state.live, fold.dead, flow, label, everyone)

    after, gradient = step_and_gradient(state)
    path = ("head", "kernel")
    moved = np.asarray(after.live[path], np.float64) - np.asarray(state.live[path])
    g = np.asarray(gradient[path], np.float64)
    # float32 cannot hold a change of 5e-6 to a weight of 0.1 better than to 1e-8.
    np.testing.assert_allclose(moved, -5e-6 * g / (np.abs(g) + 1e-8), atol=1.5e-8)


def test_optimizer_is_torchs_adam():
    """Three updates against Kingma and Ba's formulas in float64, with PyTorch's defaults."""
    optimizer = train.make_optimizer(dataclasses.replace(TRAINING, learning_rate=0.1))
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
    fold = one_fold[3]
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
    shapes = parameter_shapes(model, small_problem.MODEL)
    params = initial_params(jax.random.key(0), shapes)
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
    shapes = parameter_shapes(model, small_problem.MODEL)
    ours = initial_params(jax.random.key(0), shapes)
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


def test_training_program_holds_no_convolution():
    program = engine(CHUNK)
    placed = program.place_data(*data())
    chunk = program.start(ALL_JOBS[:CHUNK])
    one = np.int32(1)
    text = program._train.lower(chunk.state, chunk.inputs, placed, one, one).as_text()
    assert "dot_general" in text
    assert "convolution" not in text
