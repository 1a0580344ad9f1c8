"""Optical strain of a flow field, and the normalisation every map goes through."""

import numpy as np

from input_pipeline.core.errors import InputError

# Published formulas for the size of the strain; they differ in the shear term.
FORMULAS = ("mfdan", "htnet")


def optical_strain(u_HxW: np.ndarray, v_HxW: np.ndarray, formula: str = "mfdan") -> np.ndarray:
    """Magnitude of the optical strain tensor, sqrt(u_x^2 + v_y^2 + 1/2 (u_y + v_x)^2).

    u_HxW is the flow to the right and v_HxW the flow downwards, in pixels; the result, HxW
    float64, is in pixels per pixel. Derivatives are central differences, one-sided at the
    borders. Raises ValueError unless both are HxW alike with at least two rows and columns.
    Source: MFDAN, eq. 3. With `formula` "htnet" the shear term is 1/2 (u_y^2 + v_x^2), as
    printed in HTNet, eq. 3: a turn of the head, which deforms nothing, then counts as strain.
    """
    if formula not in FORMULAS:
        raise ValueError(f"unknown strain formula {formula!r}; allowed are {', '.join(FORMULAS)}")
    if u_HxW.shape != v_HxW.shape or u_HxW.ndim != 2 or min(u_HxW.shape) < 2:
        raise ValueError(
            f"u and v must be HxW alike and at least 2x2, got {u_HxW.shape} and {v_HxW.shape}"
        )
    # numpy.gradient returns the derivative along rows (y) first.
    du_dy_HxW, du_dx_HxW = np.gradient(np.asarray(u_HxW, np.float64))
    dv_dy_HxW, dv_dx_HxW = np.gradient(np.asarray(v_HxW, np.float64))
    if formula == "htnet":
        shear_HxW = du_dy_HxW**2 + dv_dx_HxW**2
    else:
        shear_HxW = (du_dy_HxW + dv_dx_HxW) ** 2
    return np.sqrt(du_dx_HxW**2 + dv_dy_HxW**2 + 0.5 * shear_HxW)


def normalise_to_255(flow_HxWxC: np.ndarray) -> np.ndarray:
    """Min-max of each channel over the whole face to 0..255, HxWxC float32.

    A channel without any motion has no scale of its own: it becomes 0, never NaN. Raises
    InputError on NaN or infinity.
    """
    flow_HxWxC = np.asarray(flow_HxWxC, np.float64)
    if not np.isfinite(flow_HxWxC).all():
        raise InputError(
            "the optical flow holds NaN or infinity; every value must be a finite number of "
            "pixels. Check the two frames it was computed from."
        )
    low_C = flow_HxWxC.min(axis=(0, 1))
    range_C = flow_HxWxC.max(axis=(0, 1)) - low_C
    unit_HxWxC = (flow_HxWxC - low_C) / np.where(range_C == 0, 1.0, range_C)
    return (unit_HxWxC * 255.0).astype(np.float32)
