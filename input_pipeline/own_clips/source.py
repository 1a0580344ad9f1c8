"""Where the frames of an own clip come from: a video file, or a folder of pictures.

Both number their frames and give them as uint8, HxW grey or HxWx3 RGB. Letters in array names:
H rows, W columns.
"""

import math
import os
import pathlib
import re
import stat
from typing import Protocol

import numpy as np

from input_pipeline.core import extras
from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.faces import frames

PICTURES = (".jpg", ".jpeg", ".png", ".bmp")
# Decoded frames of a window that are kept, so that each is decoded once; later ones are decoded
# again.
_MOST_KEPT_BYTES = 160 * 2**20

# Of a video with so many frames each is counted; containers other than these guess their number.
_MOST_COUNTED = 3000
_SAY_EXACTLY = (".avi", ".mp4", ".m4v", ".mov")
_MISCOUNTED = 2


class Source(Protocol):
    """Frames by number, ascending; `rate` is in frames per second, None where nobody knows."""

    path: pathlib.Path
    numbers: tuple[int, ...]
    rate: float | None
    notes: tuple[str, ...]  # what is odd about them

    def read(self, number: int) -> np.ndarray:
        """The frame with this number; raises ClipFault where it cannot be read."""

    def begin(self, number: int) -> None:
        """Frames before this one will not be asked for again."""

    def close(self) -> None:
        """Let go of the file."""


def opened(path: pathlib.Path) -> Source:
    """The frames at a path; raises ClipFault no_such_clip, no_frames or video_unreadable."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ClipFault("no_such_clip", f"{str(path)!a} cannot be found ({reason}).") from None
    if stat.S_ISDIR(mode):
        return Folder(path)
    if not stat.S_ISREG(mode):
        raise ClipFault(
            "no_such_clip",
            f"{str(path)!a} is a pipe or a device; allowed are a video file and a folder of "
            "pictures.",
        )
    if path.suffix.lower() in PICTURES:
        raise ClipFault(
            "too_short", f"{str(path)!a} is one picture; name the folder of the clip's frames."
        )
    return Video(path)


class Folder:
    """Pictures of a folder, by the numbers that end their names, else counted from 0 by name."""

    rate: float | None = None
    notes: tuple[str, ...] = ()

    def __init__(self, path: pathlib.Path) -> None:
        """List the folder; raises ClipFault no_frames or frame_unreadable."""
        self.path = path
        try:
            names = sorted(
                entry.name
                for entry in os.scandir(path)
                if os.path.splitext(entry.name)[1].lower() in PICTURES
                and not entry.name.startswith(".")
            )
        except OSError as error:
            raise ClipFault(
                "frame_unreadable", f"{str(path)!a} cannot be listed ({error.strerror})."
            ) from None
        if not names:
            raise ClipFault("no_frames", f"{str(path)!a} holds no picture ({', '.join(PICTURES)}).")
        numbers = _own_numbers(names)
        if numbers is None:
            numbers = list(range(len(names)))
            self.notes = ("the names have no numbers of their own: frames are counted from 0",)
        self._path_of = {n: path / name for n, name in zip(numbers, names, strict=True)}
        self.numbers = tuple(sorted(self._path_of))
        missing = self.numbers[-1] - self.numbers[0] + 1 - len(self.numbers)
        if missing:
            self.notes += (f"{missing} frames are missing between the first and the last",)

    def read(self, number: int) -> np.ndarray:
        """As Source.read."""
        return frames.read_frame(self._path_of[number])

    def begin(self, number: int) -> None:
        """As Source.begin; pictures are read when they are asked for."""

    def close(self) -> None:
        """As Source.close."""


def _own_numbers(names: list[str]) -> list[int] | None:
    """The numbers that end the names, None unless each has one of its own."""
    found = [re.search(r"(\d{1,9})\D*$", os.path.splitext(name)[0], re.ASCII) for name in names]
    numbers = [int(match[1]) for match in found if match]
    return numbers if len(set(numbers)) == len(names) else None


class Video:
    """A video file, decoded by OpenCV from its beginning; frames count from 0."""

    notes: tuple[str, ...] = ()

    def __init__(self, path: pathlib.Path) -> None:
        """Read the first frame; raises ClipFault video_unreadable."""
        # Else FFmpeg writes its notes beside the command's own lines.
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        self.path = path
        self._cv2 = extras.opencv()
        self._cv2.setLogLevel(0)
        self._kept: dict[int, np.ndarray] = {}
        self._start()
        rate = float(self._capture.get(self._cv2.CAP_PROP_FPS))
        self.rate = rate if math.isfinite(rate) and 0 < rate <= 100_000 else None
        self.numbers = tuple(range(self._count()))
        self.read(0)

    def read(self, number: int) -> np.ndarray:
        """As Source.read."""
        if number in self._kept:
            return self._kept[number]
        if number < self._next:
            self._start()
        while self._next < number and self._capture.grab():
            self._next += 1
        is_there, frame = self._capture.read() if self._next == number else (False, None)
        if not is_there or frame is None:
            raise ClipFault(
                "video_unreadable",
                f"{str(self.path)!a} cannot be decoded beyond frame {self._next - 1} of the "
                f"{len(self.numbers)} that it says it has; it is damaged or cut off.",
            )
        self._next += 1
        if frame.shape[0] * frame.shape[1] > frames.MOST_PIXELS:
            raise ClipFault("frame_too_large", f"{str(self.path)!a} has frames of 2^24 pixels.")
        if frame.ndim == 3:
            frame = np.ascontiguousarray(frame[..., ::-1])
        if sum(kept.nbytes for kept in self._kept.values()) < _MOST_KEPT_BYTES:
            self._kept[number] = frame
        return frame

    def begin(self, number: int) -> None:
        """As Source.begin."""
        self._kept = {n: frame for n, frame in self._kept.items() if n >= number}

    def close(self) -> None:
        """As Source.close."""
        self._capture.release()

    def _start(self) -> None:
        # The absolute path: a name with a colon would be taken for a protocol.
        self._capture = self._cv2.VideoCapture(str(self.path.absolute()), self._cv2.CAP_FFMPEG)
        # A phone held upright writes its frames lying down, and says so.
        self._capture.set(self._cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        self._next = 0
        if not self._capture.isOpened():
            raise ClipFault(
                "video_unreadable",
                f"{str(self.path)!a} is no video that OpenCV can decode, or it is damaged.",
            )

    def _count(self) -> int:
        """Frames that can be decoded; of a long video what its container says.

        Raises ClipFault video_unreadable where a shorter one lacks some: the last frame of a video
        that is cut off is decoded with its missing half in grey, which is no motion of anybody's.
        """
        said = int(self._capture.get(self._cv2.CAP_PROP_FRAME_COUNT))
        if said > _MOST_COUNTED:
            return said
        found = self._counted()
        exact = self.path.suffix.lower() in _SAY_EXACTLY
        if found < 1 or (said > 0 and found < said - (0 if exact else _MISCOUNTED)):
            raise ClipFault(
                "video_unreadable",
                f"{str(self.path)!a} has {said} frames by what it says and {found} can be decoded; "
                "it is damaged or cut off.",
            )
        return found

    def _counted(self) -> int:
        count = 0
        while self._capture.grab():
            count += 1
        self._start()
        return count
