"""What a recipe takes from the clips being trained on: deviations, class weights, class shares.

All of it comes from the fold's own training clips. Letters in array names: N clips of the data set,
C channels, K classes.
"""

import jax
import jax.numpy as jnp

from ahmsa_jax import choices
from ahmsa_jax.training.fold_state import Data, FoldInput, Learner


def known(learner: Learner, fold: FoldInput, data: Data) -> FoldInput:
    """The fold's input with what the settings ask of its training clips."""
    training = learner.training
    if training.fold_std:
        fold = fold._replace(std_C=channel_deviations(fold.train_N, data.inputs["flow"]))
    takes_prior = choices.takes(learner.loss, "log_prior_K")
    if training.class_weights or takes_prior:
        count_K = class_counts(fold.train_N, data.label_N, learner.config.num_classes)
        if training.class_weights:
            fold = fold._replace(class_weight_K=class_weights(count_K))
        if takes_prior:
            # A class that the fold cannot learn keeps a finite logarithm.
            share_K = jnp.maximum(count_K, 0.5) / jnp.sum(count_K)
            fold = fold._replace(log_prior_K=jnp.log(share_K))
    return fold


def channel_deviations(train_N: jax.Array, flow_NxHxWxC: jax.Array) -> jax.Array:
    """Standard deviation (C,) of each channel over all pixels of the training clips.

    A channel that is the same everywhere has 1: dividing by it changes nothing.
    """
    mean_NxC, square_NxC = (
        jnp.mean(power, axis=(1, 2)) for power in (flow_NxHxWxC, jnp.square(flow_NxHxWxC))
    )
    weight_Nx1 = train_N[:, None] / jnp.sum(train_N)
    mean_C = jnp.sum(weight_Nx1 * mean_NxC, axis=0)
    # Around the mean of all clips, where squares do not cancel.
    spread_NxC = square_NxC - 2 * mean_C * mean_NxC + jnp.square(mean_C)
    std_C = jnp.sqrt(jnp.maximum(jnp.sum(weight_Nx1 * spread_NxC, axis=0), 0))
    return jnp.where(std_C > 0, std_C, 1.0)


def class_counts(train_N: jax.Array, label_N: jax.Array, classes: int) -> jax.Array:
    """Training clips of each class, (K,) float32."""
    return jnp.sum(train_N[:, None] * jax.nn.one_hot(label_N, classes), axis=0)


def class_weights(count_K: jax.Array) -> jax.Array:
    """n / (K n_c), K being the classes that there are clips of; 0 for a class without clips."""
    present = count_K > 0
    return jnp.where(present, jnp.sum(count_K) / (jnp.sum(present) * jnp.maximum(count_K, 1)), 0.0)
