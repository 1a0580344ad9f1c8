"""Training of ONE fold as pure functions; nothing here knows of folds trained beside it.

Letters in array names: N clips of the data set, B clips of a step, T held-out clips, K classes.
"""

import contextlib
import functools
import gc
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from ahmsa_jax import choices
from ahmsa_jax.config import NetworkConfig, TrainConfig
from ahmsa_jax.inputs.mirror import mirrored
from ahmsa_jax.networks.initial import initial_variables
from ahmsa_jax.networks.parts import own_kernels
from ahmsa_jax.networks.registry import network_of
from ahmsa_jax.training import averaging, batch_loss
from ahmsa_jax.training.batch_loss import BATCHES as BATCHES
from ahmsa_jax.training.batch_loss import loss_of_batch as loss_of_batch
from ahmsa_jax.training.fold_state import Data as Data
from ahmsa_jax.training.fold_state import FoldInput as FoldInput
from ahmsa_jax.training.fold_state import FoldState as FoldState
from ahmsa_jax.training.fold_state import Learner as Learner
from ahmsa_jax.training.fold_state import Params as Params
from ahmsa_jax.training.fold_state import copies_of as copies_of
from ahmsa_jax.training.fold_state import statistics_of as statistics_of
from ahmsa_jax.training.fold_state import variables_of as variables_of
from ahmsa_jax.training.optimizers import make_optimizer
from ahmsa_jax.training.protocols import EpochShape

# Names of the parts of a program that are none of the network's, for accounts of its kernels.
OPTIMIZER, EVALUATION = "optimizer", "evaluation"
# Objects made before Python looks for garbage among them, where a program is traced.
COLLECTED_AFTER = 50_000
# Held-out clips of a network of frames.
PREDICTED_AT_ONCE = 16


def fold_key(seed: int | jax.Array, stable_id: int | jax.Array) -> jax.Array:
    """The key of a fold: depends on the seed and the held-out subject alone."""
    return jax.random.fold_in(jax.random.key(seed), stable_id)


def make_model(model_config: NetworkConfig, train_config: TrainConfig) -> nn.Module:
    """The network in the compute type that the precision asks for."""
    dtype = jnp.bfloat16 if train_config.precision == "bfloat16" else jnp.float32
    return network_of(model_config).build(model_config, dtype)


def make_learner(
    model_config: NetworkConfig,
    train_config: TrainConfig,
    steps_per_epoch: int = 1,
    loss: Callable[..., jax.Array] | None = None,
) -> Learner:
    """Network, loss, optimizer and augmentation that the settings name.

    A schedule of the learning rate goes by the steps. `loss` replaces the one that is named.
    """
    augmentations = [choices.loaded(choices.AUGMENTATIONS[name]) for name in train_config.augment]
    return Learner(
        config=model_config,
        training=train_config,
        model=make_model(model_config, train_config),
        inputs=network_of(model_config).inputs_of(model_config),
        loss=loss or choices.loaded(choices.LOSSES[train_config.loss]),
        optimizer=make_optimizer(train_config, train_config.epochs * steps_per_epoch, model_config),
        augment=tuple(choices.given(a, training=train_config) for a in augmentations if a),
    )


@contextlib.contextmanager
def computing(train_config: TrainConfig) -> Iterator[None]:
    """Trace inside this: float32 products in full precision, tf32 as the device offers it.

    With --fused_layers a GPU has kernels of our own.
    """
    name = "highest" if train_config.precision == "float32" else "default"
    with (
        jax.default_matmul_precision(name),
        own_kernels.used(train_config.fused_layers),
        _garbage_collected_rarely(),
    ):
        yield


