"""The loss of a step's clips: augmented, mixed, weighted, as the settings say.

Letters in array names: N clips of the data set, B clips of a step, C channels, K classes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ahmsa_jax import choices
from ahmsa_jax.training.fold_state import Data, FoldInput, FoldState, Learner, Params, variables_of

# Name of a part of a program that is none of the network's, for accounts of its kernels.
BATCHES = "batches"

# What a step's noise is drawn for, by the number folded into its key; dropout takes the key itself.
_AUGMENT, _MIXUP = 1, 2
# (logits (B, K)) -> loss of each clip (B,), nats.
LossOfClips = Callable[[jax.Array], jax.Array]


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
    label_B = data.label_N[index_B]
    loss_of_clips = _loss_of_labels(learner, fold, label_B)
    if key is not None:
        inputs = _augmented(learner, inputs, index_B, key)
        if "mixup" in learner.training.augment:
            inputs, loss_of_clips = _mixed(learner, fold, inputs, label_B, real_B, key)
    inputs = divided(inputs, fold)

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
        loss_B = loss_of_clips(logits_BxK)
        clips = jnp.sum(real_B) if count is None else count
        return jnp.sum(jnp.where(real_B, loss_B, 0.0)) / clips, changed

    return mean_loss


def divided(inputs: dict[str, jax.Array], fold: FoldInput) -> dict[str, jax.Array]:
    """The inputs with the flow's channels divided by their deviations, where they are asked for."""
    if fold.std_C is None:
        return inputs
    return inputs | {"flow": inputs["flow"] / fold.std_C}


def _augmented(
    learner: Learner, inputs: dict[str, jax.Array], index_B: jax.Array, key: jax.Array
) -> dict[str, jax.Array]:
    for place, augment in enumerate(learner.augment):
        # A clip's change depends on the step and the clip, not on its place in the batch.
        change_key = jax.random.fold_in(key, _AUGMENT)
        if place:
            change_key = jax.random.fold_in(change_key, place)
        key_B = jax.vmap(jax.random.fold_in, (None, 0))(change_key, index_B)
        inputs = jax.vmap(augment)(key_B, inputs)
    return inputs


def _mixed(
    learner: Learner,
    fold: FoldInput,
    inputs: dict[str, jax.Array],
    label_B: jax.Array,
    real_B: jax.Array,
    key: jax.Array,
) -> tuple[dict[str, jax.Array], LossOfClips]:
    """Each clip mixed with another of the step, and the loss mixed alike (arXiv 1710.09412).

    One share is drawn for the step, as in the paper's code.
    """
    order_key, share_key = jax.random.split(jax.random.fold_in(key, _MIXUP))
    concentration = learner.training.mixup
    share = jax.random.beta(share_key, concentration, concentration)
    # Real clips stand first, so that the first of this order are they, shuffled.
    rank_B = jax.random.uniform(order_key, real_B.shape)
    other_B = jnp.argsort(jnp.where(real_B, rank_B, 2.0))
    mixed = {name: share * array + (1 - share) * array[other_B] for name, array in inputs.items()}
    own = _loss_of_labels(learner, fold, label_B)
    others = _loss_of_labels(learner, fold, label_B[other_B])
    return mixed, lambda logits_BxK: share * own(logits_BxK) + (1 - share) * others(logits_BxK)


def _loss_of_labels(learner: Learner, fold: FoldInput, label_B: jax.Array) -> LossOfClips:
    """The loss of clips with these labels: smoothed over the classes, then times their weights."""
    loss = choices.given(learner.loss, log_prior_K=fold.log_prior_K)
    smoothing = learner.training.label_smoothing

    def loss_of_clips(logits_BxK: jax.Array) -> jax.Array:
        loss_B: jax.Array = loss(logits_BxK, label_B)
        if smoothing:
            every_KxB = [loss(logits_BxK, jnp.full_like(label_B, k)) for k in _classes(logits_BxK)]
            loss_B = (1 - smoothing) * loss_B + smoothing * jnp.mean(jnp.stack(every_KxB), axis=0)
        if fold.class_weight_K is not None:
            loss_B = loss_B * fold.class_weight_K[label_B]
        return loss_B

    return loss_of_clips


def _classes(logits_BxK: jax.Array) -> range:
    return range(logits_BxK.shape[-1])
