"""A mean of a fold's weights over its training, which predicts in their place.

Either a running mean over the steps (--ema) or the mean of the weights at the ends of the last
epochs (--average_weights); running statistics are averaged alike.
"""

import jax
import jax.numpy as jnp

from ahmsa_jax.config import TrainConfig
from ahmsa_jax.training.fold_state import Average, FoldState, Params


def is_on(training: TrainConfig) -> bool:
    """Whether a mean of the weights predicts."""
    return bool(training.ema or training.average_weights)


def started(state: FoldState, training: TrainConfig) -> FoldState:
    """A fresh fold with the mean that the settings ask for."""
    if not is_on(training):
        return state
    # Copies, since donated arrays may not be given twice.
    live, statistics = jax.tree.map(jnp.copy, (state.live, state.statistics))
    return state._replace(average=Average(live, statistics, jnp.zeros((), jnp.int32)))


def after_step(state: FoldState, training: TrainConfig) -> FoldState:
    """The state with its running mean moved on by one step.

    The mean is corrected for its start as Adam's: after t steps the newest weights count
    (1 - d) / (1 - d^t), so that the first ones are not drowned by the initial weights.
    """
    if not training.ema or state.average is None:
        return state
    steps = state.average.steps + 1
    newest = (1 - training.ema) / (1 - training.ema**steps)
    return _moved(state, state.average._replace(steps=steps), newest)


def after_epoch(state: FoldState, training: TrainConfig, epoch: jax.Array) -> FoldState:
    """The state with the mean over epochs moved on; `epoch` counts from 0.

    Before the share that is averaged begins, the mean is the newest weights.
    """
    if not training.average_weights or state.average is None:
        return state
    first = training.epochs - max(1, round(training.average_weights * training.epochs))
    return _moved(state, state.average, 1 / jnp.maximum(1, epoch - first + 1))


def predicting(state: FoldState) -> tuple[Params, Params]:
    """The weights and running statistics that predict."""
    if state.average is None:
        return state.live, state.statistics
    return state.average.live, state.average.statistics


def _moved(state: FoldState, average: Average, newest: jax.Array) -> FoldState:
    def towards(mean: jax.Array, leaf: jax.Array) -> jax.Array:
        return mean + newest.astype(leaf.dtype) * (leaf - mean)

    live = jax.tree.map(towards, average.live, state.live)
    statistics = jax.tree.map(towards, average.statistics, state.statistics)
    return state._replace(average=average._replace(live=live, statistics=statistics))
