"""What training ONE fold is made of: its state, what it reads, and what all its steps share.

Letters in array names: N clips of the data set, T held-out clips, C channels, K classes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax
import flax.linen as nn
import jax
import optax

from ahmsa_jax.config import NetworkConfig, TrainConfig
from ahmsa_jax.networks.network import Path
from ahmsa_jax.networks.parts.layers import LAYER_COPY

# Parameters flattened by path, so that live and dead ones part without touching the network.
Params = dict[Path, jax.Array]


class Average(NamedTuple):
    """A mean of a fold's weights over its training; see averaging.py."""

    live: Params
    statistics: Params
    steps: jax.Array  # steps that a running mean has seen


class FoldState(NamedTuple):
    """What training changes in one fold."""

    live: Params  # parameters that can matter, flattened: path -> array
    moments: optax.OptState  # the optimizer's
    statistics: Params  # running ones of batch normalisation; empty without
    average: Average | None = None  # what predicts, where that is not `live`
    # Kernels in the compute type, where training keeps them between its steps; see fused_update.py.
    copies: Params | None = None


class FoldInput(NamedTuple):
    """What training reads of one fold."""

    dead: Params  # parameters that cannot matter, flattened; see Network.is_frozen
    train_N: jax.Array  # bool: which clips of the data set train
    test_T: jax.Array  # int32: the held-out clips; padding repeats the first
    key: jax.Array  # the fold's, from which batch orders and noise come
    # Taken from the clips being trained on, where a setting asks for it; see facts.py.
    std_C: jax.Array | None = None  # standard deviation of each channel
    class_weight_K: jax.Array | None = None  # n / (K n_c)
    log_prior_K: jax.Array | None = None  # logarithm of each class's share


class Data(NamedTuple):
    """The whole data set on the device, shared by all folds."""

    inputs: dict[str, jax.Array]  # of the network, by name: flow (N, H, W, C) float32 in 0..255
    label_N: jax.Array  # int32
    # int32: places of the clips in an epoch without shuffling; None: in the data set's order.
    rank_N: jax.Array | None = None


class Learner(NamedTuple):
    """What all steps of all folds share: settings and functions, no arrays."""

    config: NetworkConfig
    training: TrainConfig
    model: nn.Module
    inputs: tuple[str, ...]  # names of the arrays that the module takes, in its order
    loss: Callable[..., jax.Array]  # an entry of choices.LOSSES
    optimizer: optax.GradientTransformation
    # The changes of each clip, in their order: (key, inputs by name) -> inputs.
    augment: tuple[Callable[[jax.Array, dict[str, jax.Array]], dict[str, jax.Array]], ...]


def variables_of(live: Params, dead: Params, statistics: Params) -> dict[str, Any]:
    """Parameters and running statistics as trees again, as the network takes them."""
    params = flax.traverse_util.unflatten_dict({**live, **dead})
    if not statistics:
        return {"params": params}
    return {"params": params, "batch_stats": flax.traverse_util.unflatten_dict(statistics)}


def copies_of(state: FoldState) -> dict[str, Any]:
    """The kernels in the compute type as a collection for the network, where there are any."""
    if state.copies is None:
        return {}
    return {LAYER_COPY: flax.traverse_util.unflatten_dict(state.copies)}


def statistics_of(changed: Any) -> Params:
    """Running statistics, flattened, among the collections that the network changed."""
    return flax.traverse_util.flatten_dict(changed.get("batch_stats", {}))
