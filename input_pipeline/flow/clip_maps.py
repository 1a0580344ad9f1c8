"""One clip from its frames to the full-resolution flow map of the aligned face.

Letters in array names: S side of the face crop (224), C channels (u, v, strain).
"""

import dataclasses
import importlib.metadata
import pathlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from input_pipeline.core import extras
from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.core.errors import InputError
from input_pipeline.databases import apex
from input_pipeline.databases.rows import ClipRecord
from input_pipeline.faces import detection, frames, mesh
from input_pipeline.flow import optical, strain

# From a frame's path to its picture, HxW or HxWx3 uint8.
Read = Callable[[pathlib.Path], np.ndarray]
# The face may not wander farther between onset and apex than this share of the crop.
_MOST_SHIFT = 0.15
# Spotting compares many frames; at half the size it takes a quarter of the time.
_SPOT_SHRINK = 2
_MOST_SPOT_SECONDS = 3600.0
# dlib's counterparts of layouts.LANDMARKS.
_DLIB_POINTS = (slice(36, 42), slice(42, 48), slice(30, 31), slice(48, 49), slice(54, 55))


@dataclasses.dataclass(frozen=True)
class MapSettings:
    """How clips become maps; raises InputError on a choice that does not exist."""

    flow: str = "tvl1"
    strain: str = "mfdan"
    smic_apex: str = "offset"
    zero_motion: str = "spot"
    # How long after the onset an apex is looked for.
    spot_seconds: float = apex.SPOT_SECONDS

    def __post_init__(self) -> None:
        choices = {
            "flow": optical.METHODS,
            "strain": strain.FORMULAS,
            "smic_apex": apex.SMIC_CHOICES,
            "zero_motion": apex.ZERO_MOTION_CHOICES,
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"{name} is {getattr(self, name)!r}; allowed are {', '.join(allowed)}."
                )
        # NaN fails this comparison as well.
        if not 0 < self.spot_seconds <= _MOST_SPOT_SECONDS:
            raise InputError(
                f"spot_seconds is {self.spot_seconds:g}; allowed are more than 0 and at most "
                f"{_MOST_SPOT_SECONDS:g} seconds."
            )

    def provenance(self) -> dict[str, str]:
        """What the maps depend on, as text for the data set: settings and versions."""
        return {
            **optical.provenance(self.flow),
            **dataclasses.asdict(self),
            "spot_seconds": f"{self.spot_seconds:g}",
            "face_size": str(detection.FACE_SIZE),
            "landmark_model_sha256": detection.LANDMARK_MODEL_SHA256,
            "dlib": extras.library("dlib").__version__,
            "mediapipe": importlib.metadata.version("mediapipe"),
            "pillow": importlib.metadata.version("pillow"),
        }


class Quality(NamedTuple):
    """What a look at the build report needs to find odd clips.

    The frames are those really used; flow_max_px and strain_mean are of the whole face crop;
    `rules` are keys of clip_faults.RULES.
    """

    detector_score: float
    flow_max_px: float
    strain_mean: float
    onset_frame: int
    apex_frame: int
    rules: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ClipMaps:
    """A clip's full-resolution map: flow_SxSxC float32 in (u, v, strain), pixels and pixels/pixel.

    landmarks_5x2 (order of layouts.LANDMARKS) and landmarks_68x2 are in pixels of the face;
    onset_SxS and apex_SxS are the aligned grey crops, which are licensed material. `seconds` per
    stage (reading, detector, landmarks, flow, regions) is no part of the result.
    """

    flow_SxSxC: np.ndarray
    landmarks_5x2: np.ndarray
    landmarks_68x2: np.ndarray
    onset_SxS: np.ndarray
    apex_SxS: np.ndarray
    quality: Quality
    seconds: dict[str, float] = dataclasses.field(default_factory=dict, compare=False)


def make_maps(
    record: ClipRecord, settings: MapSettings, read: Read = frames.read_frame
) -> ClipMaps:
    """Read, align and compare a clip's onset and apex; raises ClipFault where it cannot be used.

    `read` gives the picture at a frame's path.

    The result depends on the record's files and the settings alone, not on the process or on
    what it did before. Raises InputError where a library or model of the extra is missing.
    """
    return _Clip(record, settings, read).maps()


def check_clip(record: ClipRecord, settings: MapSettings) -> Quality:
    """Everything of make_maps that needs no flow: frames, face and landmarks of onset and apex.

    An apex that only flow can tell (spotting) stays unchecked: apex_frame is then -1, as flow and
    strain are. Raises as make_maps does.
    """
    return _Clip(record, settings).checked()


