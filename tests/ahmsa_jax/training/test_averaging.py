"""Means of the weights over a training, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ahmsa_jax.config import TrainConfig
from ahmsa_jax.training import averaging
from ahmsa_jax.training.fold_state import FoldState

WEIGHTS = np.array([4.0, 1.0, -2.0, 0.5, 3.0])


def followed(training, move):
    """What predicts after each of WEIGHTS, and the weight itself as its statistic."""
    state = averaging.started(
        FoldState({("w",): jnp.float32(9)}, (), {("m",): jnp.float32(9)}), training
    )
    found = []
    for place, weight in enumerate(WEIGHTS):
        now = jnp.float32(weight)
        state = move(state._replace(live={("w",): now}, statistics={("m",): now}), place)
        live, statistics = averaging.predicting(state)
        assert live["w",] == statistics["m",]
        found.append(float(live["w",]))
    return found


def test_a_running_mean_weighs_by_powers_of_its_decay():
    training = TrainConfig(ema=0.7)
    found = followed(training, lambda state, _: averaging.after_step(state, training))
    for count in range(1, len(WEIGHTS) + 1):
        weight = 0.7 ** np.arange(count)[::-1]
        expected = (weight * WEIGHTS[:count]).sum() / weight.sum()
        assert found[count - 1] == pytest.approx(expected, rel=1e-6)


def test_the_last_share_of_the_epochs_is_averaged():
    """Of 5 epochs 40 % are the last two; before them the newest weights predict."""
    training = TrainConfig(epochs=5, average_weights=0.4)

    def move(state, epoch):
        return averaging.after_epoch(state, training, jnp.int32(epoch))

    expected = [4.0, 1.0, -2.0, 0.5, (0.5 + 3.0) / 2]
    np.testing.assert_allclose(followed(training, move), expected, rtol=1e-6)


def test_off_it_keeps_nothing_and_changes_nothing():
    state = FoldState({("w",): jnp.ones(3)}, (), {})
    off = TrainConfig(ema=0.0, average_weights=0.0)
    assert averaging.started(state, off) is state
    assert averaging.after_step(state, off) is state
    assert averaging.after_epoch(state, off, 3) is state
    assert averaging.predicting(state) == (state.live, state.statistics)
    assert len(jax.tree.leaves(state)) == 1
