"""The state of folds in training together, and how it is named outside.

Letters in array names: A devices, S folds on one device, T held-out clips, E epochs of a dispatch,
K classes.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ahmsa_jax.training import averaging
from ahmsa_jax.training.fold_state import FoldInput, FoldState

# Parameters of a fold by path joined with '/', running statistics under _STATISTICS.
Given = Mapping[str, np.ndarray]
_STATISTICS = "batch_stats"


@dataclasses.dataclass
class ChunkState:
    """Folds in training: arrays on the devices with leading axes (A, S)."""

    state: FoldState
    inputs: FoldInput
    # Of the held-out clips after each epoch of the last dispatch, (A, S, E, T, K).
    probability_AxSxExTxK: jax.Array | None = None


def with_given(
    state: FoldState, given_S: Sequence[Given], place: Callable[[np.ndarray], jax.Array]
) -> FoldState:
    """The state with each fold's given parameters and statistics in place of the drawn ones.

    `place` puts stacked values (S, ...) where the state's lie.
    """

    def leaf(name: str, drawn: jax.Array) -> jax.Array:
        if name not in given_S[0]:
            return drawn
        return place(np.stack([given[name] for given in given_S]).astype(drawn.dtype))

    live = {path: leaf("/".join(path), drawn) for path, drawn in state.live.items()}
    statistics = {
        path: leaf("/".join((_STATISTICS, *path)), drawn)
        for path, drawn in state.statistics.items()
    }
    return state._replace(live=live, statistics=statistics)


def all_parameters(chunk: ChunkState) -> dict[tuple[str, ...], jax.Array]:
    """What predicts, live and dead, running statistics among it under `batch_stats`."""
    live, statistics = averaging.predicting(chunk.state)
    named = {(_STATISTICS, *path): leaf for path, leaf in statistics.items()}
    return {**live, **chunk.inputs.dead, **named}


def named_leaves(state: FoldState) -> dict[str, jax.Array]:
    """What training changes, under names for files."""
    # Numbers, in the order of the tree: paths of optimizer states are no names for files.
    return {f"{place:05d}": leaf for place, leaf in enumerate(jax.tree.leaves(state))}


def needed_bytes(usage: Any) -> int:
    """Bytes in total by a compiled program's memory_analysis(): what is donated counts once."""
    given = usage.temp_size_in_bytes + usage.argument_size_in_bytes
    return int(given + usage.output_size_in_bytes - usage.alias_size_in_bytes)
