"""The one-second baseline: a linear support vector machine on the maps themselves.

Each channel of a clip is centred and scaled to unit length; the kernel is the mean over channels
of the inner products. Letters in array names: N clips, P pixels of all channels.
"""

import numpy as np

from ahmsa_jax.inputs.input_norm import normalised
from experiments.classical_methods.machines import linear_svm_probabilities
from experiments.classical_methods.method import FoldTask, Places
from experiments.classical_methods.settings import SvmConfig
from input_pipeline.core.clips import Clips


def describe(clips: Clips, settings: SvmConfig, places: Places) -> np.ndarray:
    """The pixels (N, P), whose inner products are the kernel."""
    maps_NxHxWxC = normalised("unit", clips.flow_NxHxWxC, clips.flow_whole_NxHxWxC)
    pixels_NxP = maps_NxHxWxC.reshape(len(clips), -1).astype(np.float64)
    return pixels_NxP / np.sqrt(maps_NxHxWxC.shape[-1])


def predict(pixels_NxP: np.ndarray, task: FoldTask, settings: SvmConfig) -> np.ndarray:
    """Probabilities (held-out clips, K)."""
    train_TxP, test_QxP = pixels_NxP[task.train_index], pixels_NxP[task.test_index]
    return linear_svm_probabilities(
        train_TxP, task.label_T, test_QxP, task.num_classes, settings.svm_c
    )
