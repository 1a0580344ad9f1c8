"""The one-second baseline: a linear support vector machine on the maps themselves.

Each channel of a clip is centred and scaled to unit length; the kernel is the mean over channels
of the inner products. Letters in array names: N clips, P pixels of all channels.
"""

import numpy as np

from ahmsa_jax.inputs.input_norm import normalised
from experiments.classical_methods.machines import svm_probabilities
from experiments.classical_methods.method import FoldTask, Places
from experiments.classical_methods.settings import SvmConfig
from input_pipeline.core.clips import Clips


def describe(clips: Clips, settings: SvmConfig, places: Places) -> np.ndarray:
    """The kernel (N, N): an entry depends on its two clips alone."""
    maps_NxHxWxC = normalised("unit", clips.flow_NxHxWxC, clips.flow_whole_NxHxWxC)
    pixels_NxP = maps_NxHxWxC.reshape(len(clips), -1).astype(np.float64)
    return pixels_NxP @ pixels_NxP.T / maps_NxHxWxC.shape[-1]


def predict(kernel_NxN: np.ndarray, task: FoldTask, settings: SvmConfig) -> np.ndarray:
    """Probabilities (held-out clips, K)."""
    train, test = task.train_index, task.test_index
    return svm_probabilities(
        kernel_NxN[np.ix_(train, train)],
        task.label_T,
        kernel_NxN[np.ix_(test, train)],
        task.num_classes,
        settings.svm_c,
    )
