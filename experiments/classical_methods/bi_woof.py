"""Bi-WOOF: histograms of the flow's orientation in blocks, weighed twice.

Liong, See, Wong and Phan, Signal Processing: Image Communication 62 (2018),
doi:10.1016/j.image.2017.11.006: each pixel counts by the magnitude of its flow (local weight),
each block by its mean optical strain (global weight). Onset to apex, from the flow that the build
keeps at full resolution. Declared here, where papers differ or say nothing: 8x8 blocks, 8 bins
without interpolation, the strain of the build's formula, the vector of a clip scaled to length 1,
linear kernel, C = 1, classes weighed alike.
Letters in array names: N clips, S side of the face, C flow channels, B blocks a side.
"""

import numpy as np

from experiments.classical_methods.machines import linear_svm_probabilities
from experiments.classical_methods.method import FoldTask, Places
from experiments.classical_methods.settings import BiWoofConfig
from input_pipeline.core.clips import Clips
from input_pipeline.flow import kept_flow


def describe(clips: Clips, settings: BiWoofConfig, places: Places) -> np.ndarray:
    """The histograms of each clip (N, blocks * blocks * bins); raises InputError without flow."""
    assert places.data_dir is not None
    kept = kept_flow.read(places.data_dir, clips, asking="--method=bi_woof")
    blocks, bins = settings.woof_blocks, settings.woof_bins
    return np.stack([histograms(one.flow_SxSxC, blocks, bins) for one in kept])


def histograms(flow_SxSxC: np.ndarray, blocks: int, bins: int) -> np.ndarray:
    """One clip's histograms, blocks by row and column, each with its bins; of length 1 or 0."""
    u_SxS, v_SxS, strain_SxS = np.moveaxis(flow_SxSxC.astype(np.float64), -1, 0)
    bin_SxS = orientation_bins(u_SxS, v_SxS, bins)
    side = np.arange(len(u_SxS)) * blocks // len(u_SxS)
    block_SxS = side[:, None] * blocks + side
    place = (block_SxS * bins + bin_SxS).ravel()
    local = np.bincount(place, np.hypot(u_SxS, v_SxS).ravel(), blocks**2 * bins)
    pixels_B = np.bincount(block_SxS.ravel(), minlength=blocks**2)
    strain_B = np.bincount(block_SxS.ravel(), strain_SxS.ravel(), blocks**2) / pixels_B
    weighted = (local.reshape(blocks**2, bins) * strain_B[:, None]).ravel()
    return weighted / max(np.linalg.norm(weighted), np.finfo(float).tiny)


def orientation_bins(u: np.ndarray, v: np.ndarray, bins: int) -> np.ndarray:
    """The bin of each flow vector: 0 begins at the direction to the right and turns downwards."""
    turn = np.arctan2(v, u) / (2 * np.pi) % 1
    # A negative angle next to 0 rounds to a whole turn.
    return np.minimum((turn * bins).astype(int), bins - 1)


def predict(features_NxP: np.ndarray, task: FoldTask, settings: BiWoofConfig) -> np.ndarray:
    """Probabilities (held-out clips, K)."""
    train_TxP, test_QxP = features_NxP[task.train_index], features_NxP[task.test_index]
    return linear_svm_probabilities(
        train_TxP, task.label_T, test_QxP, task.num_classes, settings.svm_c
    )
