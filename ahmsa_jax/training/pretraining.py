"""A start for the folds: weights that learned to name the action units of made-up motion.

The network is trained with one output a unit; its last layer is then dropped, and every fold draws
its own.
"""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import numpy as np
import optax

from ahmsa_jax.config import ConfigError, NetworkConfig, TrainConfig
from ahmsa_jax.inputs import motion
from ahmsa_jax.inputs.input_norm import normalised
from ahmsa_jax.networks.initial import parameter_shapes
from ahmsa_jax.networks.network import Path
from ahmsa_jax.training.engine import Engine
from ahmsa_jax.training.protocols import EpochShape, Fold, Job
from ahmsa_jax.training.step import make_model

# Declared with the recipe that uses it; the clips and epochs are settings.
LEARNING_RATE, BATCH_SIZE, WEIGHT_DECAY = 1e-3, 128, 0.05
FOLD_KEY = "pretraining"

Params = dict[str, np.ndarray]  # by path joined with '/', running statistics among them


def of_units(logits_BxU: jax.Array, is_there_BxU: jax.Array) -> jax.Array:
    """Mean binary cross-entropy over the units, (B,) nats."""
    losses: jax.Array = optax.sigmoid_binary_cross_entropy(logits_BxU, is_there_BxU)
    return losses.mean(axis=-1)


def settings(training: TrainConfig) -> TrainConfig:
    """How the start is trained: AdamW with one cycle, on inputs prepared as the folds' are."""
    return TrainConfig(
        epochs=training.pretrain_epochs,
        batch_size=min(BATCH_SIZE, training.pretrain_clips),
        learning_rate=LEARNING_RATE,
        precision=training.precision,
        optimizer="adamw",
        weight_decay=WEIGHT_DECAY,
        schedule="onecycle",
        input_norm=training.input_norm,
        fold_std=training.fold_std,
    )


def start(
    config: NetworkConfig,
    training: TrainConfig,
    seed: int,
    tell: Callable[[int, float], None] = lambda epoch, loss: None,
    devices: Sequence[jax.Device] | None = None,
) -> Params:
    """Parameters for the folds of a seed, without those of the last layer.

    `tell` is called with each epoch, from 1, and its mean loss. Raises ConfigError where the loss
    is not finite.
    """
    maps, is_there_NxU = motion.made_up(training.pretrain_clips, seed)
    count, units = is_there_NxU.shape
    pretraining = settings(training)
    batch = pretraining.batch_size
    full = (count - 1) // batch
    shape = EpochShape(full + 1, batch, count - full * batch)
    engine = Engine(
        dataclasses.replace(config, num_classes=units),
        pretraining,
        shape,
        size=1,
        test_places=1,
        devices=list(devices or jax.local_devices())[:1],
        loss=of_units,
    )
    data = engine.place_data({"flow": normalised(training.input_norm, maps, maps)}, is_there_NxU)
    job = Job(seed, Fold(FOLD_KEY, np.ones(count, bool), np.zeros(1, int)))
    chunk = engine.start([job])
    for epoch in range(pretraining.epochs):
        loss = float(engine.run_epochs(chunk, data, epoch, 1)[0, 0])
        if not np.isfinite(loss):
            raise ConfigError(
                f"the loss of --pretrain={training.pretrain} is {loss} after epoch {epoch + 1}; "
                "leave it out for this network."
            )
        tell(epoch + 1, loss)
    (params,) = engine.parameters(chunk, [job])
    last = {"/".join(path) for path in last_layer(config)}
    return {name: value for name, value in params.items() if name not in last}


def last_layer(config: NetworkConfig) -> set[Path]:
    """Paths of the parameters whose shape follows from the number of classes."""
    model_of = (dataclasses.replace(config, num_classes=count) for count in (2, 3))
    two, three = (parameter_shapes(make_model(one, TrainConfig()), one) for one in model_of)
    return {path for path in two if two[path] != three[path]}
