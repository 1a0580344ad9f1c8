"""Losses, optimizers and augmentations: by hand, and chosen by name."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_problem
from small_problem import TRAINING, folds, inputs

from ahmsa_jax import choices
from ahmsa_jax.config import ConfigError, TrainConfig
from ahmsa_jax.networks.hsta import HSTAConfig
from ahmsa_jax.training import losses, optimizers, step
from ahmsa_jax.training.protocols import Job

JOB = Job(0, folds()[0])


def test_focal_loss_by_hand():
    logits = np.array([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0], [-30.0, 30.0, 0.0]])
    label = np.array([0, 2, 0])
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = (shifted / shifted.sum(axis=1, keepdims=True))[np.arange(3), label]
    by_hand = (1 - p) ** 2 * -np.log(p)
    found = losses.focal(jnp.asarray(logits, jnp.float32), jnp.asarray(label))
    np.testing.assert_allclose(found, by_hand, rtol=1e-5)
    # A clip that is certain costs nothing and pulls at nothing.
    sure = jnp.array([[40.0, 0.0, 0.0]])
    value, gradient = jax.value_and_grad(lambda x: losses.focal(x, jnp.array([0]))[0])(sure)
    assert value == 0
    assert np.isfinite(gradient).all()


def test_focal_loss_is_cross_entropy_with_less_weight_on_easy_clips():
    logits = jnp.array([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0]])
    label = jnp.array([0, 0])
    easy, hard = losses.focal(logits, label) / losses.cross_entropy(logits, label)
    assert easy < 0.01
    assert hard > 0.8


@functools.cache
def stepping(**settings):
    """A fold's state, its dead parameters, and one step from there, compiled once."""
    training = dataclasses.replace(TRAINING, learning_rate=0.1, **settings)
    learner = step.make_learner(small_problem.MODEL, training)
    fold_key = step.fold_key(0, np.uint32(JOB.fold.stable_id))
    state, dead = step.init_fold(fold_key, learner)
    fold = step.FoldInput(dead, jnp.asarray(JOB.fold.train_N), jnp.zeros(1, int), fold_key)
    data = step.Data(*jax.tree.map(jnp.asarray, inputs()))

    @jax.jit
    def run(index, key):
        real = np.ones(len(index), bool)
        return step.train_step(learner, state, fold, data, index, real, key)

    return state, dead, run


INDEX = np.arange(7, 15)


def stepped(seed=0, index=INDEX, **settings):
    """A fold's state and loss after one step."""
    return stepping(**settings)[2](index, jax.random.key(seed))


@pytest.mark.parametrize("name", ["adamw", "adan"])
def test_weight_decay_shrinks_what_is_trained_and_nothing_else(name):
    """Against the same step without decay; biases, and Q and K of one patch, take no part."""
    without, dead, _ = stepping(optimizer=name)
    plain, _ = stepped(optimizer=name)
    decayed, _ = stepped(optimizer=name, weight_decay=0.5)
    assert dead
    assert not set(dead) & set(decayed.live)
    for path, before in without.live.items():
        # Decoupled: learning rate 0.1 x decay 0.5 of the weight, beside the same step.
        by_hand = plain.live[path] - 0.05 * before * (before.ndim > 1)
        np.testing.assert_allclose(decayed.live[path], by_hand, atol=1e-6, err_msg=path)


def test_adamw_without_decay_is_adam():
    ours, _ = stepped(optimizer="adamw")
    adam, _ = stepped()
    for path in adam.live:
        np.testing.assert_allclose(ours.live[path], adam.live[path], atol=1e-7, err_msg=path)


def test_an_augmentation_changes_each_clip_by_its_own_key(monkeypatch):
    """A clip of a step is changed alike wherever it stands in the batch."""

    def grey(key, clip):
        return {"flow": jnp.full_like(clip["flow"], 255 * jax.random.uniform(key))}

    monkeypatch.setitem(choices.AUGMENTATIONS, "grey", grey)
    losses_of = [
        float(stepped(seed, order, augment=("grey",))[1])
        for seed, order in ((5, INDEX), (5, INDEX[::-1].copy()), (6, INDEX))
    ]
    assert losses_of[0] == pytest.approx(losses_of[1], rel=1e-6)
    assert losses_of[0] != pytest.approx(losses_of[2], rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"loss": "hinge"},
            "--loss=hinge: allowed are cross_entropy, focal, logit_adjusted and mse",
        ),
        ({"optimizer": "sgd"}, "--optimizer=sgd: allowed are adam, adamw and adan"),
        ({"weight_decay": 0.1}, "--weight_decay=0.1 is for --optimizer=adamw or adan"),
        ({"optimizer": "adamw", "weight_decay": -1.0}, "allowed are 0 to 10"),
    ],
)
def test_choices_are_checked(settings, words):
    with pytest.raises(ConfigError, match=words):
        TrainConfig(**settings).validate()


def test_every_entry_of_the_tables_can_be_loaded():
    for table in (choices.LOSSES, choices.OPTIMIZERS):
        assert all(callable(choices.loaded(entry)) for entry in table.values())
    assert optimizers.adan(TrainConfig()).init({"x": jnp.zeros(2)})


def test_adan_moves_what_has_small_gradients_as_far():
    """Its first step is the learning rate, as long as the gradient is far above eps, 1e-8."""
    optimizer = optimizers.adan(TrainConfig(learning_rate=0.1))
    gradient = {"x": jnp.asarray([1.0, -1e-3, 1e-5])}
    updates, _ = optimizer.update(gradient, optimizer.init(gradient), gradient)
    # 1e-8 of 1e-5; the corrections for the means' start are rounded to 1e-6.
    np.testing.assert_allclose(updates["x"], [-0.1, 0.1, -0.1], rtol=2e-3)


def test_the_squared_error_by_hand():
    logits = jnp.array([[1.0, 0.0, 0.0], [0.5, -1.0, 2.0]])
    found = losses.mse(logits, jnp.array([0, 1]))
    # (0.5^2 + (-1 - 1)^2 + 2^2) / 3
    np.testing.assert_allclose(found, [0.0, 8.25 / 3], rtol=1e-6)


def test_lower_layers_learn_more_slowly():
    network = HSTAConfig(size="tiny", modules=2)
    config = TrainConfig(optimizer="adamw", weight_decay=0.05, layer_decay=0.9)
    paths = {
        ("patch_embed_0", "kernel"): 0.9**3,
        ("blocks_0", "norm", "scale"): 0.9**2,
        ("blocks_1", "norm", "scale"): 0.9,
        ("cls_token_0",): 1.0,
        ("head", "kernel"): 1.0,
    }
    rng = np.random.default_rng(0)
    params = {path: jnp.asarray(rng.normal(size=(3, 2)), jnp.float32) for path in paths}
    gradient = {path: jnp.asarray(rng.normal(size=(3, 2)), jnp.float32) for path in paths}
    plain = optimizers.make_optimizer(dataclasses.replace(config, layer_decay=1.0), 10, network)
    slower = optimizers.make_optimizer(config, 10, network)
    first, _ = plain.update(gradient, plain.init(params), params)
    second, _ = slower.update(gradient, slower.init(params), params)
    for path, share in paths.items():
        # Weight decay, too, goes with the layer's rate, as with the public code's groups.
        np.testing.assert_allclose(second[path], share * first[path], rtol=1e-6)
