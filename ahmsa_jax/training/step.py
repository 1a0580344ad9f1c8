"""Training of ONE fold as pure functions; nothing here knows of folds trained beside it.

Letters in array names: N clips of the data set, B clips of a step, T held-out clips, K classes.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from ahmsa_jax import choices
from ahmsa_jax.config import NetworkConfig, TrainConfig
from ahmsa_jax.networks.initial import initial_variables
from ahmsa_jax.networks.network import Path
from ahmsa_jax.networks.registry import network_of
from ahmsa_jax.training.protocols import EpochShape

# Names of the parts of a program that are none of the network's, for accounts of its kernels.
BATCHES, OPTIMIZER, EVALUATION = "batches", "optimizer", "evaluation"

# Parameters flattened by path, so that live and dead ones part without touching the network.
Params = dict[Path, jax.Array]


class FoldState(NamedTuple):
    """What training changes in one fold."""

    live: Params  # parameters that can matter, flattened: path -> array
    moments: optax.OptState  # the optimizer's
    statistics: Params  # running ones of batch normalisation; empty without


class FoldInput(NamedTuple):
    """What training reads of one fold."""

    dead: Params  # parameters that cannot matter, flattened; see Network.is_frozen
    train_N: jax.Array  # bool: which clips of the data set train
    test_T: jax.Array  # int32: the held-out clips; padding repeats the first
    key: jax.Array  # the fold's, from which batch orders and noise come


class Data(NamedTuple):
    """The whole data set on the device, shared by all folds."""

    inputs: dict[str, jax.Array]  # of the network, by name: flow (N, H, W, C) float32 in 0..255
    label_N: jax.Array  # int32
    # int32: places of the clips in an epoch without shuffling; None: in the data set's order.
    rank_N: jax.Array | None = None


class Learner(NamedTuple):
    """What all steps of all folds share: settings and functions, no arrays."""

    config: NetworkConfig
    model: nn.Module
    inputs: tuple[str, ...]  # names of the arrays that the module takes, in its order
    loss: Callable[[jax.Array, jax.Array], jax.Array]
    optimizer: optax.GradientTransformation
    learning_rate: float
    augment: Callable[[jax.Array, dict[str, jax.Array]], dict[str, jax.Array]] | None


# One optimizer step: state, clips, which of them are no padding, key of its noise -> state, loss.
Step = Callable[[FoldState, jax.Array, jax.Array, jax.Array], tuple[FoldState, jax.Array]]


def fold_key(seed: int | jax.Array, stable_id: int | jax.Array) -> jax.Array:
    """The key of a fold: depends on the seed and the held-out subject alone."""
    return jax.random.fold_in(jax.random.key(seed), stable_id)


def make_model(model_config: NetworkConfig, train_config: TrainConfig) -> nn.Module:
    """The network in the compute type that the precision asks for."""
    dtype = jnp.bfloat16 if train_config.precision == "bfloat16" else jnp.float32
    return network_of(model_config).build(model_config, dtype)


def make_learner(model_config: NetworkConfig, train_config: TrainConfig) -> Learner:
    """Network, loss, optimizer and augmentation that the settings name."""
    return Learner(
        config=model_config,
        model=make_model(model_config, train_config),
        inputs=network_of(model_config).inputs,
        loss=choices.loaded(choices.LOSSES[train_config.loss]),
        optimizer=choices.loaded(choices.OPTIMIZERS[train_config.optimizer])(train_config),
        learning_rate=train_config.learning_rate,
        augment=choices.loaded(choices.AUGMENTATIONS[train_config.augment]),
    )


@contextlib.contextmanager
def matmul_precision(train_config: TrainConfig) -> Iterator[None]:
    """Trace inside this: float32 products in full precision, tf32 as the device offers it."""
    name = "highest" if train_config.precision == "float32" else "default"
    with jax.default_matmul_precision(name):
        yield


def variables_of(live: Params, dead: Params, statistics: Params) -> dict[str, Any]:
    """Parameters and running statistics as trees again, as the network takes them."""
    params = flax.traverse_util.unflatten_dict({**live, **dead})
    if not statistics:
        return {"params": params}
    return {"params": params, "batch_stats": flax.traverse_util.unflatten_dict(statistics)}


def statistics_of(changed: Any) -> Params:
    """Running statistics, flattened, among the collections that the network changed."""
    return flax.traverse_util.flatten_dict(changed.get("batch_stats", {}))


def init_fold(key: jax.Array, learner: Learner) -> tuple[FoldState, Params]:
    """Fresh state of a fold and its dead parameters; `key` as from fold_key."""
    config = learner.config
    params, statistics = initial_variables(jax.random.fold_in(key, 0), learner.model, config)
    is_frozen = network_of(config).is_frozen
    dead = {path: leaf for path, leaf in params.items() if is_frozen(path, config)}
    live = {path: leaf for path, leaf in params.items() if path not in dead}
    return FoldState(live, learner.optimizer.init(live), statistics), dead


def epoch_order(
    fold: FoldInput,
    epoch: jax.Array,
    shape: EpochShape,
    *,
    shuffle: bool,
    rank_N: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Training clips in this epoch's order: indices and mask, both (places,).

    Without shuffling that is `rank_N`'s, or the data set's own. The random numbers are drawn for
    every clip of the data set, so that they do not depend on the padding. Padding repeats a
    training clip: no held-out clip is ever read here.
    """
    count = fold.train_N.shape[0]
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
    real = jnp.arange(shape.places) < jnp.sum(fold.train_N)
    return jnp.where(real, index, order_N[0]), real


