"""Starts from made-up motion: what they carry over, and that folds begin with them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_problem import folds

from ahmsa_jax.config import ConfigError, TrainConfig
from ahmsa_jax.networks.small import SmallConfig
from ahmsa_jax.training import pretraining
from ahmsa_jax.training.chunk_state import with_given
from ahmsa_jax.training.engine import Engine
from ahmsa_jax.training.fold_state import FoldState
from ahmsa_jax.training.protocols import Job, epoch_shapes

TRAINING = TrainConfig(
    epochs=3,
    batch_size=8,
    learning_rate=1e-3,
    precision="float32",
    input_norm="robust",
    fold_std=True,
    average_weights=0.5,
    pretrain="synthetic",
    pretrain_clips=200,
    pretrain_epochs=3,
)
NETWORK = SmallConfig(base_dim=16)
LAST = {"head/bias", "head/kernel"}


@pytest.fixture(scope="module")
def start():
    told = []
    found = pretraining.start(NETWORK, TRAINING, 3, lambda *news: told.append(news))
    return found, told


def test_it_learns_and_leaves_its_last_layer_behind(start):
    found, told = start
    assert [epoch for epoch, _ in told] == [1, 2, 3]
    assert told[-1][1] < told[0][1]
    assert not LAST & set(found)
    assert {"hidden/kernel", "norm/scale", "batch_stats/norm/mean"} <= set(found)
    assert pretraining.last_layer(NETWORK) == {("head", "bias"), ("head", "kernel")}


def test_the_same_seed_gives_the_same_start(start):
    again = pretraining.start(NETWORK, TRAINING, 3)
    other = pretraining.start(NETWORK, TRAINING, 4)
    for name, value in start[0].items():
        np.testing.assert_array_equal(again[name], value)
    assert (other["hidden/kernel"] != again["hidden/kernel"]).any()


def test_folds_begin_with_it_and_draw_their_own_last_layer(start):
    shapes = epoch_shapes(folds(), TRAINING.batch_size)
    jobs = [Job(3, fold) for fold in folds()[:2]]
    engine = Engine(
        NETWORK,
        TRAINING,
        shapes[jobs[0].fold.key],
        size=2,
        test_places=7,
        devices=jax.local_devices()[:1],
    )
    chunk = engine.start(jobs, {3: start[0]})
    for path, leaf in chunk.state.live.items():
        name = "/".join(path)
        given = start[0].get(name)
        if given is None:
            assert name in LAST
            assert (leaf[0, 0] != leaf[0, 1]).any()
        else:
            np.testing.assert_array_equal(leaf[0], np.stack([given, given]))
    np.testing.assert_array_equal(
        chunk.state.statistics["norm", "mean"][0, 1], start[0]["batch_stats/norm/mean"]
    )


def test_given_parameters_replace_those_of_their_names_alone():
    state = FoldState({("a", "b"): jnp.zeros((1, 2, 3)), ("c",): jnp.ones((1, 2))}, (), {})
    given = [{"a/b": np.arange(3) + fold} for fold in (0, 10)]
    found = with_given(state, given, lambda array: jnp.asarray(array)[None])
    np.testing.assert_array_equal(found.live["a", "b"][0], [[0, 1, 2], [10, 11, 12]])
    assert found.live["c",] is state.live["c",]


def test_the_loss_of_units_by_hand():
    """-log(sigmoid) of 2 for a unit that is there, of 1 for one that is not: their mean."""
    found = pretraining.of_units(jnp.array([[2.0, -1.0]]), jnp.array([[1, 0]]))
    np.testing.assert_allclose(found, [(np.log1p(np.exp(-2)) + np.log1p(np.exp(-1))) / 2])


def test_a_start_that_is_not_finite_is_refused(monkeypatch):
    monkeypatch.setattr(pretraining, "LEARNING_RATE", 1e30)
    unstable = dataclasses.replace(TRAINING, pretrain_clips=40, input_norm="none")
    with pytest.raises(ConfigError, match="the loss of --pretrain=synthetic is"):
        pretraining.start(NETWORK, unstable, 0)
