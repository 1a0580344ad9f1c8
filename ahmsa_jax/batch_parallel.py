"""Trains one fold at a time, each batch spread over all devices: for few folds or a wide network.

The second of two ways to use several devices; engine.py puts whole folds on each. Parameters and
Adam's moments stand on every device and stay equal; each device computes the gradient of its part
of a batch, and the sum over devices is what a single device would have computed, up to float32
rounding. Letters in array names: A devices, P clips of a batch on one device, E epochs, K classes.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ahmsa_jax import train
from ahmsa_jax.config import ModelConfig, TrainConfig
from ahmsa_jax.engine import MAX_DISPATCH_EPOCHS, ChunkState, Engine, Job
from ahmsa_jax.folds import EpochShape

AXIS = "batch"


class BatchEngine(Engine):
    """Compiled programs for one fold whose batches are spread over the devices.

    Used like Engine, with chunks of one job: `size` is 1. The leading axes of its arrays are
    (A, 1), with the same values on every device.
    """

    def __init__(
        self,
        model_config: ModelConfig,
        train_config: TrainConfig,
        shape: EpochShape,
        *,
        size: int = 1,
        test_places: int,
        devices: Sequence[Any] | None = None,
    ) -> None:
        """Prepare the programs; nothing is compiled yet. Raises ValueError where size is not 1."""
        if size != 1:
            raise ValueError(f"a chunk of {size} folds; batches are spread for one at a time.")
        devices = list(devices or jax.local_devices())
        super().__init__(
            model_config,
            train_config,
            shape,
            size=len(devices),
            test_places=test_places,
            devices=devices,
        )
        self.size = 1
        self._train = jax.pmap(
            jax.vmap(self._train_one, in_axes=(0, 0, None, None, None)),
            axis_name=AXIS,
            in_axes=(0, 0, 0, None, None),
            donate_argnums=(0,),
            devices=self.devices,
        )

    def run_epochs(
        self, chunk: ChunkState, data: train.Data, first_epoch: int, epochs: int
    ) -> np.ndarray:
        """Train the fold for some epochs, in place; returns its mean losses (1, epochs)."""
        if not 1 <= epochs <= MAX_DISPATCH_EPOCHS:
            raise ValueError(f"{epochs} epochs in one dispatch; at most {MAX_DISPATCH_EPOCHS}.")
        if self._compiled_train is None:
            self.compile(chunk, data)
        chunk.state, loss_Ax1xE = self._compiled_train(
            chunk.state, chunk.inputs, data, np.int32(first_epoch), np.int32(epochs)
        )
        return _first_copy(loss_Ax1xE)[:, :epochs]

    def predict(self, chunk: ChunkState, data: train.Data, jobs: Sequence[Job]) -> list[np.ndarray]:
        """Class probabilities of the job's held-out clips, as a list of one (clips, K)."""
        held_out = self._filled(jobs)[0].fold.test_index
        # Each device predicts a part; padding repeats the first clip.
        part = -(-self.test_places // len(self.devices))
        places = np.full(part * len(self.devices), held_out[0], np.int32)
        places[: len(held_out)] = held_out
        index_Ax1xP = places.reshape(len(self.devices), 1, part)
        with train.matmul_precision(self.train_config):
            probability = self._predict(chunk.state, chunk.inputs, data, index_Ax1xP)
        flat = np.asarray(probability).reshape(len(places), -1)
        return [flat[: len(held_out)]]

    def parameters(self, chunk: ChunkState, jobs: Sequence[Job]) -> list[dict[str, np.ndarray]]:
        """The job's parameters, live and dead, by path joined with '/'."""
        self._filled(jobs)
        flat = {**chunk.state.live, **chunk.inputs.dead}
        return [{"/".join(path): _first_copy(leaf)[0] for path, leaf in sorted(flat.items())}]

    def host_state(self, chunk: ChunkState) -> dict[str, np.ndarray]:
        """What training changes, on the host and by name, each array with leading axis (1,)."""
        leaves = jax.tree.leaves(chunk.state)
        return {f"{place:05d}": _first_copy(leaf) for place, leaf in enumerate(leaves)}

    def put_state(self, chunk: ChunkState, host: dict[str, np.ndarray]) -> None:
        """Give a started fold the state that host_state gave, on every device."""
        spread = {
            name: np.broadcast_to(array, (len(self.devices), *array.shape))
            for name, array in host.items()
        }
        super().put_state(chunk, spread)

    def _filled(self, jobs: Sequence[Job]) -> list[Job]:
        if len(jobs) != 1:
            raise ValueError(f"{len(jobs)} jobs; batches are spread for one at a time.")
        return [jobs[0]] * len(self.devices)

    def _train_one(self, state: Any, fold: Any, data: Any, first: Any, count: Any) -> Any:
        def body(step: Any, carry: Any) -> Any:
            state, loss_E = carry
            state, loss = self._train_epoch(state, fold, data, first + step)
            return state, loss_E.at[step].set(loss)

        start = (state, jnp.zeros(MAX_DISPATCH_EPOCHS))
        return jax.lax.fori_loop(0, count, body, start)

    def _train_epoch(self, state: Any, fold: Any, data: Any, epoch: Any) -> Any:
        """As train.train_epoch, on this device's part of every batch."""
        shape = self.shape
        index, real = train.epoch_order(fold, epoch, shape, shuffle=self.train_config.shuffle)
        full = (shape.steps - 1) * shape.batch_size
        loss_sum = jnp.zeros(())

        def full_step(carry: Any, index_B: jax.Array) -> Any:
            state, loss_sum = carry
            everyone_B = jnp.ones(index_B.shape, bool)
            state, loss = self._train_step(state, fold, data, index_B, everyone_B)
            return (state, loss_sum + loss * shape.batch_size), None

        if full:
            batches = index[:full].reshape(shape.steps - 1, shape.batch_size)
            (state, loss_sum), _ = jax.lax.scan(full_step, (state, loss_sum), batches)
        state, loss = self._train_step(state, fold, data, index[full:], real[full:])
        last_count = jnp.sum(real[full:])
        return state, (loss_sum + loss * last_count) / jnp.sum(fold.train_N)

    def _train_step(self, state: Any, fold: Any, data: Any, index_B: Any, real_B: Any) -> Any:
        """One optimizer step, the same on every device; returns the loss over the whole batch."""
        part = -(-index_B.shape[0] // len(self.devices))
        spare = part * len(self.devices) - index_B.shape[0]
        begin = jax.lax.axis_index(AXIS) * part
        # Padding repeats the batch's first clip, masked.
        padded = jnp.concatenate([index_B, jnp.broadcast_to(index_B[0], (spare,))])
        index_P = jax.lax.dynamic_slice(padded, (begin,), (part,))
        real_P = jax.lax.dynamic_slice(jnp.pad(real_B, (0, spare)), (begin,), (part,))

        def part_of_loss(live: train.Params) -> jax.Array:
            # Divided by the real clips of the WHOLE batch, so that the sum over devices is the
            # mean however unevenly the real clips lie: a mean of means would not be.
            params = {"params": train.join_params(live, fold.dead)}
            logits_PxK, _ = self._model.apply(params, data.flow_NxHxWxC[index_P])
            loss_P = optax.softmax_cross_entropy_with_integer_labels(
                logits_PxK, data.label_N[index_P]
            )
            return jnp.sum(jnp.where(real_P, loss_P, 0.0)) / jnp.sum(real_B)

        loss, gradient = jax.value_and_grad(part_of_loss)(state.live)
        loss, gradient = jax.lax.psum((loss, gradient), AXIS)
        updates, moments = self._optimizer.update(gradient, state.moments, state.live)
        return train.FoldState(optax.apply_updates(state.live, updates), moments), loss


def _first_copy(array_Ax1: jax.Array) -> np.ndarray:
    # Read from the first device alone: the others hold the same.
    return np.asarray(array_Ax1.addressable_shards[0].data)[0]