def loss_of_batch(
    learner: Learner,
    state: FoldState,
    fold: FoldInput,
    data: Data,
    index_B: jax.Array,
    real_B: jax.Array,
    key: jax.Array | None = None,
    count: jax.Array | None = None,
) -> Callable[..., tuple[jax.Array, Any]]:
    """The mean loss (nats) of the clips at index_B where real_B, as a function of the parameters.

    It takes the live ones, and any other collections of variables as keywords, and returns the
    loss with the collections that `mutable` names. `key` is that of the step's noise. `count`
    divides the sum where these clips are a part of the step's; by default the number of real ones.
    """
    with jax.named_scope(BATCHES):
        inputs = {name: data.inputs[name][index_B] for name in learner.inputs}
    if learner.augment is not None and key is not None:
        # A clip's change depends on the step and the clip, not on its place in the batch.
        key_B = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(key, 1), index_B)
        inputs = jax.vmap(learner.augment)(key_B, inputs)
    label_B = data.label_N[index_B]

    def mean_loss(
        live: Params, mutable: Sequence[str] = ("batch_stats",), **collections: Any
    ) -> tuple[jax.Array, Any]:
        (logits_BxK, _), changed = learner.model.apply(
            variables_of(live, fold.dead, state.statistics) | collections,
            *(inputs[name] for name in learner.inputs),
            real_B=real_B,
            train=True,
            rngs=None if key is None else {"dropout": key},
            mutable=list(mutable),
        )
        loss_B = learner.loss(logits_BxK, label_B)
        clips = jnp.sum(real_B) if count is None else count
        return jnp.sum(jnp.where(real_B, loss_B, 0.0)) / clips, changed

    return mean_loss


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
        return FoldState(optax.apply_updates(state.live, updates), moments, statistics)


def train_epoch(
    step: Step,
    state: FoldState,
    fold: FoldInput,
    epoch: jax.Array,
    shape: EpochShape,
    *,
    shuffle: bool,
    rank_N: jax.Array | None = None,
) -> tuple[FoldState, jax.Array]:
    """One pass over the fold's training clips; returns the mean loss over them."""
    with jax.named_scope(BATCHES):
        index, real = epoch_order(fold, epoch, shape, shuffle=shuffle, rank_N=rank_N)
    noise_key = jax.random.fold_in(jax.random.fold_in(fold.key, 2), epoch)
    full = (shape.steps - 1) * shape.batch_size
    loss_sum = jnp.zeros(())

    def full_step(
        carry: tuple[FoldState, jax.Array], batch: tuple[jax.Array, jax.Array]
    ) -> tuple[tuple[FoldState, jax.Array], None]:
        state, loss_sum = carry
        number, index_B = batch
        everyone_B = jnp.ones(index_B.shape, bool)
        state, loss = step(state, index_B, everyone_B, jax.random.fold_in(noise_key, number))
        return (state, loss_sum + loss * shape.batch_size), None

    if full:
        batches = index[:full].reshape(shape.steps - 1, shape.batch_size)
        numbered = (jnp.arange(shape.steps - 1), batches)
        (state, loss_sum), _ = jax.lax.scan(full_step, (state, loss_sum), numbered)
    last_key = jax.random.fold_in(noise_key, shape.steps - 1)
    state, loss = step(state, index[full:], real[full:], last_key)
    last_count = jnp.sum(real[full:])
    return state, (loss_sum + loss * last_count) / jnp.sum(fold.train_N)


def predict(
    learner: Learner, state: FoldState, fold: FoldInput, data: Data, index_T: jax.Array
) -> jax.Array:
    """Class probabilities (T, K) of the clips at index_T, float32."""
    variables = variables_of(state.live, fold.dead, state.statistics)
    with jax.named_scope(EVALUATION):
        inputs = [data.inputs[name][index_T] for name in learner.inputs]
        logits_TxK, _ = learner.model.apply(variables, *inputs)
        return jax.nn.softmax(logits_TxK)
