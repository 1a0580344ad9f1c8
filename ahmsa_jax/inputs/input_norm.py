"""Normalisation of the maps per clip: which grey value stands for "no motion", and which scale.

Maps are stored as 0..255 after a min-max per clip and channel, so that no motion has another grey
value in every clip. Each rule here takes its numbers from a clip's whole face alone and applies
them to the pixels of the layout, so that a pixel means the same in every layout.

Letters in array names: N clips, H rows, W columns, C flow channels, (u, v, strain) of each phase,
A angles.
"""

from collections.abc import Callable

import numpy as np

# Angles of (weight of u, weight of v) = (cos, sin) that `robust` tries, in degrees.
ANGLES_A = np.linspace(5, 85, 31)
_PERCENTILE = 90
# |x| -> LIMIT tanh(|x| / LIMIT): linear for small motion, at most LIMIT.
LIMIT = 1.5
# Added to the strain's percentile, as a share of the grey range: a still face stays small.
_LEAST_STRAIN = 0.01
# Lengths and scales below are those of a constant channel, up to rounding.
_LEAST_SCALE = 1e-7


def normalised(name: str, flow_NxHxWxC: np.ndarray, flow_whole_NxHxWxC: np.ndarray) -> np.ndarray:
    """The layout's maps under a rule of INPUT_NORMS, float32 (N, H, W, C).

    Both inputs are in 0..255; flow_whole is the uncropped face of the same clips. Raises KeyError
    on an unknown name.
    """
    return INPUT_NORMS[name](flow_NxHxWxC, flow_whole_NxHxWxC).astype(np.float32)


def unchanged(flow_NxHxWxC: np.ndarray, flow_whole_NxHxWxC: np.ndarray) -> np.ndarray:
    """The maps as stored."""
    return flow_NxHxWxC


def centred(flow_NxHxWxC: np.ndarray, flow_whole_NxHxWxC: np.ndarray) -> np.ndarray:
    """Each channel less its mean over the whole face, in grey values."""
    whole_NxHxWxC = np.asarray(flow_whole_NxHxWxC, np.float64)
    return flow_NxHxWxC - whole_NxHxWxC.mean(axis=(1, 2), keepdims=True)


def of_unit_length(flow_NxHxWxC: np.ndarray, flow_whole_NxHxWxC: np.ndarray) -> np.ndarray:
    """Centred and divided by the Euclidean length of the centred whole channel.

    In the layout `whole` each channel is a vector of length 1. A constant channel becomes 0.
    """
    whole_NxHxWxC = centred(flow_whole_NxHxWxC, flow_whole_NxHxWxC)
    length_Nx1x1xC = np.sqrt((whole_NxHxWxC**2).sum(axis=(1, 2), keepdims=True))
    return _quotient(centred(flow_NxHxWxC, flow_whole_NxHxWxC), length_Nx1x1xC)


def robust(flow_NxHxWxC: np.ndarray, flow_whole_NxHxWxC: np.ndarray) -> np.ndarray:
    """Flow about its median, its channels weighed by the strain, large motion held back.

    Each phase, three channels, for itself; `_robust_phase` says how.
    """
    phases = [
        _robust_phase(
            flow_NxHxWxC[..., first : first + 3], flow_whole_NxHxWxC[..., first : first + 3]
        )
        for first in range(0, flow_NxHxWxC.shape[-1], 3)
    ]
    return np.concatenate(phases, axis=-1)


def _robust_phase(flow_NxHxWxC: np.ndarray, flow_whole_NxHxWxC: np.ndarray) -> np.ndarray:
    """The robust input of one phase.

    1. u and v less their medians, divided by 255; strain divided by 255.
    2. u times cos(a), v times sin(a): of ANGLES_A the angle whose strain formula (MFDAN's eq. 3)
       correlates best with the stored strain. It undoes the separate min-max of the channels.
    3. Flow divided by the 90th percentile of its magnitude, which then becomes
       1.5 tanh(magnitude / 1.5), the direction kept.
    4. Strain divided by its own 90th percentile + 0.01, then 1.5 tanh(strain / 1.5).

    The project's record defines it so (docs/choices.md). Left open there and taken here: angles of
    5 to 85 degrees in equal steps, so that no channel vanishes; central differences inside and
    one-sided ones at the border (np.gradient); the strain keeps its own zero, no median is
    subtracted; percentiles between two pixels are interpolated. Where no correlation is defined
    (constant strain or flow) both channels weigh the same; where the percentile is 0, flow is 0.
    """
    whole_NxHxWxC, centre_Nx1x1x2 = _about_median(flow_whole_NxHxWxC)
    angle_N = strain_angles(whole_NxHxWxC)
    weight_Nx1x1x2 = np.stack([np.cos(angle_N), np.sin(angle_N)], axis=-1)[:, None, None]
    whole_flow_NxHxWx2 = whole_NxHxWxC[..., :2] * weight_Nx1x1x2
    flow_scale_Nx1x1x1 = _scale(np.hypot(whole_flow_NxHxWx2[..., 0], whole_flow_NxHxWx2[..., 1]))
    strain_scale_Nx1x1x1 = _scale(whole_NxHxWxC[..., 2]) + _LEAST_STRAIN

    maps_NxHxWxC = np.asarray(flow_NxHxWxC, np.float64)
    moved_NxHxWx2 = (maps_NxHxWxC[..., :2] - centre_Nx1x1x2) / 255 * weight_Nx1x1x2
    flow_NxHxWx2 = _quotient(moved_NxHxWx2, flow_scale_Nx1x1x1)
    size_NxHxWx1 = np.hypot(flow_NxHxWx2[..., :1], flow_NxHxWx2[..., 1:])
    strain_NxHxWx1 = maps_NxHxWxC[..., 2:3] / 255 / strain_scale_Nx1x1x1
    return np.concatenate(
        [
            _quotient(flow_NxHxWx2, size_NxHxWx1) * _held_back(size_NxHxWx1),
            _held_back(strain_NxHxWx1),
        ],
        axis=-1,
    )


