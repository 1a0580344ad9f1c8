"""Training of ONE fold as pure functions; nothing here knows of folds trained beside it.

Letters in array names: N clips of the data set, B clips of a step, K classes.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from ahmsa_jax.config import ModelConfig, TrainConfig
from ahmsa_jax.folds import EpochShape
from ahmsa_jax.initial import Path, initial_params
from ahmsa_jax.model import AHMSANet, is_dead

# Parameters flattened by path, so that live and dead ones part without touching the network.
Params = dict[Path, jax.Array]


class FoldState(NamedTuple):
    """What training changes in one fold."""

    live: Params  # parameters that can matter, flattened: path -> array
    moments: optax.OptState  # Adam's


class FoldInput(NamedTuple):
    """What training reads of one fold."""

    dead: Params  # parameters that cannot matter, flattened; see model.is_dead
    train_N: jax.Array  # bool: which clips of the data set train
    shuffle_key: jax.Array


class Data(NamedTuple):
    """The whole data set on the device, shared by all folds."""

    flow_NxHxWxC: jax.Array  # float32, 0..255
    label_N: jax.Array  # int32


def fold_key(seed: int | jax.Array, stable_id: int | jax.Array) -> jax.Array:
    """The key of a fold: depends on the seed and the held-out subject alone."""
    return jax.random.fold_in(jax.random.key(seed), stable_id)


def make_model(model_config: ModelConfig, train_config: TrainConfig) -> AHMSANet:
    """The network in the compute type that the precision asks for."""
    dtype = jnp.bfloat16 if train_config.precision == "bfloat16" else jnp.float32
    return AHMSANet(model_config, dtype)


@contextlib.contextmanager
def matmul_precision(train_config: TrainConfig) -> Iterator[None]:
    """Trace inside this: float32 products in full precision, tf32 as the device offers it."""
    name = "highest" if train_config.precision == "float32" else "default"
    with jax.default_matmul_precision(name):
        yield


def make_optimizer(train_config: TrainConfig) -> optax.GradientTransformation:
    """Adam as in the paper's Table 3, with PyTorch's defaults for what it leaves out."""
    return optax.adam(train_config.learning_rate, b1=0.9, b2=0.999, eps=1e-8)


def join_params(live: Params, dead: Params) -> dict[str, Any]:
    """The parameter tree again, as the network takes it."""
    return flax.traverse_util.unflatten_dict({**live, **dead})


def init_fold(
    key: jax.Array, shapes: dict[Path, tuple[int, ...]], model_config: ModelConfig, optimizer: Any
) -> tuple[FoldState, Params]:
    """Fresh state of a fold and its dead parameters; `key` as from fold_key."""
    params = initial_params(jax.random.fold_in(key, 0), shapes)
    dead = {path: leaf for path, leaf in params.items() if is_dead(path, model_config)}
    live = {path: leaf for path, leaf in params.items() if path not in dead}
    return FoldState(live, optimizer.init(live)), dead


def shuffle_key(key: jax.Array) -> jax.Array:
    """The key from which the fold's batch orders come."""
    return jax.random.fold_in(key, 1)


def epoch_order(
    fold: FoldInput, epoch: jax.Array, shape: EpochShape, *, shuffle: bool
) -> tuple[jax.Array, jax.Array]:
    """Training clips in this epoch's order: indices and mask, both (places,).

    The random numbers are drawn for every clip of the data set, so that they do not depend on the
    padding. Padding repeats a training clip: no held-out clip is ever read here.
    """
    count = fold.train_N.shape[0]
    if shuffle:
        rank_N = jax.random.uniform(jax.random.fold_in(fold.shuffle_key, epoch), (count,))
    else:
        rank_N = jnp.arange(count, dtype=jnp.float32) / count
    # Held-out clips rank behind every training clip, whose ranks lie in 0..1.
    order_N = jnp.argsort(jnp.where(fold.train_N, rank_N, 2.0))
    # A fold's places may outnumber the data set's clips by the rounding to a multiple of 8.
    index = order_N[jnp.minimum(jnp.arange(shape.places), count - 1)]
    real = jnp.arange(shape.places) < jnp.sum(fold.train_N)
    return jnp.where(real, index, order_N[0]), real


def mean_loss(
    model: nn.Module,
    live: Params,
    dead: Params,
    flow_BxHxWxC: jax.Array,
    label_B: jax.Array,
    real_B: jax.Array,
) -> jax.Array:
    """Cross-entropy (paper eq. 5) averaged over the real clips of a step; nats."""
    logits_BxK, _ = model.apply({"params": join_params(live, dead)}, flow_BxHxWxC)
    loss_B = optax.softmax_cross_entropy_with_integer_labels(logits_BxK, label_B)
    return jnp.sum(jnp.where(real_B, loss_B, 0.0)) / jnp.sum(real_B)


def train_step(
    model: nn.Module,
    optimizer: Any,
    state: FoldState,
    fold: FoldInput,
    data: Data,
    index_B: jax.Array,
    real_B: jax.Array,
) -> tuple[FoldState, jax.Array]:
    """One optimizer step on the clips at index_B where real_B; returns the loss before it."""
    loss, gradient = jax.value_and_grad(mean_loss, argnums=1)(
        model, state.live, fold.dead, data.flow_NxHxWxC[index_B], data.label_N[index_B], real_B
    )
    updates, moments = optimizer.update(gradient, state.moments, state.live)
    return FoldState(optax.apply_updates(state.live, updates), moments), loss


def train_epoch(
    model: nn.Module,
    optimizer: Any,
    state: FoldState,
    fold: FoldInput,
    data: Data,
    epoch: jax.Array,
    shape: EpochShape,
    *,
    shuffle: bool,
) -> tuple[FoldState, jax.Array]:
    """One pass over the fold's training clips; returns the mean loss over them."""
    index, real = epoch_order(fold, epoch, shape, shuffle=shuffle)
    full = (shape.steps - 1) * shape.batch_size
    loss_sum = jnp.zeros(())

    def full_step(carry: Any, index_B: jax.Array) -> Any:
        state, loss_sum = carry
        everyone_B = jnp.ones(index_B.shape, bool)
        state, loss = train_step(model, optimizer, state, fold, data, index_B, everyone_B)
        return (state, loss_sum + loss * shape.batch_size), None

    if full:
        batches = index[:full].reshape(shape.steps - 1, shape.batch_size)
        (state, loss_sum), _ = jax.lax.scan(full_step, (state, loss_sum), batches)
    state, loss = train_step(model, optimizer, state, fold, data, index[full:], real[full:])
    last_count = jnp.sum(real[full:])
    return state, (loss_sum + loss * last_count) / jnp.sum(fold.train_N)


def predict(
    model: nn.Module, state: FoldState, fold: FoldInput, data: Data, index_T: jax.Array
) -> jax.Array:
    """Class probabilities (T, K) of the clips at index_T, float32."""
    params = join_params(state.live, fold.dead)
    logits_TxK, _ = model.apply({"params": params}, data.flow_NxHxWxC[index_T])
    return jax.nn.softmax(logits_TxK)
