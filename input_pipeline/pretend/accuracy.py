"""How well recovered flow agrees with the known warp of a pretend face, inside the face.

Letters in array names: H rows and W columns of a frame, S side of the face crop.
"""

from typing import NamedTuple

import numpy as np

from input_pipeline.core import extras
from input_pipeline.faces import detection
from input_pipeline.faces.frames import grey
from input_pipeline.flow import optical
from input_pipeline.pretend import portraits


class Recovered(NamedTuple):
    """True and recovered flow of one motion in pixels of the face crop, and where it moves.

    Both flows are SxSx2 in (u, v); `is_moving_SxS` marks points inside the face whose true
    motion is above half the strength.
    """

    true_SxSx2: np.ndarray
    found_SxSx2: np.ndarray
    is_moving_SxS: np.ndarray

    def errors(self) -> np.ndarray:
        """End-point error of every moving point, in pixels of the face crop."""
        difference_SxSx2 = self.found_SxSx2 - self.true_SxSx2
        return np.hypot(difference_SxSx2[..., 0], difference_SxSx2[..., 1])[self.is_moving_SxS]

    def degrees_off(self) -> float:
        """Angle between the mean true and the mean found motion, the worse side of the face."""
        worst = 0.0
        middle = self.is_moving_SxS.shape[1] // 2
        for side in (slice(0, middle), slice(middle, None)):
            is_moving_Sxh = self.is_moving_SxS[:, side]
            if not is_moving_Sxh.any():
                continue
            true_2 = self.true_SxSx2[:, side][is_moving_Sxh].mean(axis=0)
            found_2 = self.found_SxSx2[:, side][is_moving_Sxh].mean(axis=0)
            cosine = true_2 @ found_2 / max(np.hypot(*true_2) * np.hypot(*found_2), 1e-9)
            worst = max(worst, float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))))
        return worst


def recover(
    identity: int, motion: str, pixels: float, *, noise: float = 0.0, method: str = "tvl1"
) -> Recovered:
    """Move a pretend face by `pixels` of the face crop and find the motion again.

    Detection, landmarks, alignment and flow run as for a real clip; `noise` is the standard
    deviation of the grey noise in both frames.
    """
    neutral_HxWx3 = portraits.identity(identity)
    onset_HxWx3 = portraits.with_noise(neutral_HxWx3, noise, 2 * identity)
    face = detection.find_face(onset_HxWx3)
    scale = float(np.hypot(*face.transform_2x3[0, :2]))
    frame_HxWx3, true_HxWx2 = portraits.moved(neutral_HxWx3, {motion: pixels / scale})
    frame_HxWx3 = portraits.with_noise(frame_HxWx3, noise, 2 * identity + 1)
    found_SxSx2 = optical.optical_flow(
        detection.crop(grey(onset_HxWx3), face), detection.crop(grey(frame_HxWx3), face), method
    )
    true_SxSx2 = in_crop(true_HxWx2, face)
    is_moving_SxS = np.hypot(true_SxSx2[..., 0], true_SxSx2[..., 1]) > 0.5 * pixels
    return Recovered(true_SxSx2, found_SxSx2, is_moving_SxS & detection.face_mask(face))


def in_crop(flow_HxWx2: np.ndarray, face: detection.Face) -> np.ndarray:
    """A flow of the frame as seen in the face crop: moved there, turned and scaled; SxSx2."""
    cv2 = extras.opencv()
    in_place_SxSx2 = cv2.warpAffine(
        flow_HxWx2,
        face.transform_2x3,
        (detection.FACE_SIZE, detection.FACE_SIZE),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return in_place_SxSx2 @ face.transform_2x3[:, :2].T
