"""An AHMSA-Net of one level, compiled and trained for two folds by a run's engine.

The maps are random, no file is read or written. Letters in array names: N clips, H rows, W columns,
C channels, K classes, F folds, E epochs.
"""

import time
from collections.abc import Iterator, Sequence

import jax
import numpy as np

from ahmsa_jax.config import TrainConfig
from ahmsa_jax.networks.ahmsa import ModelConfig
from ahmsa_jax.training.engine import Engine, Job
from ahmsa_jax.training.protocols import epoch_shapes, loso_folds

_MODEL = ModelConfig(base_dim=12, blocks=(1,), heads=3, reduction=4)
_TRAINING = TrainConfig(epochs=20, batch_size=16, learning_rate=3e-4, precision="float32")
_SUBJECTS, _CLIPS_EACH, _FOLDS = 4, 6, 2
# Of a softmax in float32 over three classes.
_ROUNDING = 1e-5


class TrainingError(Exception):
    """The training ended, and its numbers cannot be right."""


def compile_and_train(devices: Sequence[jax.Device]) -> Iterator[str]:
    """How long compiling took, then training and its losses.

    Raises TrainingError where a loss or a probability is none; JAX's errors pass.
    """
    subjects = [f"made-up/{number}" for number in range(_SUBJECTS) for _ in range(_CLIPS_EACH)]
    rng = np.random.default_rng(0)
    flow_NxHxWxC = rng.uniform(0, 255, (len(subjects), 28, 28, 3)).astype(np.float32)
    label_N = np.arange(len(subjects)) % _MODEL.num_classes
    folds = loso_folds(subjects)[:_FOLDS]
    (shape,) = set(epoch_shapes(folds, _TRAINING.batch_size).values())
    began = time.monotonic()
    engine = Engine(_MODEL, _TRAINING, shape, size=_FOLDS, test_places=_CLIPS_EACH, devices=devices)
    jobs = [Job(0, fold) for fold in folds]
    data, chunk = engine.place_data({"flow": flow_NxHxWxC}, label_N), engine.start(jobs)
    needed = engine.compile(chunk, data)
    yield (
        f"AHMSA-Net of width {_MODEL.base_dim}, {_FOLDS} folds at once, in "
        f"{time.monotonic() - began:.1f} s; needs {needed / 2**20:.0f} MiB per device"
    )
    began = time.monotonic()
    loss_FxE = engine.run_epochs(chunk, data, 0, _TRAINING.epochs)[:_FOLDS]
    probabilities = engine.predict(chunk, data, jobs)
    _check(loss_FxE, probabilities)
    first, last = loss_FxE[:, 0].mean(), loss_FxE[:, -1].mean()
    yield (
        f"{_TRAINING.epochs} epochs in {time.monotonic() - began:.1f} s; loss {first:.4f} in the "
        f"first, {last:.4f} in the last"
    )


def _check(loss_FxE: np.ndarray, probabilities: Sequence[np.ndarray]) -> None:
    if not np.isfinite(loss_FxE).all():
        raise TrainingError("the loss is no number")
    for probability_NxK in probabilities:
        off = abs(probability_NxK.sum(axis=-1) - 1)
        # Written so that what is no number is found too.
        if not (off < _ROUNDING).all():
            raise TrainingError(f"class probabilities add up to 1 with an error of {off.max()}")
