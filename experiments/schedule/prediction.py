"""Predicts held-out clips with given weights, each fold's with its own."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ahmsa_jax.config import NetworkConfig, TrainConfig
from ahmsa_jax.metrics import confusion_matrix
from ahmsa_jax.networks.registry import network_of
from ahmsa_jax.training import step
from ahmsa_jax.training.protocols import Fold, Job
from experiments.files import given_weights
from experiments.files.given_weights import GivenWeights
from experiments.run.chunk import NOT_TRAINED, Chunk, ChunkResult, empty_history
from input_pipeline.core.clips import Clips
from input_pipeline.core.errors import InputError

Params = dict[str, np.ndarray]  # by path joined with '/', running statistics among them
# From parameters and inputs by name, (N, ...) each, to probabilities (N, K).
Predict = Callable[[Params, Mapping[str, np.ndarray]], np.ndarray]


def predict_all(
    clips: Clips, folds: list[Fold], weights: GivenWeights
) -> list[tuple[Chunk, ChunkResult]]:
    """One chunk a fold and seed, with its probabilities; raises InputError naming all faults."""
    predict = predictor(weights.config, max(len(fold.test_index) for fold in folds))
    classes = weights.config.num_classes
    finished: list[tuple[Chunk, ChunkResult]] = []
    faults: list[str] = []
    for seed in weights.seeds:
        for fold in folds:
            try:
                params, preparation = weights.read_with_preparation(seed, fold.key)
            except InputError as error:
                faults.append(str(error))
                continue
            held_out = clips.rows(fold.test_index)
            views = preparation.views(held_out)
            probability_TxK = np.mean([predict(params, view) for view in views], axis=0)
            history = empty_history(1, classes)
            prediction_T = probability_TxK.argmax(axis=-1)
            counts = confusion_matrix(clips.label_N[fold.test_index], prediction_T, classes)
            history.add_counts(0, counts[None])
            result = ChunkResult(**vars(history), probability=[probability_TxK])
            chunk = Chunk(len(finished), NOT_TRAINED, 1, (Job(seed, fold),))
            finished.append((chunk, result))
    given_weights.raise_all(faults)
    return finished


def predictor(config: NetworkConfig, places: int) -> Predict:
    """What predicts clips with any weights of a network, so many at once by one program."""
    model, names = step.make_model(config, TrainConfig()), network_of(config).inputs_of(config)
    # Pictures of many clips at once take much memory.
    places = min(places, step.PREDICTED_AT_ONCE) if "frames" in names else places

    @jax.jit
    def apply(variables: dict[str, Any], *inputs: jax.Array) -> jax.Array:
        return jax.nn.softmax(model.apply(variables, *inputs)[0])

    def predict(params: Params, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        variables = variables_of(params)
        count = len(inputs[names[0]])
        parts = []
        for first in range(0, count, places):
            # All folds share one program.
            padded = [_filled(inputs[name][first : first + places], places) for name in names]
            with jax.default_matmul_precision("highest"):
                parts.append(np.asarray(apply(variables, *padded)))
        return np.concatenate(parts)[:count]

    return predict


def variables_of(params: Params) -> dict[str, Any]:
    """Parameters and running statistics by path as the network's module takes them."""
    paths = {tuple(name.split("/")): jnp.asarray(leaf) for name, leaf in params.items()}
    statistics = {path[1:]: leaf for path, leaf in paths.items() if path[0] == "batch_stats"}
    live = {path: leaf for path, leaf in paths.items() if path[0] != "batch_stats"}
    return step.variables_of(live, {}, statistics)


def _filled(array: np.ndarray, places: int) -> np.ndarray:
    """The array with zeros behind it, up to so many rows."""
    filled = np.zeros((places, *array.shape[1:]), array.dtype)
    filled[: len(array)] = array
    return filled
