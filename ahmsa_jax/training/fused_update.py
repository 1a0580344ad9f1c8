"""Adam steps in which a kernel updates large linear layers as it makes their gradient.

The gradient of such a layer's weights is x^T dy. Here the backward pass is asked for dy instead:
the layers give x away and add zeros to what they return, whose gradient is dy.

In bfloat16 the same kernel writes the weights' copies that the next step computes with.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from ahmsa_jax.networks.initial import blank_inputs
from ahmsa_jax.networks.network import Path
from ahmsa_jax.networks.parts.layers import LAYER_INPUT, LAYER_OUTPUT, in_compute_type
from ahmsa_jax.training import product_adam
from ahmsa_jax.training.optimizers import B1, B2
from ahmsa_jax.training.step import (
    OPTIMIZER,
    Data,
    FoldInput,
    FoldState,
    Learner,
    Params,
    copies_of,
    loss_of_batch,
    statistics_of,
)

# Narrower layers have too few tiles to fill a GPU, and hardly any of the parameters.
LEAST_WIDTH = 256


def with_copies(learner: Learner, state: FoldState) -> FoldState:
    """The state with weights in the compute type, where the kernels are on and it is another."""
    training = learner.training
    if not (training.fused_update and training.precision == "bfloat16"):
        return state
    live = state.live
    copies = {path: in_compute_type(live[path], jnp.bfloat16) for path in _layers(learner, live)}
    return state._replace(copies=copies)


def without_copies(state: FoldState) -> FoldState:
    """The state as it is kept."""
    return state._replace(copies=None)


def _layers(learner: Learner, live: Params) -> list[Path]:
    """Paths of the layers that the kernel updates; a network need not have any."""
    made = jax.eval_shape(learner.model.init, jax.random.key(0), *blank_inputs(learner.config))
    # It may have frozen ones.
    paths = [path for path in flatten_dict(made.get(LAYER_OUTPUT, {})) if path in live]
    return [path for path in paths if min(live[path].shape) >= LEAST_WIDTH]


def train_step(
    learner: Learner,
    state: FoldState,
    fold: FoldInput,
    data: Data,
    index_B: jax.Array,
    real_B: jax.Array,
    key: jax.Array | None = None,
) -> tuple[FoldState, jax.Array]:
    """step.train_step with the same results but for rounding; the optimizer has to be Adam."""
    loss_of = loss_of_batch(learner, state, fold, data, index_B, real_B, key)
    seen = ("batch_stats", LAYER_OUTPUT)
    outputs = jax.eval_shape(lambda: loss_of(state.live, mutable=seen))[1]
    zeros = jax.tree.map(
        lambda like: jnp.zeros(like.shape, like.dtype),
        flatten_dict(outputs.get(LAYER_OUTPUT, {})),
    )
    fused = _layers(learner, state.live)

    def loss(others: Params, zeros: Params) -> tuple[jax.Array, Any]:
        added = {LAYER_OUTPUT: unflatten_dict(zeros), **copies_of(state)}
        return loss_of(state.live | others, mutable=("batch_stats", LAYER_INPUT), **added)

    others = _without(state.live, fused)
    (mean_loss, changed), (gradient, dy) = jax.value_and_grad(loss, (0, 1), has_aux=True)(
        others, zeros
    )
    # A tuple of all that a layer was given: it is called once.
    x = flatten_dict(changed.get(LAYER_INPUT, {}))
    with jax.named_scope(OPTIMIZER):
        adam, *rest = state.moments
        small = adam._replace(mu=_without(adam.mu, fused), nu=_without(adam.nu, fused))
        updates, (small, *rest) = learner.optimizer.update(gradient, (small, *rest), others)
        live = optax.apply_updates(others, updates)
        scales = product_adam.Scales(
            jnp.float32(learner.training.learning_rate), 1 - B1**small.count, 1 - B2**small.count
        )
        # The kernels write in place, so the backward pass must have read the weights: without this
        # order the compiler would have each kernel write to a copy.
        vectors = [leaf for leaf in gradient.values() if leaf.ndim == 1]
        scales, _ = jax.lax.optimization_barrier((scales, vectors))
        copies: Params = {}
        for path in fused:
            updated, copy = product_adam.update(
                _rows(x[path][0]).astype(dy[path].dtype),
                _rows(dy[path]),
                (state.live[path], adam.mu[path], adam.nu[path]),
                scales,
                copied=state.copies is not None,
            )
            live[path], small.mu[path], small.nu[path] = updated
            if copy is not None:
                copies[path] = copy
    moved = state._replace(
        live=live,
        moments=(small, *rest),
        statistics=statistics_of(changed),
        copies=None if state.copies is None else copies,
    )
    return moved, mean_loss


def _without(params: Params, paths: list[Path]) -> Params:
    return {path: leaf for path, leaf in params.items() if path not in paths}


def _rows(array: jax.Array) -> jax.Array:
    return array.reshape(-1, array.shape[-1])
