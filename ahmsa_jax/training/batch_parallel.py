"""Trains one fold at a time, each batch spread over all devices: for few folds or a wide network.

The second of two ways to use several devices; engine.py puts whole folds on each. Parameters and
Adam's moments stand on every device and stay equal; each device computes the gradient of its part
of a batch, and the sum over devices is what a single device would have computed, up to float32
rounding. Letters in array names: A devices, P clips of a batch on one device, E epochs, K classes.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ahmsa_jax.config import ConfigError, NetworkConfig, TrainConfig
from ahmsa_jax.networks.registry import network_of
from ahmsa_jax.training import step
from ahmsa_jax.training.engine import ChunkState, Engine, Job
from ahmsa_jax.training.protocols import EpochShape
from ahmsa_jax.training.step import Data, FoldInput, FoldState

AXIS = "batch"


class BatchEngine(Engine):
    """Compiled programs for one fold whose batches are spread over the devices.

    Used like Engine, with chunks of one job: `size` is 1. The leading axes of its arrays are
    (A, 1), with the same values on every device.
    """

    def __init__(
        self,
        model_config: NetworkConfig,
        train_config: TrainConfig,
        shape: EpochShape,
        *,
        size: int = 1,
        test_places: int,
        eval_every: int = 0,
        devices: Sequence[jax.Device] | None = None,
    ) -> None:
        """Prepare the programs; nothing is compiled yet.

        Raises ValueError where size is not 1, ConfigError where the network couples the clips of a
        batch.
        """
        if network_of(model_config).batch_coupled:
            raise ConfigError(
                "--parallel=batch cannot be: in this network the clips of a batch see each other, "
                "or noise is drawn per batch; use --parallel=folds."
            )
        if size != 1:
            raise ValueError(f"a chunk of {size} folds; batches are spread for one at a time.")
        devices = list(devices or jax.local_devices())
        super().__init__(
            model_config,
            train_config,
            shape,
            size=len(devices),
            test_places=test_places,
            eval_every=eval_every,
            devices=devices,
        )
        self.size = 1
        self._train = jax.pmap(
            self.train_folds,
            axis_name=AXIS,
            in_axes=(0, 0, 0, None, None),
            donate_argnums=(0,),
            devices=self.devices,
        )

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

    def _to_host(self, array_AxS: jax.Array) -> np.ndarray:
        # Read from the first device alone: the others hold the same.
        return np.asarray(array_AxS.addressable_shards[0].data)[0]

    def _step(
        self,
        state: FoldState,
        fold: FoldInput,
        data: Data,
        index_B: jax.Array,
        real_B: jax.Array,
        key: jax.Array,
    ) -> tuple[FoldState, jax.Array]:
        """One optimizer step, the same on every device; returns the loss over the whole batch."""
        part = -(-index_B.shape[0] // len(self.devices))
        spare = part * len(self.devices) - index_B.shape[0]
        begin = jax.lax.axis_index(AXIS) * part
        # Padding repeats the batch's first clip, masked.
        padded = jnp.concatenate([index_B, jnp.broadcast_to(index_B[0], (spare,))])
        index_P = jax.lax.dynamic_slice(padded, (begin,), (part,))
        real_P = jax.lax.dynamic_slice(jnp.pad(real_B, (0, spare)), (begin,), (part,))
        # Divided by the real clips of the WHOLE batch, so that the sum over devices is the mean
        # however unevenly the real clips lie: a mean of means would not be.
        loss_of = step.loss_of_batch(
            self._learner, state, fold, data, index_P, real_P, key, jnp.sum(real_B)
        )
        loss, by_leaf, statistics = step.gradient(loss_of, state.live)
        # pmean, times the devices: each holds a part of the mean's sum.
        parts = jax.lax.pmean((loss, by_leaf), AXIS)
        loss, by_leaf = jax.tree.map(lambda mean: mean * len(self.devices), parts)
        return step.apply_gradient(self._learner, state, by_leaf, statistics), loss