@contextlib.contextmanager
def _garbage_collected_rarely() -> Iterator[None]:
    # Tracing makes small objects by the million, hardly any of them garbage: looking through them
    # again and again took a fifth of its time.
    usual = gc.get_threshold()
    if 0 < usual[0] < COLLECTED_AFTER:
        gc.set_threshold(COLLECTED_AFTER, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def init_fold(key: jax.Array, learner: Learner) -> tuple[FoldState, Params]:
    """Fresh state of a fold and its dead parameters; `key` as from fold_key."""
    config = learner.config
    params, statistics = initial_variables(jax.random.fold_in(key, 0), learner.model, config)
    is_frozen = network_of(config).is_frozen
    dead = {path: leaf for path, leaf in params.items() if is_frozen(path, config)}
    live = {path: leaf for path, leaf in params.items() if path not in dead}
    state = FoldState(live, learner.optimizer.init(live), statistics)
    return averaging.started(state, learner.training), dead


def epoch_order(
    fold: FoldInput,
    epoch: jax.Array,
    shape: EpochShape,
    *,
    shuffle: bool,
    rank_N: jax.Array | None = None,
    balanced_N: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Training clips in this epoch's order: indices and mask, both (places,).

    Without shuffling that is `rank_N`'s, or the data set's own. The random numbers are drawn for
    every clip of the data set, so that they do not depend on the padding. Padding repeats a
    training clip: no held-out clip is ever read here. `balanced_N` are the labels where every
    class is to be drawn as often: a clip may then come several times, or not at all.
    """
    count = fold.train_N.shape[0]
    real = jnp.arange(shape.places) < jnp.sum(fold.train_N)
    if balanced_N is not None:
        return _balanced(fold, epoch, balanced_N, shape.places), real
    if shuffle:
        shuffle_key = jax.random.fold_in(fold.key, 1)
        rank_N = jax.random.uniform(jax.random.fold_in(shuffle_key, epoch), (count,))
    else:
        place_N = jnp.arange(count) if rank_N is None else rank_N
        rank_N = place_N.astype(jnp.float32) / count
    # Held-out clips rank behind every training clip, whose ranks lie in 0..1.
    order_N = jnp.argsort(jnp.where(fold.train_N, rank_N, 2.0))
    # A fold's places may outnumber the data set's clips by the rounding to a multiple of 8.
    index = order_N[jnp.minimum(jnp.arange(shape.places), count - 1)]
    return jnp.where(real, index, order_N[0]), real


def _balanced(fold: FoldInput, epoch: jax.Array, label_N: jax.Array, places: int) -> jax.Array:
    """A training clip for each place: a class by chance, then one of its clips."""
    same_NxN = (label_N[:, None] == label_N) & fold.train_N
    log_chance_N = jnp.where(fold.train_N, -jnp.log(jnp.maximum(1, jnp.sum(same_NxN, 1))), -jnp.inf)
    draw_key = jax.random.fold_in(jax.random.fold_in(fold.key, 1), epoch)
    return jax.random.categorical(draw_key, log_chance_N, shape=(places,))


def gradient(
    loss_of: Callable[..., tuple[jax.Array, Any]], live: Params
) -> tuple[jax.Array, Params, Params]:
    """The loss that a function of loss_of_batch gives, its gradient, and new statistics."""
    (loss, changed), by_leaf = jax.value_and_grad(loss_of, has_aux=True)(live)
    return loss, by_leaf, statistics_of(changed)


def train_step(
    learner: Learner,
    state: FoldState,
    fold: FoldInput,
    data: Data,
    index_B: jax.Array,
    real_B: jax.Array,
    key: jax.Array | None = None,
) -> tuple[FoldState, jax.Array]:
    """One optimizer step on the clips at index_B where real_B; returns the loss before it."""
    loss_of = loss_of_batch(learner, state, fold, data, index_B, real_B, key)
    loss, by_leaf, statistics = gradient(loss_of, state.live)
    return apply_gradient(learner, state, by_leaf, statistics), loss


# Jitted so that an epoch's steps, whose batches differ in size, share one trace of it.
@functools.partial(jax.jit, static_argnums=0)
def apply_gradient(
    learner: Learner, state: FoldState, by_leaf: Params, statistics: Params
) -> FoldState:
    """The state after the optimizer's step with this gradient."""
    with jax.named_scope(OPTIMIZER):
        updates, moments = learner.optimizer.update(by_leaf, state.moments, state.live)
        live = optax.apply_updates(state.live, updates)
        return state._replace(live=live, moments=moments, statistics=statistics)


def predict(
    learner: Learner, state: FoldState, fold: FoldInput, data: Data, index_T: jax.Array
) -> jax.Array:
    """Class probabilities (T, K) of the clips at index_T, float32."""
    live, statistics = averaging.predicting(state)
    variables = variables_of(live, fold.dead, statistics)
    if state.average is None:
        variables |= copies_of(state)

    def probability(inputs: dict[str, jax.Array]) -> jax.Array:
        shown = batch_loss.divided(inputs, fold)
        logits_TxK, _ = learner.model.apply(variables, *(shown[name] for name in learner.inputs))
        return jax.nn.softmax(logits_TxK)

    def of_clips(index_T: jax.Array) -> jax.Array:
        inputs = {name: data.inputs[name][index_T] for name in learner.inputs}
        probability_TxK = probability(inputs)
        if learner.training.test_mirror:
            centred = learner.training.input_norm != "none"
            seen = inputs | {"flow": mirrored(inputs["flow"], centred=centred)}
            probability_TxK = (probability_TxK + probability(seen)) / 2
        return probability_TxK

    with jax.named_scope(EVALUATION):
        count = len(index_T)
        if "frames" not in learner.inputs or count <= PREDICTED_AT_ONCE:
            return of_clips(index_T)
        # The pictures of all held-out clips at once would outgrow those of a step.
        padded_T = jnp.pad(index_T, (0, -count % PREDICTED_AT_ONCE), mode="edge")
        parts_SxPxK = jax.lax.map(of_clips, padded_T.reshape(-1, PREDICTED_AT_ONCE))
        return parts_SxPxK.reshape(len(padded_T), -1)[:count]
