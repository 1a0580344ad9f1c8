"""The control of every map: the same network before its first step."""

import functools
import zlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ahmsa_jax.config import NetworkConfig, TrainConfig
from ahmsa_jax.training import step
from experiments.looking.seen_maps import Weights
from experiments.run.prepared import Preparation


def untrained(config: NetworkConfig, seed: int, fold: str, preparation: Preparation) -> Weights:
    """What training would start from for this seed and fold key, without pretraining."""
    live, dead, statistics = _starting(config)(seed, zlib.crc32(fold.encode()))
    params = {"/".join(path): np.asarray(leaf) for path, leaf in {**live, **dead}.items()}
    for path, leaf in statistics.items():
        params["/".join(("batch_stats", *path))] = np.asarray(leaf)
    return Weights(params, preparation)


@functools.lru_cache(maxsize=8)
def _starting(config: NetworkConfig) -> Callable[[int, int], Any]:
    learner = step.make_learner(config, TrainConfig())

    @jax.jit
    def start(seed: jax.Array, stable_id: jax.Array) -> Any:
        state, dead = step.init_fold(step.fold_key(seed, stable_id), learner)
        return state.live, dead, state.statistics

    return lambda seed, stable_id: start(jnp.uint32(seed), jnp.uint32(stable_id))
