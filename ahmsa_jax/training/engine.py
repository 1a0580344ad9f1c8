"""Trains a chunk of folds together: vmap over folds inside, pmap over devices outside.

Only this file, epochs.py and batch_parallel.py know of the fold axis. Letters in array names:
A devices, S folds on one device, T held-out clips (padded), E epochs of a dispatch, K classes.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ahmsa_jax.config import NetworkConfig, TrainConfig
from ahmsa_jax.networks.initial import blank_inputs
from ahmsa_jax.training import chunk_state, facts, fused_update
from ahmsa_jax.training import step as train
from ahmsa_jax.training.chunk_state import ChunkState as ChunkState
from ahmsa_jax.training.chunk_state import Given
from ahmsa_jax.training.epochs import MAX_DISPATCH_EPOCHS, Epochs
from ahmsa_jax.training.protocols import EpochShape, Job, padded_test_index
from ahmsa_jax.training.step import Data, FoldInput, FoldState, Params


class Engine:
    """Compiled programs for chunks of one size and one epoch shape.

    `size` is the number of folds at once over all devices; it is rounded up to a multiple of the
    devices, and a shorter chunk is filled with copies of its last job, whose results are dropped.
    A fold's result does not depend on what stands beside it, beyond float32 rounding.
    """

    def __init__(
        self,
        model_config: NetworkConfig,
        train_config: TrainConfig,
        shape: EpochShape,
        *,
        size: int,
        test_places: int,
        eval_every: int = 0,
        devices: Sequence[jax.Device] | None = None,
        loss: Callable[..., jax.Array] | None = None,
    ) -> None:
        """Prepare the programs; nothing is compiled yet.

        With `eval_every` the held-out clips are predicted after every so many epochs, without
        leaving the dispatch. `loss` replaces the one that the settings name.
        """
        self.model_config = model_config
        self.train_config = train_config
        self.shape = shape
        self.devices = list(devices or jax.local_devices())
        self.folds_per_device = -(-size // len(self.devices))
        self.size = self.folds_per_device * len(self.devices)
        self.test_places = test_places
        self.eval_every = eval_every
        self._learner = train.make_learner(model_config, train_config, shape.steps, loss)
        # Folds inside, devices outside; the data set and the epoch numbers are not mapped.
        pmap = functools.partial(jax.pmap, devices=self.devices)
        self._place = pmap(lambda tree: tree)
        self._init = pmap(jax.vmap(self._init_one))
        # All folds of one device; without pmap it can be compiled for a device that is not here.
        self.train_folds = Epochs(self._learner, shape, self._step, eval_every).run
        self._train = pmap(self.train_folds, in_axes=(0, 0, 0, None, None), donate_argnums=(0,))
        self._predict = pmap(jax.vmap(self._predict_one, in_axes=(0, 0, None)))
        self._compiled_train: Any = None

    def place_data(
        self,
        inputs: Mapping[str, np.ndarray],
        label_N: np.ndarray,
        rank_N: np.ndarray | None = None,
    ) -> Data:
        """Put the whole data set on every device once: leading axis A.

        `inputs` are the network's by name, (N, ...) each; `rank_N` as from
        clip_order.rank_of_clips.
        """
        data = Data(
            {name: jnp.asarray(inputs[name]) for name in self._learner.inputs},
            jnp.asarray(label_N, jnp.int32),
            None if rank_N is None else jnp.asarray(rank_N, jnp.int32),
        )
        copies = jax.tree.map(
            lambda array: np.broadcast_to(array, (len(self.devices), *array.shape)), data
        )
        return self._place(copies)

    def start(self, jobs: Sequence[Job], given: Mapping[int, Given] | None = None) -> ChunkState:
        """Fresh folds: each one's parameters and batch orders follow from its seed and subject.

        What is `given` for a seed replaces the parameters and statistics of the same path joined
        with '/'.
        """
        jobs = self._filled(jobs)
        seed = np.array([job.seed for job in jobs], np.uint32)
        stable_id = np.array([job.fold.stable_id for job in jobs], np.uint32)
        train_mask = np.stack([job.fold.train_N for job in jobs])
        test_index = padded_test_index([job.fold for job in jobs], self.test_places)
        with train.computing(self.train_config):
            state, dead, key = self._init(self._split(seed), self._split(stable_id))
        train_AxSxN, test_AxSxT = self._place((self._split(train_mask), self._split(test_index)))
        if given is not None:
            state = chunk_state.with_given(state, [given[job.seed] for job in jobs], self._placed)
        return ChunkState(state, FoldInput(dead, train_AxSxN, test_AxSxT, key))

    def shapes(self, num_clips: int) -> tuple[ChunkState, Data]:
        """A chunk and a data set of `num_clips` as shapes alone, to compile before they exist."""
        mapped = (len(self.devices), self.folds_per_device)
        number = jax.ShapeDtypeStruct(mapped, jnp.uint32)
        init = jax.vmap(jax.vmap(self._init_one))
        state, dead, key = jax.eval_shape(init, number, number)
        train_AxSxN: Any = jax.ShapeDtypeStruct((*mapped, num_clips), jnp.bool_)
        blank = blank_inputs(self.model_config)
        inputs_of: Any = {
            name: jax.ShapeDtypeStruct((mapped[0], num_clips, *one.shape[1:]), one.dtype)
            for name, one in zip(self._learner.inputs, blank, strict=True)
        }
        label: Any = jax.ShapeDtypeStruct((mapped[0], num_clips), jnp.int32)
        test_AxSxT: Any = jax.ShapeDtypeStruct((*mapped, self.test_places), jnp.int32)
        inputs = FoldInput(dead, train_AxSxN, test_AxSxT, key)
        rank = None if self.train_config.order == "data" else label
        return ChunkState(state, inputs), Data(inputs_of, label, rank)

    def host_state(self, chunk: ChunkState) -> dict[str, np.ndarray]:
        """What training changes, on the host and by name, each array with leading axis (size,).

        On a CPU these are views: use them before the next epochs are run.
        """
        leaves = chunk_state.named_leaves(chunk.state)
        return {name: self._to_host(leaf) for name, leaf in leaves.items()}

    def host_shapes(self, chunk: ChunkState) -> dict[str, np.ndarray]:
        """Names, shapes and types of what host_state gives, as arrays that take no memory."""
        return {
            name: np.broadcast_to(np.zeros((), leaf.dtype), (self.size, *leaf.shape[2:]))
            for name, leaf in chunk_state.named_leaves(chunk.state).items()
        }

    def put_state(self, chunk: ChunkState, host: dict[str, np.ndarray]) -> None:
        """Give started folds the state that host_state gave; the state they had is freed first."""
        leaves, tree = jax.tree.flatten(chunk.state)
        layouts = [(leaf.shape, leaf.sharding) for leaf in leaves]
        for leaf in leaves:
            leaf.delete()
        placed = [
            jax.device_put(host[name].reshape(shape), sharding)
            for name, (shape, sharding) in zip(sorted(host), layouts, strict=True)
        ]
        chunk.state = jax.tree.unflatten(tree, placed)

    @property
    def is_compiled(self) -> bool:
        """Whether the training program stands ready."""
        return self._compiled_train is not None

    @property
    def compiled_text(self) -> str:
        """The training program as the compiler left it; compile() comes first."""
        return str(self._compiled_train.as_text())

    def compile(self, chunk: ChunkState, data: Data) -> int:
        """Compile the training program; returns the bytes it needs on one device, in total."""
        with train.computing(self.train_config):
            one = np.int32(1)
            lowered = self._train.lower(chunk.state, chunk.inputs, data, one, one)
            self._compiled_train = lowered.compile()
        return chunk_state.needed_bytes(self._compiled_train.memory_analysis())

    def run_epochs(
        self, chunk: ChunkState, data: Data, first_epoch: int, epochs: int
    ) -> np.ndarray:
        """Train all folds for some epochs, in place; returns their mean losses (size, epochs).

        Epochs count from 0. Waits for the devices. The state given away is replaced in `chunk`.
        """
        if not 1 <= epochs <= MAX_DISPATCH_EPOCHS:
            raise ValueError(f"{epochs} epochs in one dispatch; at most {MAX_DISPATCH_EPOCHS}.")
        if self._compiled_train is None:
            self.compile(chunk, data)
        chunk.state, loss_AxSxE, chunk.probability_AxSxExTxK = self._compiled_train(
            chunk.state, chunk.inputs, data, np.int32(first_epoch), np.int32(epochs)
        )
        return self._to_host(loss_AxSxE)[:, :epochs]

    def evaluated(self, chunk: ChunkState, jobs: Sequence[Job], place: int) -> list[np.ndarray]:
        """Class probabilities of each job's held-out clips after an epoch of the last dispatch.

        `place` is the epoch's in it, from 0. One (held-out clips, K) per job; only for epochs that
        `eval_every` names.
        """
        assert chunk.probability_AxSxExTxK is not None, "no epochs have been run"
        probability_SxExTxK = self._to_host(chunk.probability_AxSxExTxK)
        return [
            probability_SxExTxK[row, place, : len(job.fold.test_index)]
            for row, job in enumerate(jobs)
        ]

    def predict(self, chunk: ChunkState, data: Data, jobs: Sequence[Job]) -> list[np.ndarray]:
        """Class probabilities of each job's held-out clips: one (held-out clips, K) per job."""
        with train.computing(self.train_config):
            probability = self._to_host(self._predict(chunk.state, chunk.inputs, data))
        return [probability[row, : len(job.fold.test_index)] for row, job in enumerate(jobs)]

    def parameters(self, chunk: ChunkState, jobs: Sequence[Job]) -> list[dict[str, np.ndarray]]:
        """Each job's parameters, live and dead, by path joined with '/'.

        Running statistics stand among them under `batch_stats/`.
        """
        flat = chunk_state.all_parameters(chunk)
        host = {"/".join(path): self._to_host(leaf) for path, leaf in sorted(flat.items())}
        return [{name: leaf[row] for name, leaf in host.items()} for row in range(len(jobs))]

    def _filled(self, jobs: Sequence[Job]) -> list[Job]:
        if not 1 <= len(jobs) <= self.size:
            raise ValueError(f"{len(jobs)} jobs for a chunk of {self.size}.")
        return [*jobs, *[jobs[-1]] * (self.size - len(jobs))]

    def _to_host(self, array_AxS: jax.Array) -> np.ndarray:
        """An array of the mapped axes (A, S, ...) on the host, as (size, ...)."""
        return np.asarray(array_AxS).reshape(self.size, *array_AxS.shape[2:])

    def _placed(self, array: np.ndarray) -> jax.Array:
        """Values (size, ...) of the folds on the devices, (A, S, ...)."""
        placed: jax.Array = self._place(self._split(array))
        return placed

    def _split(self, array: np.ndarray) -> np.ndarray:
        return array.reshape(len(self.devices), self.folds_per_device, *array.shape[1:])

    def _init_one(
        self, seed: jax.Array, stable_id: jax.Array
    ) -> tuple[FoldState, Params, jax.Array]:
        key = train.fold_key(seed, stable_id)
        state, dead = train.init_fold(key, self._learner)
        return state, dead, key

    def _step(
        self,
        state: FoldState,
        fold: FoldInput,
        data: Data,
        index_B: jax.Array,
        real_B: jax.Array,
        key: jax.Array,
    ) -> tuple[FoldState, jax.Array]:
        step = fused_update if self.train_config.fused_update else train
        return step.train_step(self._learner, state, fold, data, index_B, real_B, key)

    def _predict_one(self, state: FoldState, fold: FoldInput, data: Data) -> jax.Array:
        fold = facts.known(self._learner, fold, data)
        return train.predict(self._learner, state, fold, data, fold.test_T)
