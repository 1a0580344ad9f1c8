"""The loops around all folds of a device, with a step that can be worked out by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import small_problem

from ahmsa_jax.training import step as train
from ahmsa_jax.training.epochs import MAX_DISPATCH_EPOCHS, Epochs
from ahmsa_jax.training.protocols import EpochShape

CLIPS = 10
# Clips 0 and 1 are held out of the first fold, clip 5 of the second.
HELD_OUT = ([0, 1], [5])
# Six clips, then up to three: the first fold's last step has one place too many.
SHAPE = EpochShape(steps=2, batch_size=6, last_size=3)
ORDERED = dataclasses.replace(small_problem.TRAINING, shuffle=False)
SUM, NOISE = ("sum",), ("noise",)


@jax.custom_batching.custom_vmap
def doubled(x):
    return 2 * x


BATCHED = []


@doubled.def_vmap
def _(size, is_mapped, x):
    BATCHED.append(size)
    return 2 * x, is_mapped[0]


def step(state, fold, data, index_B, real_B, key):
    """No training: the clips' numbers are added up, and so is what the key draws."""
    number_B = jnp.where(real_B, index_B, 0).astype(jnp.float32)
    added = doubled(jnp.sum(number_B)) / 2
    live = {
        SUM: state.live[SUM] + added,
        NOISE: state.live[NOISE] + jax.random.uniform(key),
    }
    return state._replace(live=live), added / jnp.sum(real_B)


def run(shape: EpochShape, first: int, count: int):
    """State and losses of both folds."""
    learner = train.make_learner(small_problem.MODEL, ORDERED)
    zeros = jnp.zeros(len(HELD_OUT))
    train_N = np.ones((len(HELD_OUT), CLIPS), bool)
    for row, clips in enumerate(HELD_OUT):
        train_N[row, clips] = False
    keys = jax.vmap(jax.random.key)(jnp.arange(len(HELD_OUT)))
    fold = train.FoldInput({}, jnp.asarray(train_N), jnp.zeros((len(HELD_OUT), 2), int), keys)
    data = train.Data({}, jnp.zeros(CLIPS, int))
    state = train.FoldState({SUM: zeros, NOISE: zeros}, (), {})
    epochs = jax.jit(Epochs(learner, shape, step, eval_every=0).run)
    state, loss_SxE, _ = epochs(state, fold, data, np.int32(first), np.int32(count))
    return state.live, np.asarray(loss_SxE)


def test_each_training_clip_is_taken_once_an_epoch_and_the_loss_is_the_mean_over_them():
    live, loss_SxE = run(SHAPE, 0, 2)
    # The numbers of all clips add up to 45.
    np.testing.assert_array_equal(live[SUM], [2 * (45 - 1), 2 * (45 - 5)])
    assert loss_SxE.shape == (2, MAX_DISPATCH_EPOCHS)
    np.testing.assert_allclose(loss_SxE[:, :2], [[44 / 8] * 2, [40 / 9] * 2], rtol=1e-6)
    assert not loss_SxE[:, 2:].any()


def test_the_noise_of_a_step_follows_from_fold_epoch_and_number_alone():
    live, _ = run(SHAPE, 3, 2)
    for row in range(len(HELD_OUT)):
        key = jax.random.fold_in(jax.random.key(row), 2)
        keys = [jax.random.fold_in(key, epoch) for epoch in (3, 4)]
        drawn = [jax.random.uniform(jax.random.fold_in(k, n)) for k in keys for n in (0, 1)]
        np.testing.assert_allclose(live[NOISE][row], sum(drawn), rtol=1e-6)


def test_the_axis_of_the_folds_is_traced_once_through_each_step():
    """Two kinds of steps, whatever their number: full ones and the last one."""
    BATCHED.clear()
    live, _ = run(EpochShape(steps=4, batch_size=2, last_size=3), 0, 5)
    assert len(BATCHED) == 2
    np.testing.assert_array_equal(live[SUM], [5 * 44, 5 * 40])
