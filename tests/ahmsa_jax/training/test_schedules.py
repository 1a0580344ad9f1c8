"""Learning rates over the steps: values by hand, and that updates follow them."""

import jax.numpy as jnp
import numpy as np
import pytest

from ahmsa_jax.config import TrainConfig
from ahmsa_jax.training.optimizers import make_optimizer
from ahmsa_jax.training.schedules import constant, cosine, onecycle

STEPS = 40


def values(schedule, steps=STEPS):
    return np.array([float(schedule(step)) for step in range(steps)])


def test_a_constant_rate_needs_no_schedule_and_may_rise_to_itself():
    assert constant(TrainConfig(epochs=10), STEPS) is None
    found = values(constant(TrainConfig(epochs=10, warmup_epochs=1), STEPS))
    # Four steps an epoch: 1/5, 2/5, 3/5, 4/5, then all of it.
    np.testing.assert_allclose(found[:5], [0.2, 0.4, 0.6, 0.8, 1.0], rtol=1e-6)
    assert (found[4:] == 1).all()


def test_half_a_cosine_by_hand():
    found = values(cosine(TrainConfig(epochs=10, schedule="cosine"), STEPS))
    np.testing.assert_allclose(found, (1 + np.cos(np.pi * np.arange(STEPS) / STEPS)) / 2, atol=1e-6)
    warm = values(cosine(TrainConfig(epochs=10, schedule="cosine", warmup_epochs=1), STEPS))
    assert warm[4] == 1
    assert (np.diff(warm[:5]) > 0).all()
    assert (np.diff(warm[4:]) < 0).all()


@pytest.mark.parametrize(("warmup", "rise"), [(0, 6), (2, 8)])
def test_one_cycle_rises_for_15_percent_unless_told(warmup, rise):
    training = TrainConfig(epochs=10, schedule="onecycle", warmup_epochs=warmup)
    found = values(onecycle(training, STEPS), STEPS + 1)
    assert found[0] == pytest.approx(1 / 25)
    assert found.argmax() == rise
    assert found[rise] == pytest.approx(1)
    assert found[-1] == pytest.approx(1 / 25 / 1e4, rel=1e-3)
    # Half a cosine each way.
    up = found[rise // 2]
    assert up == pytest.approx((1 + 1 / 25) / 2, rel=1e-5)


def test_one_cycle_of_very_few_steps_is_finite():
    for steps in (1, 2, 3):
        training = TrainConfig(epochs=1, schedule="onecycle")
        assert np.isfinite(values(onecycle(training, steps), steps)).all()


@pytest.mark.parametrize("name", ["adam", "adamw", "adan"])
def test_every_update_is_the_schedules_share_of_the_plain_one(name):
    """From the same moments: decay included."""
    decay = {} if name == "adam" else {"weight_decay": 0.3}
    usual = TrainConfig(epochs=10, optimizer=name, learning_rate=0.1, **decay)
    cycled = TrainConfig(epochs=10, optimizer=name, learning_rate=0.1, schedule="onecycle", **decay)
    share = values(onecycle(cycled, STEPS))
    params = {("w",): jnp.array([[1.0, -2.0]]), ("b",): jnp.array([3.0])}
    plain, scheduled = make_optimizer(usual, STEPS), make_optimizer(cycled, STEPS)
    plain_state, scheduled_state = plain.init(params), scheduled.init(params)
    for step in range(4):
        gradient = {("w",): jnp.array([[0.5, 1.0 + step]]), ("b",): jnp.array([-1.0])}
        full, plain_state = plain.update(gradient, plain_state, params)
        part, scheduled_state = scheduled.update(gradient, scheduled_state, params)
        for path in params:
            np.testing.assert_allclose(part[path], share[step] * full[path], rtol=1e-5)