def strain_angles(whole_NxHxWxC: np.ndarray) -> np.ndarray:
    """The angle of (weight of u, weight of v), (N,) in radians, that explains the strain best.

    Takes whole faces in any unit. The squared strain of (u cos a, v sin a) is a sum of three maps
    that do not depend on a.
    """
    u_NxHxW, v_NxHxW, strain_NxHxW = np.moveaxis(whole_NxHxWxC, -1, 0)
    du_dy, du_dx = np.gradient(u_NxHxW, axis=(1, 2))
    dv_dy, dv_dx = np.gradient(v_NxHxW, axis=(1, 2))
    of_u_NxHxW, of_v_NxHxW = du_dx**2 + du_dy**2 / 2, dv_dy**2 + dv_dx**2 / 2
    of_both_NxHxW = du_dy * dv_dx
    angle_A = np.radians(ANGLES_A)
    fit_AxN = np.stack(
        [
            _correlation(
                np.sqrt(
                    np.maximum(
                        np.cos(a) ** 2 * of_u_NxHxW
                        + np.sin(a) ** 2 * of_v_NxHxW
                        + np.cos(a) * np.sin(a) * of_both_NxHxW,
                        0,
                    )
                ),
                strain_NxHxW,
            )
            for a in angle_A
        ]
    )
    known_N = np.isfinite(fit_AxN).all(axis=0)
    best_N = np.where(known_N, np.nan_to_num(fit_AxN).argmax(axis=0), len(angle_A) // 2)
    return angle_A[best_N]


def _about_median(flow_whole_NxHxWxC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole faces with u and v about their medians, all in 0..1 units, and the medians."""
    whole_NxHxWxC = np.array(flow_whole_NxHxWxC, np.float64)
    centre_Nx1x1x2 = np.median(whole_NxHxWxC[..., :2], axis=(1, 2), keepdims=True)
    whole_NxHxWxC[..., :2] -= centre_Nx1x1x2
    return whole_NxHxWxC / 255, centre_Nx1x1x2


def _scale(size_NxHxW: np.ndarray) -> np.ndarray:
    return np.percentile(size_NxHxW, _PERCENTILE, axis=(1, 2))[:, None, None, None]


def _held_back(size: np.ndarray) -> np.ndarray:
    return LIMIT * np.tanh(size / LIMIT)


def _quotient(values: np.ndarray, divisor: np.ndarray) -> np.ndarray:
    """Values by divisor, 0 where the divisor is that of a constant channel."""
    return np.divide(values, divisor, out=np.zeros(values.shape), where=divisor > _LEAST_SCALE)


def _correlation(first_NxHxW: np.ndarray, second_NxHxW: np.ndarray) -> np.ndarray:
    """Pearson's correlation over the pixels of each clip, (N,); NaN where a map is constant."""
    first_NxHxW = first_NxHxW - first_NxHxW.mean(axis=(1, 2), keepdims=True)
    second_NxHxW = second_NxHxW - second_NxHxW.mean(axis=(1, 2), keepdims=True)
    together_N = (first_NxHxW * second_NxHxW).sum(axis=(1, 2))
    sizes_N = np.sqrt((first_NxHxW**2).sum(axis=(1, 2)) * (second_NxHxW**2).sum(axis=(1, 2)))
    # A constant map's deviations are 0 up to rounding.
    return np.where(sizes_N > 1e-12, together_N / np.maximum(sizes_N, 1e-12), np.nan)


# (flow_NxHxWxC, flow_whole_NxHxWxC) -> (N, H, W, C), by the name after --input_norm.
INPUT_NORMS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "none": unchanged,
    "center": centred,
    "unit": of_unit_length,
    "robust": robust,
}
