"""What a rougher precision does to a run's numbers: a small LOSO in each, compared with float32."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from ahmsa_jax.config import NetworkConfig, Precision, TrainConfig
from ahmsa_jax.metrics import confusion_matrix, pooled_scores
from ahmsa_jax.training.engine import Engine
from ahmsa_jax.training.protocols import Fold, Job, epoch_shapes, loso_folds
from input_pipeline.core.clips import Clips
from input_pipeline.maps import synthetic

# Trained far enough for scores well above chance, in a minute on a CPU.
TRAINING = TrainConfig(epochs=30, learning_rate=3e-4)


def parity_table(
    model_config: NetworkConfig, precisions: Sequence[Precision], *, epochs: int, folds: int
) -> list[dict[str, Any]]:
    """One row per precision: UF1, UAR, and how far its probabilities lie from float32's.

    Trains the first `folds` folds of the small synthetic data set from the same seeds and orders.
    """
    clips = synthetic.make("five", "small")
    chosen = loso_folds(clips.subject_key_N)[:folds]
    truth = np.concatenate([clips.label_N[fold.test_index] for fold in chosen])
    found = {}
    wanted: list[Precision] = ["float32", *(p for p in precisions if p != "float32")]
    for precision in wanted:
        training = dataclasses.replace(TRAINING, epochs=epochs, precision=precision)
        found[precision] = _probabilities(model_config, clips, chosen, training)
    rows = []
    for precision, probability_NxK in found.items():
        gap_NxK = np.abs(probability_NxK - found["float32"])
        prediction = probability_NxK.argmax(axis=1)
        scores = pooled_scores(confusion_matrix(truth, prediction, model_config.num_classes))
        rows.append(
            {
                "precision": precision,
                "uf1": scores.uf1,
                "uar": scores.uar,
                "probability_gap_largest": float(gap_NxK.max()),
                "probability_gap_mean": float(gap_NxK.mean()),
                "predictions_changed": int((prediction != found["float32"].argmax(axis=1)).sum()),
                "clips": len(truth),
            }
        )
    return rows


def _probabilities(
    model_config: NetworkConfig, clips: Clips, chosen: list[Fold], training: TrainConfig
) -> np.ndarray:
    shapes = epoch_shapes(loso_folds(clips.subject_key_N), training.batch_size)
    engine = Engine(
        model_config,
        training,
        shapes[chosen[0].key],
        size=len(chosen),
        test_places=max(len(fold.test_index) for fold in chosen),
        devices=jax.local_devices()[:1],
    )
    jobs = [Job(0, fold) for fold in chosen]
    data = engine.place_data({"flow": clips.flow_NxHxWxC}, clips.label_N)
    chunk = engine.start(jobs)
    for epoch in range(training.epochs):
        engine.run_epochs(chunk, data, epoch, 1)
    return np.concatenate(engine.predict(chunk, data, jobs))
