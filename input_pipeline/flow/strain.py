"""Optical strain of a flow field."""

import numpy as np

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
