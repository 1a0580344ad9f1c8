"""Kernel ridge regression on four descriptions of the flow, mirrored clips taken along.

The project's record defines it (docs/choices.md): 0.7598 / 0.7789 over the 442 published maps.
Left open there and taken here: pooling keeps pixels 0, 2, 4, ...; beyond the border a map goes on
as its mirror image; central differences are one-sided at the border; a direction is shared out
linearly between its two bins; a kernel's median is that of the pairs of different training clips,
unmirrored, and serves both halves; of a pair the training clip is the mirrored one; an absent
class's target column is -1/K.

Letters in array names: N clips, H rows, W columns, F kernels, T training and Q held-out clips, K
classes.
"""

import numpy as np

from ahmsa_jax.inputs.input_norm import normalised
from ahmsa_jax.inputs.mirror import mirrored
from experiments.classical_methods.machines import softmax
from experiments.classical_methods.method import FoldTask, Places
from experiments.classical_methods.pooling import smoothed
from experiments.classical_methods.settings import KernelFlowConfig
from input_pipeline.core.clips import Clips

TEMPERATURE = 0.2
_BINS, _EVERY = 8, 2


def describe(clips: Clips, settings: KernelFlowConfig, places: Places) -> np.ndarray:
    """Squared distances (2, F, N, N) of the descriptions: between clips, and to mirrored clips.

    [0, f, i, j] is of the clips i and j, [1, f, i, j] of clip i and the mirrored clip j. The second
    is not quite symmetric: pooling keeps every second pixel, of a mirrored map the other ones.
    """
    maps_NxHxWxC = normalised("robust", clips.flow_NxHxWxC, clips.flow_whole_NxHxWxC)
    plain = descriptions(maps_NxHxWxC)
    across = descriptions(mirrored(maps_NxHxWxC, centred=True))
    return np.array(
        [
            [_squared_distances(own, other) for own, other in zip(plain, others, strict=True)]
            for others in (plain, across)
        ]
    )


def predict(distance_2xFxNxN: np.ndarray, task: FoldTask, settings: KernelFlowConfig) -> np.ndarray:
    """Softmax of the regression at TEMPERATURE (held-out clips, K)."""
    return softmax(decision(distance_2xFxNxN, task, settings), TEMPERATURE)


def decision(
    distance_2xFxNxN: np.ndarray, task: FoldTask, settings: KernelFlowConfig
) -> np.ndarray:
    """The regression's values (held-out clips, K); the largest is the prediction."""
    train, count = task.train_index, len(task.train_index)
    pairs = np.triu_indices(count, 1)
    among_FxTxT = distance_2xFxNxN[0][:, train[:, None], train]
    median_F = np.median(among_FxTxT[:, pairs[0], pairs[1]], axis=1)
    # Clips that are all alike are at distance 0 from each other, whatever the scale.
    width_F = settings.kernel_scale * np.where(median_F > 0, median_F, 1.0)

    def kernel(rows: np.ndarray) -> np.ndarray:
        both_2xFxRxT = distance_2xFxNxN[:, :, rows[:, None], train]
        # + 1: a constant that the regression may add.
        return np.exp(-both_2xFxRxT / width_F[:, None, None]).mean(axis=(0, 1)) + 1

    classes = task.num_classes
    weight_T = count / (classes * np.bincount(task.label_T, minlength=classes)[task.label_T])
    target_TxK = np.eye(classes)[task.label_T] - 1 / classes
    ridge_TxT = np.diag(settings.kernel_ridge / weight_T)
    share_TxK = np.linalg.solve(kernel(train) + ridge_TxT, target_TxK)
    return kernel(task.test_index) @ share_TxK


def descriptions(maps_NxHxWxC: np.ndarray) -> list[np.ndarray]:
    """The four descriptions, each (N, numbers), of maps under the robust input.

    Pixels; orientations of the gradients of u and v; signed flow and strain; divergence, curl and
    the two shears, split by sign. Those of a second phase stand behind the first's.
    """
    maps_NxHxWxC = maps_NxHxWxC.astype(np.float64)
    phases = [_of_phase(maps_NxHxWxC[..., k : k + 3]) for k in range(0, maps_NxHxWxC.shape[-1], 3)]
    return [np.concatenate(same, axis=1) for same in zip(*phases, strict=True)]


def _of_phase(maps_NxHxWxC: np.ndarray) -> list[np.ndarray]:
    u, v, strain = np.moveaxis(maps_NxHxWxC, -1, 0)
    du_dy, du_dx = np.gradient(u, axis=(1, 2))
    dv_dy, dv_dx = np.gradient(v, axis=(1, 2))
    parts = [u, v, strain, -u, -v]
    changes = [du_dx + dv_dy, dv_dx - du_dy, du_dx - dv_dy, du_dy + dv_dx]
    signed = [sign * change for change in changes for sign in (1, -1)]
    return [
        _rows([smoothed(channel, 1.0) for channel in (u, v, strain)]),
        _rows([*_orientations(u), *_orientations(v)]),
        _rows([_pooled(np.maximum(part, 0), 1.5) for part in parts]),
        _rows([_pooled(np.maximum(change, 0), 1.2) for change in signed]),
    ]


def _orientations(channel_NxHxW: np.ndarray) -> list[np.ndarray]:
    """The pooled magnitude of the gradient in each of eight directions."""
    along_y, along_x = np.gradient(smoothed(channel_NxHxW, 0.7), axis=(1, 2))
    size, turn = np.hypot(along_x, along_y), np.arctan2(along_y, along_x) / (2 * np.pi) * _BINS
    pooled = []
    for number in range(_BINS):
        # How many bins away, the shorter way round.
        away = np.abs((turn - number + _BINS / 2) % _BINS - _BINS / 2)
        pooled.append(_pooled(size * np.maximum(0, 1 - away), 1.2))
    return pooled


def _pooled(map_NxHxW: np.ndarray, sigma: float) -> np.ndarray:
    return np.sqrt(smoothed(map_NxHxW, sigma, _EVERY))


def _rows(maps: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([one.reshape(len(one), -1) for one in maps], axis=1)


def _squared_distances(first_NxP: np.ndarray, second_NxP: np.ndarray) -> np.ndarray:
    lengths = (first_NxP**2).sum(axis=1)[:, None] + (second_NxP**2).sum(axis=1)
    return np.maximum(lengths - 2 * first_NxP @ second_NxP.T, 0)
