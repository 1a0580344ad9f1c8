"""Training with the kernel that updates what it makes the gradient of, against training without."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from small_problem import MODEL, TRAINING, engine, folds, inputs

from ahmsa_jax.networks.ststnet import STSTNetConfig
from ahmsa_jax.training import fused_update, product_adam, step
from ahmsa_jax.training.engine import Job

JOBS = [Job(0, fold) for fold in folds()[:2]]
# Weights move by some thousandths: what is wrong shows.
FAST = dataclasses.replace(TRAINING, learning_rate=1e-3)


ONE_LEVEL = dataclasses.replace(MODEL, blocks=(1,), patch_size=28)


def trained(training, model=MODEL):
    with_folds = engine(len(JOBS), training=training, model=model)
    chunk, data = with_folds.start(JOBS), with_folds.place_data(*inputs())
    losses = with_folds.run_epochs(chunk, data, 0, 2)
    return losses, with_folds.host_state(chunk)


def test_training_is_the_same_but_for_rounding(monkeypatch):
    widths = []

    def by_kernel(x, *rest, **kind):
        widths.append(x.shape[-1])
        return product_adam.by_kernel(x, *rest, **kind, interpret=True)

    monkeypatch.setattr(product_adam, "update", by_kernel)
    # All layers but the narrowest: their rows, widths and features are no whole tiles.
    monkeypatch.setattr(fused_update, "LEAST_WIDTH", 12)
    losses, state = trained(FAST)
    fused_losses, fused_state = trained(dataclasses.replace(FAST, fused_update=True))
    assert sorted(set(widths)) == [12, 24, 48, 96, 3 * 14**2]
    np.testing.assert_allclose(fused_losses, losses, rtol=1e-5)
    assert fused_state.keys() == state.keys()
    for name, expected in state.items():
        # Rounding of small gradients, which Adam divides by their own size, in four steps of 1e-3.
        atol = 1e-5 * max(1e-3, float(np.abs(expected).max()))
        np.testing.assert_allclose(fused_state[name], expected, atol=atol, err_msg=name)


def test_copies_in_bfloat16_change_nothing(monkeypatch):
    """The next step would make them of the same weights; only the memory's traffic differs."""
    monkeypatch.setattr(fused_update, "LEAST_WIDTH", 12)
    training = dataclasses.replace(FAST, fused_update=True, precision="bfloat16")
    used = []

    def update(*arguments, copied):
        used.append(copied)
        return product_adam.by_operations(*arguments, copied=copied)

    monkeypatch.setattr(product_adam, "update", update)
    losses, state = trained(training, ONE_LEVEL)
    assert set(used) == {True}
    used.clear()
    engine.cache_clear()
    monkeypatch.setattr(fused_update, "with_copies", lambda learner, state: state)
    expected_losses, expected = trained(training, ONE_LEVEL)
    assert set(used) == {False}
    np.testing.assert_array_equal(losses, expected_losses)
    assert state.keys() == expected.keys(), "they are not kept with a run"
    for name, array in expected.items():
        np.testing.assert_array_equal(state[name], array, err_msg=name)


def started(model, training):
    """A learner, and the state and input of a fold that has not been trained."""
    learner = step.make_learner(model, training)
    fold = JOBS[0].fold
    key = step.fold_key(0, np.uint32(fold.stable_id))
    state, dead = step.init_fold(key, learner)
    given = step.FoldInput(dead, jnp.asarray(fold.train_N), jnp.asarray(fold.test_index), key)
    return learner, state, given, step.Data(*jax.tree.map(jnp.asarray, inputs()))


def test_held_out_clips_are_predicted_by_the_copies(monkeypatch):
    monkeypatch.setattr(fused_update, "LEAST_WIDTH", 12)
    training = dataclasses.replace(FAST, fused_update=True, precision="bfloat16")
    learner, state, given, data = started(ONE_LEVEL, training)
    copied = fused_update.with_copies(learner, state)
    assert len(copied.copies) == 5, "embedding, value, output and both of feed-forward"
    predict = jax.jit(lambda state: step.predict(learner, state, given, data, given.test_T))
    np.testing.assert_array_equal(predict(copied), predict(state))
    # The control: it is the copies that are read.
    path = ("patch_embedding", "kernel")
    wrong = copied._replace(copies=copied.copies | {path: 2 * copied.copies[path]})
    assert np.abs(np.asarray(predict(wrong) - predict(state))).max() > 1e-3


def test_a_network_without_such_layers_is_trained_as_ever():
    """STSTNet has none; that it is traced is enough, since nothing else is left to differ."""
    learner, state, given, data = started(STSTNetConfig(), FAST)
    clips_B, everyone_B = jnp.arange(8), jnp.ones(8, bool)
    after, loss = jax.eval_shape(
        lambda: fused_update.train_step(learner, state, given, data, clips_B, everyone_B, given.key)
    )
    assert loss.shape == ()
    assert jax.tree.structure(after) == jax.tree.structure(state)
