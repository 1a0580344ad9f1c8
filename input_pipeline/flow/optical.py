"""Optical flow between two aligned grey crops of a face.

Letters in array names: H rows, W columns; the last axis of a flow holds (u, v), the motion to the
right and downwards, in pixels.
"""

import functools

import numpy as np

from input_pipeline.core import extras
from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.faces import frames

METHODS = ("tvl1", "farneback")
# A micro-expression moves skin by a few pixels of a 224-pixel face; more than a tenth of the face
# is a lost crop, a cut or another person.
MOST_FLOW_SHARE = 0.1
# A camera's noise alone spreads wider than this.
_LEAST_CONTRAST = 8
# HTNet's public settings (Wang et al. 2024).
_FARNEBACK = {
    "pyr_scale": 0.5,
    "levels": 3,
    "winsize": 15,
    "iterations": 3,
    "poly_n": 5,
    "poly_sigma": 1.2,
    "flags": 0,
}
_TVL1_SETTINGS = (
    *("Tau", "Lambda", "Theta", "Gamma", "ScalesNumber", "WarpingsNumber", "Epsilon"),
    *("InnerIterations", "OuterIterations", "ScaleStep", "MedianFiltering"),
)


def provenance(method: str) -> dict[str, str]:
    """The method, its settings and OpenCV's version: what a flow map depends on, as text.

    Flow differs between OpenCV versions by up to 1.3 px, and with its SIMD code switched off.
    """
    cv2 = extras.opencv()
    settings = dict(_FARNEBACK)
    if method == "tvl1":
        settings = {name: getattr(_tvl1(), f"get{name}")() for name in _TVL1_SETTINGS}
    return {
        "flow": method,
        "flow_settings": ", ".join(f"{name} {value:g}" for name, value in settings.items()),
        "opencv": cv2.__version__,
        "opencv_optimized": str(cv2.useOptimized()),
    }


def optical_flow(onset_HxW: np.ndarray, apex_HxW: np.ndarray, method: str = "tvl1") -> np.ndarray:
    """Flow HxWx2 float32 in (u, v): where each point of the onset is found in the apex.

    `tvl1` is OpenCV's DualTVL1OpticalFlow at its defaults (Zach, Pock and Bischof 2007),
    `farneback` Farnebäck's (2003) at HTNet's settings. Both crops are grey uint8 of one size.
    Raises ClipFault (frame_constant, flow_not_finite, flow_absurd); ValueError on an unknown method
    or on anything but grey uint8 of one size.
    """
    if method not in METHODS:
        raise ValueError(f"unknown flow method {method!r}; allowed are {', '.join(METHODS)}")
    crops = (onset_HxW, apex_HxW)
    if any(c.shape != onset_HxW.shape or c.ndim != 2 or c.dtype != np.uint8 for c in crops):
        raise ValueError("optical flow takes two grey uint8 crops of one size, HxW")
    for name, crop_HxW in (("onset", onset_HxW), ("apex", apex_HxW)):
        check_contrast(name, crop_HxW)
    cv2 = extras.opencv()
    if method == "tvl1":
        flow_HxWx2 = _tvl1().calc(onset_HxW, apex_HxW, None)
    else:
        flow_HxWx2 = cv2.calcOpticalFlowFarneback(onset_HxW, apex_HxW, None, **_FARNEBACK)
    check_flow(flow_HxWx2)
    return flow_HxWx2


def shrunk(crop_HxW: np.ndarray, factor: int) -> np.ndarray:
    """The crop with `factor` times fewer pixels a side, by area averaging, uint8."""
    cv2 = extras.opencv()
    size = (crop_HxW.shape[1] // factor, crop_HxW.shape[0] // factor)
    return cv2.resize(crop_HxW, size, interpolation=cv2.INTER_AREA)


def usable_grey(picture: np.ndarray, name: str) -> np.ndarray:
    """Grey values HxW uint8 of a frame; raises ClipFault frame_constant as check_contrast."""
    grey_HxW = frames.grey(picture)
    check_contrast(name, grey_HxW)
    return grey_HxW


def check_contrast(name: str, grey_HxW: np.ndarray) -> None:
    """Raise ClipFault frame_constant on a picture whose grey values hardly differ.

    Between its 1st and 99th percentile lie fewer than 8 grey values: black, white or one colour.
    """
    low, high = np.percentile(grey_HxW, (1, 99))
    if high - low < _LEAST_CONTRAST:
        raise ClipFault(
            "frame_constant", f"the {name} frame is one plain grey of {low:.0f} to {high:.0f}."
        )


def check_flow(flow_HxWx2: np.ndarray) -> None:
    """Raise ClipFault on flow that is not finite or larger than a tenth of the face's side."""
    if not np.isfinite(flow_HxWx2).all():
        raise ClipFault("flow_not_finite", "the optical flow holds NaN or infinity.")
    largest = float(np.hypot(flow_HxWx2[..., 0], flow_HxWx2[..., 1]).max())
    most = MOST_FLOW_SHARE * max(flow_HxWx2.shape[:2])
    if largest > most:
        raise ClipFault(
            "flow_absurd", f"the optical flow reaches {largest:.1f} px; allowed are {most:.1f} px."
        )


@functools.cache
def _tvl1():
    return extras.opencv().optflow.DualTVL1OpticalFlow_create()
