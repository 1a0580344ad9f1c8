"""Which frames of an own clip are looked at: one window, or several in equal steps."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.core.errors import InputError

SECONDS = 2.0
# Frames of such a window where nobody knows the rate: of a folder, of a video without one.
_RATE_UNKNOWN = 30.0
_MOST_SECONDS = 3600.0
_MARKS = (("onset", int), ("apex", int), ("offset", int))


class Asked(NamedTuple):
    """What the user says of the frames: numbers of marked frames, seconds of window and steps."""

    onset: int | None = None
    apex: int | None = None
    offset: int | None = None
    seconds: float = SECONDS
    every: float | None = None

    def check(self) -> None:
        """Raise InputError where that cannot be."""
        for name, kinds in (("seconds", (int, float)), ("every", (int, float)), *_MARKS):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
                needed = "a frame number" if kinds is int else "a number"
                raise InputError(f"{name} is {value!r:.40}; needed is {needed}.")
        for name in ("seconds", "every"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= _MOST_SECONDS:
                flag = {"seconds": "window", "every": "every"}[name]
                raise InputError(
                    f"--{flag}={value:g} is out of range; allowed are more than 0 and at most "
                    f"{_MOST_SECONDS:g} seconds."
                )
        marks = [(name, getattr(self, name)) for name in ("onset", "apex", "offset")]
        given = [(name, number) for name, number in marks if number is not None]
        if self.every is not None and given:
            raise InputError(
                f"--every={self.every:g} and --{given[0][0]}={given[0][1]} exclude each other: "
                "steps go over the whole clip; leave one of them out."
            )
        for (name, number), (later, after) in itertools.pairwise(given):
            if after < number or (later == "apex" and after == number):
                raise InputError(
                    f"--{name}={number} and --{later}={after} are not in the order onset, apex, "
                    "offset; give frame numbers that rise."
                )


class Window(NamedTuple):
    """Frame numbers, ascending, the first of which is the onset; the apex where it is known."""

    numbers: tuple[int, ...]
    apex: int | None = None

    @property
    def onset(self) -> int:
        """The first frame."""
        return self.numbers[0]

    @property
    def last(self) -> int:
        """The last frame, which is the offset."""
        return self.numbers[-1]


def of_clip(numbers: Sequence[int], rate: float | None, asked: Asked) -> list[Window]:
    """The windows of a clip with these frames, at least one.

    Raises ClipFault too_long where the clip outlasts a window and nothing says where to look,
    too_short where a window has one frame, frame_missing where a marked frame is not there.
    """
    rate = rate or _RATE_UNKNOWN
    # A clip of two seconds and a frame is still one of two seconds.
    length = max(2, round(asked.seconds * rate))
    if asked.every is not None:
        return _in_steps(numbers, length, max(1, round(asked.every * rate)))
    marks = {name: getattr(asked, name) for name in ("onset", "apex", "offset")}
    for name, number in marks.items():
        if number is not None and number not in numbers:
            raise ClipFault(
                "frame_missing",
                f"the {name} {number} is no frame of the clip, which has {numbers[0]} to "
                f"{numbers[-1]} ({len(numbers)} frames).",
            )
    first = numbers[0] if asked.onset is None else asked.onset
    inside = [number for number in numbers if number >= first]
    if asked.offset is not None:
        inside = [number for number in inside if number <= asked.offset]
    elif asked.apex is None and asked.onset is not None:
        inside = inside[:length]
    whole = asked.onset is None and asked.apex is None
    if whole and len(inside) > length + 1:
        raise ClipFault(
            "too_long",
            f"the clip has {len(inside)} frames, {len(inside) / rate:.1f} s; a window has "
            f"{length}: give --onset, --every=SECONDS or another --window.",
        )
    if asked.apex is not None and asked.offset is None:
        # What comes long after the apex is another movement.
        inside = [number for number in inside if number <= max(asked.apex, first + length)]
    if len(inside) < 2:
        raise ClipFault(
            "too_short", f"{len(inside)} frame is no clip; onset and apex make at least 2."
        )
    return [Window(tuple(inside), asked.apex)]


def _in_steps(numbers: Sequence[int], length: int, step: int) -> list[Window]:
    """Windows of `length` frames, the first that reaches the clip's end being the last."""
    found = []
    for start in range(0, len(numbers), step):
        inside = tuple(numbers[start : start + length])
        if len(inside) >= 2:
            found.append(Window(inside))
        if start + length >= len(numbers):
            break
    if not found:
        raise ClipFault("too_short", "1 frame is no clip; onset and apex make at least 2.")
    return found
