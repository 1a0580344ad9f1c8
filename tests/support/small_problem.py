"""A tiny data set and a narrow network on which training is compiled once and tried many ways."""

import functools
from typing import Any

import jax
import numpy as np

from ahmsa_jax.config import TrainConfig
from ahmsa_jax.networks.ahmsa import ModelConfig
from ahmsa_jax.training.engine import Engine, Job
from ahmsa_jax.training.protocols import Fold, epoch_shapes, loso_folds

# A reduction of 4 leaves the channel attention some hidden units at this width. Two levels, of four
# patches and of one, compile in two thirds of the time of three.
MODEL = ModelConfig(base_dim=12, blocks=(1, 1), heads=3, reduction=4, patch_size=14)
# Two steps per epoch, the second partly filled. The paper's learning rate keeps ten steps in the
# range where rounding has not grown yet.
TRAINING = TrainConfig(epochs=5, batch_size=16, learning_rate=5e-6, precision="float32")
SUBJECTS = tuple(f"lab/{name}" for name in "aaaaaaabbbbbccccddddeeef")
CLASSES = 3
# Compiler options of programs outside the tests; see conftest.
OPTIMISED = {"xla_backend_optimization_level": 3}


def data() -> tuple[np.ndarray, np.ndarray]:
    """Maps (24, 28, 28, 3) in 0..255 and labels with every class in several subjects."""
    rng = np.random.default_rng(5)
    flow = rng.uniform(0, 255, (len(SUBJECTS), 28, 28, 3)).astype(np.float32)
    return flow, np.arange(len(SUBJECTS)) % CLASSES


def inputs() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The same as the engine takes it: inputs by name, and labels."""
    flow, label = data()
    return {"flow": flow}, label


def folds() -> list[Fold]:
    return loso_folds(list(SUBJECTS))


@functools.cache
def engine(
    size: int, devices: int = 1, training: TrainConfig = TRAINING, model: Any = MODEL
) -> Engine:
    """An engine for chunks of `size` folds; programs are kept for the whole session."""
    shapes = set(epoch_shapes(folds(), training.batch_size).values())
    assert len(shapes) == 1, "the small problem has one epoch shape"
    return Engine(
        model,
        training,
        shapes.pop(),
        size=size,
        test_places=7,
        devices=jax.local_devices()[:devices],
    )


def trained(
    jobs: list[Job],
    epochs: int,
    *,
    size: int,
    flow: np.ndarray | None = None,
    label: np.ndarray | None = None,
    devices: int = 1,
    training: TrainConfig = TRAINING,
    model: Any = MODEL,
) -> tuple[list[dict[str, np.ndarray]], np.ndarray, list[np.ndarray]]:
    """Parameters, losses (jobs, epochs) and held-out probabilities after some epochs."""
    usual_flow, usual_label = data()
    flow = usual_flow if flow is None else flow
    label = usual_label if label is None else label
    program = engine(size, devices, training, model)
    placed = program.place_data({"flow": flow}, label)
    chunk = program.start(jobs)
    losses = program.run_epochs(chunk, placed, 0, epochs)[: len(jobs)]
    return program.parameters(chunk, jobs), losses, program.predict(chunk, placed, jobs)
