"""Adam steps in which a kernel updates large linear layers as it makes their gradient.

The gradient of such a layer's weights is x^T dy. Here the backward pass is asked for dy instead:
the layers give x away and add zeros to what they return, whose gradient is dy.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from ahmsa_jax.networks.network import Path
from ahmsa_jax.networks.parts.layers import LAYER_INPUT, LAYER_OUTPUT
from ahmsa_jax.training import product_adam
from ahmsa_jax.training.optimizers import B1, B2
from ahmsa_jax.training.step import (
    OPTIMIZER,
    Data,
    FoldInput,
    FoldState,
    Learner,
    Params,
    loss_of_batch,
    statistics_of,
)

# Narrower layers have too few tiles to fill a GPU, and hardly any of the parameters.
LEAST_WIDTH = 256


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
    # A network need not have any such layer, and may have frozen ones.
    zeros = jax.tree.map(
        lambda like: jnp.zeros(like.shape, like.dtype),
        flatten_dict(outputs.get(LAYER_OUTPUT, {})),
    )
    fused = [
        path for path in zeros if path in state.live and min(state.live[path].shape) >= LEAST_WIDTH
    ]

    def loss(others: Params, zeros: Params) -> tuple[jax.Array, Any]:
        added = {LAYER_OUTPUT: unflatten_dict(zeros)}
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
        for path in fused:
            live[path], small.mu[path], small.nu[path] = product_adam.update(
                _rows(x[path][0]).astype(dy[path].dtype),
                _rows(dy[path]),
                (state.live[path], adam.mu[path], adam.nu[path]),
                scales,
            )
    moved = state._replace(live=live, moments=(small, *rest), statistics=statistics_of(changed))
    return moved, mean_loss


def _without(params: Params, paths: list[Path]) -> Params:
    return {path: leaf for path, leaf in params.items() if path not in paths}


def _rows(array: jax.Array) -> jax.Array:
    return array.reshape(-1, array.shape[-1])
