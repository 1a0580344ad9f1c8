"""Clips of pretend subjects: which motion, when, and the frames that show it.

Faces and motions are those of portraits; every number is invented.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image

from input_pipeline.core.clips import CLASS_NAMES
from input_pipeline.core.tables import csv_text
from input_pipeline.databases import expected_counts, labels
from input_pipeline.pretend import portraits

MOTION_TABLE = "pretend_motions.csv"
MOTION_COLUMNS = ("database", "subject", "clip", "identity", "motion", "pixels")
# The motion's strength goes in steps, so that a clip needs few warps.
_STEPS = 3
_LEFT_AT_OFFSET = 1 / 3
_NOISE = 1.0
_NOISES = 8
# What unzipping, file managers and shortcuts leave among the frames.
STRAY_FILES = ("Thumbs.db", ".DS_Store", "Desktop - Shortcut.lnk")


@dataclasses.dataclass(frozen=True)
class PretendClip:
    """One pretend clip: names as in the sheet, the cells written there, and the true motion.

    `cells` overrides what the sheet says, by field name; `first` and `last` are the numbers of
    the frames on disk, `holes` those that are missing between.
    """

    subject: str
    clip: str
    emotion: str
    onset: int
    apex: int
    offset: int
    cells: dict[str, object] = dataclasses.field(default_factory=dict)
    action_units: object = "4"
    first: int | None = None
    last: int | None = None
    holes: tuple[int, ...] = ()

    def cell(self, field: str) -> object:
        """What the sheet says in one of its fields."""
        return self.cells.get(field, getattr(self, field))

    @property
    def numbers(self) -> list[int]:
        """The frames on disk, ascending."""
        first = self.onset if self.first is None else self.first
        last = self.offset if self.last is None else self.last
        return [n for n in range(first, last + 1) if n not in self.holes]


# The stored subject and clip of a pretend clip.
NamesOf = Callable[[PretendClip], tuple[str, str]]


class Film:
    """Draws the frames of the clips of one pretend database, always the same ones.

    Its subjects have the faces from number `first_face`: no two databases share one.
    """

    def __init__(self, database: str, clips: Sequence[PretendClip], first_face: int) -> None:
        self._database = database
        subjects = sorted({clip.subject for clip in clips})
        self._identity_of = {subject: number for number, subject in enumerate(subjects, first_face)}
        self._place_of = {id(clip): place for place, clip in enumerate(clips)}

    def label(self, clip: PretendClip) -> int | None:
        """The clip's class by what the sheet says; None outside the 3-class protocol."""
        return labels.classes_of(self._database, str(clip.cell("emotion"))).label

    def motions(self, clip: PretendClip) -> dict[str, float]:
        """The clip's motions at its apex, in pixels of the frame."""
        label = self.label(clip)
        # Clips outside the protocol move as well, in a way that no class does.
        outside = {"nose_wrinkle": 1.0}
        motions = outside if label is None else portraits.MOTIONS_OF[CLASS_NAMES[label]]
        strongest = 2.0 + 0.2 * (self._place_of[id(clip)] % 6)
        return {name: round(strongest * share, 3) for name, share in motions.items()}

    def frames(self, clip: PretendClip) -> Iterator[tuple[int, np.ndarray]]:
        """Number and picture (480x640x3 uint8 RGB) of each frame on disk."""
        face_HxWx3 = _identity(self._identity_of[clip.subject])
        motions = self.motions(clip)
        shown: dict[int, np.ndarray] = {}
        for number in clip.numbers:
            step = round(_STEPS * _strength(clip, number))
            if step not in shown:
                now = {name: most * step / _STEPS for name, most in motions.items()}
                shown[step] = portraits.moved(face_HxWx3, now)[0]
            # Another clip, other noise: no two clips share a picture.
            noise_HxW = np.roll(_noise(number % _NOISES), self._place_of[id(clip)] * 7, axis=1)
            noisy_HxWx3 = shown[step].astype(np.float32) + noise_HxW[..., None]
            yield number, np.clip(np.rint(noisy_HxWx3), 0, 255).astype(np.uint8)

    def write_tables(
        self, root: pathlib.Path, clips: Sequence[PretendClip], names: NamesOf
    ) -> None:
        """Write the pretend database's own counts and its true motions.

        `clips` are those of the protocol.
        """
        counts: dict[str, list[int]] = {}
        motions: list[tuple[object, ...]] = []
        for clip in clips:
            subject, clip_name = names(clip)
            label = self.label(clip)
            assert label is not None, clip
            counts.setdefault(subject, [0] * len(CLASS_NAMES))[label] += 1
            for motion in self.motions(clip).items():
                motions.append(
                    (self._database, subject, clip_name, self._identity_of[clip.subject], *motion)
                )
        (root / MOTION_TABLE).write_text(csv_text(MOTION_COLUMNS, motions), encoding="utf-8")
        rows = [(self._database, s, 1, *counts[s], "pretend database") for s in sorted(counts)]
        text = csv_text(expected_counts.COLUMNS, rows)
        (root / expected_counts.PRETEND_TABLE).write_text(text, encoding="utf-8")


def _strength(clip: PretendClip, number: int) -> float:
    """The share of the full motion that a frame shows: neutral, rising to the apex, fading."""
    if number <= clip.onset and clip.apex != clip.onset:
        return 0.0
    # Where the sheet's apex is the onset, the face moves all the same, later.
    apex = clip.apex if clip.apex != clip.onset else (clip.onset + clip.offset) // 2
    if number <= apex:
        return (number - clip.onset) / max(1, apex - clip.onset)
    fading = min(1.0, (number - apex) / max(1, clip.offset - apex))
    return 1.0 - (1.0 - _LEFT_AT_OFFSET) * fading


_identity = functools.cache(portraits.identity)


@functools.cache
def _noise(number: int) -> np.ndarray:
    rng = np.random.Generator(np.random.PCG64([20140508, number]))
    size = (portraits.HEIGHT, portraits.WIDTH)
    return rng.normal(0.0, _NOISE, size).astype(np.float32)


def write_frames(
    folder: pathlib.Path, frames: Sequence[tuple[int, np.ndarray]], name: str, *, stray: bool = True
) -> None:
    """Write numbered pictures, `name` formatting each file's name, and stray files beside them.

    Pictures are HxWx3 or HxW uint8, or HxW uint16 as PNG.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in frames:
        # Of the three forms JPEG alone knows a quality.
        Image.fromarray(picture).save(folder / name.format(number), quality=92)
    for stray_name in STRAY_FILES if stray else ():
        (folder / stray_name).write_bytes(b"not a frame")


def cropped(picture: np.ndarray, clip: PretendClip) -> np.ndarray:
    """The face region, of another size in every clip, as the databases crop it."""
    more = 2 * (clip.onset % 7)
    x, y = (round(value) for value in portraits.FACE_CENTRE)
    return picture[max(0, y - 190 - more) : y + 190 + more, x - 170 - more : x + 170 + more]
