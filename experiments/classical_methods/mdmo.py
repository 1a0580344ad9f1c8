"""MDMO: the main direction of the flow in 36 regions of the face, as its mean vector.

Liu, Zhang, Yan, Wang, Zhao and Fu, IEEE Trans. Affective Computing 7 (2016),
doi:10.1109/TAFFC.2015.2485205: in each region the flow falls into 8 directions; the mean vector of
the fullest one, as magnitude and angle, describes it. The paper takes the mean over all frames of
a clip; here onset to apex alone, the rest is left out. Declared here: the regions are discs around
36 points worked out from dlib's 68 landmarks (the paper draws polygons between its 66); the median
flow of the face is subtracted (the paper aligns faces by an affine transform); magnitudes are
divided by the clip's largest, angles by pi; both are weighed by alpha and 1 - alpha, with the
paper's 0.9; linear kernel (the paper: polynomial), C = 1, classes weighed alike.
Letters in array names: N clips, S side of the face, C flow channels, R regions.
"""

import numpy as np

from experiments.classical_methods.bi_woof import orientation_bins
from experiments.classical_methods.machines import linear_svm_probabilities
from experiments.classical_methods.method import FoldTask, Places
from experiments.classical_methods.settings import MdmoConfig
from input_pipeline.core.clips import Clips
from input_pipeline.flow import kept_flow

BINS = 8
# Radius of a region as a share of the face crop's side.
RADIUS = 1 / 16
# Each point is the mean of these of dlib's landmarks.
REGIONS = (
    # Brows, between them, outer corners and lower lids of the eyes.
    *((number,) for number in range(17, 27)),
    *((21, 22), (36,), (45,), (40, 41), (46, 47)),
    # Bridge, tip and wings of the nose.
    *((27,), (29,), (30,), (31,), (35,)),
    # Cheeks beside the nose and below the eyes, folds from nose to mouth.
    *((2, 31), (14, 35), (40, 41, 48), (46, 47, 54), (31, 48), (35, 54)),
    # Mouth: corners, upper lip, lower lip; chin.
    *((48,), (54,), (50,), (51,), (52,), (56,), (57,), (58,)),
    *((8, 57), (8,)),
)


def describe(clips: Clips, settings: MdmoConfig, places: Places) -> np.ndarray:
    """Magnitude and angle of each region, weighed (N, 2 R); raises InputError without flow."""
    assert places.data_dir is not None
    kept = kept_flow.read(places.data_dir, clips, asking="--method=mdmo")
    polar_NxRx2 = np.stack([main_directions(one.flow_SxSxC, one.landmarks_68x2) for one in kept])
    weights_2 = np.array([settings.mdmo_alpha, 1 - settings.mdmo_alpha])
    return (polar_NxRx2 * weights_2).reshape(len(clips), -1)


def main_directions(flow_SxSxC: np.ndarray, landmarks_68x2: np.ndarray) -> np.ndarray:
    """Magnitude (0..1, of the clip's largest) and angle (-1..1, of pi) of each region (R, 2)."""
    flow_SxSx2 = flow_SxSxC[..., :2].astype(np.float64)
    flow_SxSx2 -= np.median(flow_SxSx2, axis=(0, 1))
    size = len(flow_SxSx2)
    rows_SxS, columns_SxS = np.mgrid[:size, :size]
    means = []
    for points in REGIONS:
        x, y = np.clip(landmarks_68x2[list(points)].mean(axis=0), 0, size - 1)
        inside = (columns_SxS - x) ** 2 + (rows_SxS - y) ** 2 <= (RADIUS * size) ** 2
        means.append(_mean_of_fullest(flow_SxSx2[inside]))
    mean_Rx2 = np.array(means)
    magnitude_R = np.hypot(mean_Rx2[:, 0], mean_Rx2[:, 1])
    largest = max(magnitude_R.max(), np.finfo(float).tiny)
    angle_R = np.arctan2(mean_Rx2[:, 1], mean_Rx2[:, 0]) / np.pi
    return np.stack([magnitude_R / largest, angle_R], axis=-1)


def _mean_of_fullest(flow_Px2: np.ndarray) -> np.ndarray:
    """The mean vector of the direction that most pixels move in; of equal ones the first."""
    bin_P = orientation_bins(flow_Px2[:, 0], flow_Px2[:, 1], BINS)
    fullest = np.bincount(bin_P, minlength=BINS).argmax()
    return flow_Px2[bin_P == fullest].mean(axis=0)


def predict(features_NxP: np.ndarray, task: FoldTask, settings: MdmoConfig) -> np.ndarray:
    """Probabilities (held-out clips, K)."""
    train_TxP, test_QxP = features_NxP[task.train_index], features_NxP[task.test_index]
    return linear_svm_probabilities(
        train_TxP, task.label_T, test_QxP, task.num_classes, settings.svm_c
    )