class _Clip:
    """The steps of one clip, with the onset's face at hand and the time of each stage."""

    def __init__(
        self, record: ClipRecord, settings: MapSettings, read: Read = frames.read_frame
    ) -> None:
        self._record, self._settings, self._read_frame = record, settings, read
        self._seconds: dict[str, float] = {}
        self._rules: list[str] = []

    def checked(self) -> Quality:
        onset = self._onset()
        number, rules = apex.wanted_apex(self._record, self._settings.smic_apex)
        self._rules += rules
        if number is not None:
            chosen = self._taken(apex.nearest_frame(self._record, number, "apex"))
            number = chosen.number
            self._check_shift(mesh.five_landmarks(self._crop(chosen.path, "apex")))
        apex_frame = -1 if number is None else number
        return Quality(self._face.score, -1.0, -1.0, onset.number, apex_frame, tuple(self._rules))

    def _onset(self) -> apex.Chosen:
        onset = self._taken(apex.nearest_frame(self._record, self._record.onset, "onset"))
        onset_HxW = self._read(onset.path, "onset")
        with self._stage("detector"):
            found = detection.detect(onset_HxW)
        with self._stage("landmarks"):
            self._face = detection.place(onset_HxW, found)
        self._rules += self._face.rules
        self._onset_SxS = detection.crop(onset_HxW, self._face)
        return onset

    def maps(self) -> ClipMaps:
        onset = self._onset()
        apex_number, apex_SxS = self._apex(onset)
        if self._is_onset(apex_SxS):
            flow_SxSx2 = np.zeros((*apex_SxS.shape, 2), np.float32)
            self._rules.append("zero_motion_kept")
        else:
            with self._stage("flow"):
                flow_SxSx2 = optical.optical_flow(self._onset_SxS, apex_SxS, self._settings.flow)
            if not flow_SxSx2.any():
                raise ClipFault("no_motion", "the optical flow is zero everywhere.")
        with self._stage("regions"):
            landmarks_5x2 = mesh.five_landmarks(apex_SxS)
            self._check_shift(landmarks_5x2)
        u_SxS, v_SxS = flow_SxSx2[..., 0], flow_SxSx2[..., 1]
        strain_SxS = strain.optical_strain(u_SxS, v_SxS, self._settings.strain)
        flow_SxSxC = np.stack([u_SxS, v_SxS, strain_SxS], axis=-1).astype(np.float32)
        return ClipMaps(
            flow_SxSxC=flow_SxSxC,
            landmarks_5x2=landmarks_5x2,
            landmarks_68x2=self._face.to_face(self._face.landmarks_68x2).astype(np.float32),
            onset_SxS=self._onset_SxS,
            apex_SxS=apex_SxS,
            quality=Quality(
                detector_score=self._face.score,
                flow_max_px=float(np.hypot(u_SxS, v_SxS).max()),
                strain_mean=float(strain_SxS.mean()),
                onset_frame=onset.number,
                apex_frame=apex_number,
                rules=tuple(self._rules),
            ),
            seconds=self._seconds,
        )

    def _apex(self, onset: apex.Chosen) -> tuple[int, np.ndarray]:
        """Number and aligned crop of the apex; the onset's own crop where that is kept."""
        number, rules = apex.wanted_apex(self._record, self._settings.smic_apex)
        self._rules += rules
        if number is None:
            return self._spotted(onset)
        chosen = self._taken(apex.nearest_frame(self._record, number, "apex"))
        apex_SxS = self._onset_SxS
        if chosen.number != onset.number:
            apex_SxS = self._crop(chosen.path, "apex")
        if not self._is_onset(apex_SxS):
            return chosen.number, apex_SxS
        self._rules.append("zero_motion")
        if self._settings.zero_motion == "drop":
            raise ClipFault(
                "no_motion_annotated",
                f"the apex {chosen.number} shows the pixels of the onset {onset.number}.",
            )
        if self._settings.zero_motion == "keep":
            return chosen.number, self._onset_SxS
        return self._spotted(onset)

    def _spotted(self, onset: apex.Chosen) -> tuple[int, np.ndarray]:
        chosen = self._taken(
            apex.spot(self._record, onset.number, self._mean_flow, self._settings.spot_seconds)
        )
        return chosen.number, self._crop(chosen.path, "apex")

    def _mean_flow(self, path: pathlib.Path) -> float:
        """Mean flow magnitude against the onset inside the face, in pixels of the face crop."""
        candidate_SxS = self._crop(path, "candidate")
        if self._is_onset(candidate_SxS):
            return 0.0
        with self._stage("flow"):
            small_flow_hxwx2 = optical.optical_flow(
                optical.shrunk(self._onset_SxS, _SPOT_SHRINK),
                optical.shrunk(candidate_SxS, _SPOT_SHRINK),
                self._settings.flow,
            )
        is_face_hxw = detection.face_mask(self._face)[::_SPOT_SHRINK, ::_SPOT_SHRINK]
        magnitude_hxw = np.hypot(small_flow_hxwx2[..., 0], small_flow_hxwx2[..., 1])
        return _SPOT_SHRINK * float(magnitude_hxw[is_face_hxw].mean())

    def _crop(self, path: pathlib.Path, role: str) -> np.ndarray:
        return detection.crop(self._read(path, role), self._face)

    def _read(self, path: pathlib.Path, role: str) -> np.ndarray:
        with self._stage("reading"):
            return optical.usable_grey(self._read_frame(path), role)

    def _is_onset(self, crop_SxS: np.ndarray) -> bool:
        return np.array_equal(crop_SxS, self._onset_SxS)

    def _check_shift(self, landmarks_5x2: np.ndarray) -> None:
        onset_68x2 = self._face.to_face(self._face.landmarks_68x2)
        onset_5x2 = np.array([onset_68x2[points].mean(axis=0) for points in _DLIB_POINTS])
        shift = float(np.hypot(*(landmarks_5x2 - onset_5x2).T).max())
        if shift > _MOST_SHIFT * detection.FACE_SIZE:
            raise ClipFault(
                "apex_face_lost",
                f"a landmark of the apex lies {shift:.0f} px from the onset's; allowed are "
                f"{_MOST_SHIFT * detection.FACE_SIZE:.0f} px of {detection.FACE_SIZE}.",
            )

    def _taken(self, chosen: apex.Chosen) -> apex.Chosen:
        self._rules += chosen.rules
        return chosen

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - started
