"""The loops of a training program around all folds of a device: epochs, and the steps of each.

vmap over folds stands inside the loops. Around them, JAX would trace what a loop repeats once more
for every guess at which of its values differ by fold: up to a quarter of a program's tracing.

Letters in array names: S folds on one device, P places of an epoch, B clips of a step, T held-out
clips (padded), E epochs of a dispatch, K classes.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from ahmsa_jax.training import averaging, facts, fused_update
from ahmsa_jax.training import step as train
from ahmsa_jax.training.fold_state import Data, FoldInput, FoldState, Learner
from ahmsa_jax.training.protocols import EpochShape

# Epochs of one dispatch at most: the length of the loss record that it returns.
MAX_DISPATCH_EPOCHS = 100

# One fold's optimizer step on the clips at index_B where real_B, with a key for its noise; returns
# the loss before it.
Step = Callable[
    [FoldState, FoldInput, Data, jax.Array, jax.Array, jax.Array], tuple[FoldState, jax.Array]
]
# All folds' state, losses (S, E) and probabilities (S, E, T, K).
Carry = tuple[FoldState, jax.Array, jax.Array]


@dataclasses.dataclass(frozen=True)
class Epochs:
    """What a dispatch repeats: an epoch of `shape`, and a prediction after every `eval_every`."""

    learner: Learner
    shape: EpochShape
    step: Step
    eval_every: int

    def run(
        self,
        state: FoldState,
        fold: FoldInput,
        data: Data,
        first: jax.Array,
        count: jax.Array,
    ) -> Carry:
        """Train for `count` epochs from `first` on; state and input have the leading axis S."""
        fold = jax.vmap(functools.partial(facts.known, self.learner), in_axes=(0, None))(fold, data)
        predicted = jax.vmap(self._predicted, in_axes=(0, 0, None))
        places_SxTxK = (*fold.test_T.shape, self.learner.config.num_classes)

        def body(place: jax.Array, carry: Carry) -> Carry:
            state, loss_SxE, probability_SxExTxK = carry
            state, loss_S = self._epoch(state, fold, data, first + place)
            if self.eval_every:
                probability_SxTxK = jax.lax.cond(
                    (first + place + 1) % self.eval_every == 0,
                    lambda: predicted(state, fold, data),
                    lambda: jnp.zeros(places_SxTxK),
                )
                probability_SxExTxK = probability_SxExTxK.at[:, place].set(probability_SxTxK)
            return state, loss_SxE.at[:, place].set(loss_S), probability_SxExTxK

        # The count is not static, so that dispatches of every length share one program.
        folds, *places = places_SxTxK
        evaluated = MAX_DISPATCH_EPOCHS if self.eval_every else 0
        start = (
            jax.vmap(functools.partial(fused_update.with_copies, self.learner))(state),
            jnp.zeros((folds, MAX_DISPATCH_EPOCHS)),
            jnp.zeros((folds, evaluated, *places)),
        )
        state, loss_SxE, probability_SxExTxK = jax.lax.fori_loop(0, count, body, start)
        return fused_update.without_copies(state), loss_SxE, probability_SxExTxK

    def _epoch(
        self, state: FoldState, fold: FoldInput, data: Data, epoch: jax.Array
    ) -> tuple[FoldState, jax.Array]:
        """One pass over each fold's training clips; returns the mean losses (S,) over those."""
        training, shape = self.learner.training, self.shape
        full = (shape.steps - 1) * shape.batch_size

        def order(fold: FoldInput) -> tuple[jax.Array, jax.Array, jax.Array]:
            with jax.named_scope(train.BATCHES):
                index_P, real_P = train.epoch_order(
                    fold,
                    epoch,
                    shape,
                    shuffle=training.shuffle,
                    rank_N=data.rank_N,
                    balanced_N=data.label_N if training.sampling == "balanced" else None,
                )
            return index_P, real_P, jax.random.fold_in(jax.random.fold_in(fold.key, 2), epoch)

        def one_step(
            state: FoldState,
            fold: FoldInput,
            index_B: jax.Array,
            real_B: jax.Array,
            noise_key: jax.Array,
            number: int | jax.Array,
        ) -> tuple[FoldState, jax.Array]:
            key = jax.random.fold_in(noise_key, number)
            state, loss = self.step(state, fold, data, index_B, real_B, key)
            return averaging.after_step(state, training), loss

        step = jax.vmap(one_step, in_axes=(0, 0, 0, 0, 0, None))
        index_SxP, real_SxP, noise_key_S = jax.vmap(order)(fold)
        loss_sum_S = jnp.zeros(len(index_SxP))

        def full_step(
            carry: tuple[FoldState, jax.Array], batch: tuple[jax.Array, jax.Array]
        ) -> tuple[tuple[FoldState, jax.Array], None]:
            state, loss_sum_S = carry
            number, index_SxB = batch
            everyone_SxB = jnp.ones(index_SxB.shape, bool)
            state, loss_S = step(state, fold, index_SxB, everyone_SxB, noise_key_S, number)
            return (state, loss_sum_S + loss_S * shape.batch_size), None

        if full:
            numbers = jnp.arange(shape.steps - 1)
            batches = index_SxP[:, :full].reshape(-1, len(numbers), shape.batch_size)
            numbered = (numbers, jnp.moveaxis(batches, 1, 0))
            (state, loss_sum_S), _ = jax.lax.scan(full_step, (state, loss_sum_S), numbered)
        index_SxB, real_SxB = index_SxP[:, full:], real_SxP[:, full:]
        state, loss_S = step(state, fold, index_SxB, real_SxB, noise_key_S, shape.steps - 1)
        state = jax.vmap(lambda state: averaging.after_epoch(state, training, epoch))(state)
        last_count_S = jnp.sum(real_SxB, axis=1)
        return state, (loss_sum_S + loss_S * last_count_S) / (full + last_count_S)

    def _predicted(self, state: FoldState, fold: FoldInput, data: Data) -> jax.Array:
        return train.predict(self.learner, state, fold, data, fold.test_T)
