"""Which frames of an own clip are looked at, by hand-worked cases.

Modules tried here: input_pipeline.own_clips.windows.
"""

import pytest

from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.core.errors import InputError
from input_pipeline.own_clips.windows import Asked, of_clip

ALL = tuple(range(100))


def test_a_short_clip_is_one_window():
    (window,) = of_clip(ALL[:60], None, Asked())
    assert (window.onset, window.last, window.apex) == (0, 59, None)
    # 2 s of 25 frames a second, and the frame that ends them.
    (window,) = of_clip(ALL[:51], 25.0, Asked())
    assert window.last == 50


def test_marks_cut_it():
    (window,) = of_clip(ALL, 25.0, Asked(onset=10))
    assert (window.onset, window.last) == (10, 59)
    (window,) = of_clip(ALL, 25.0, Asked(onset=10, offset=90))
    assert (window.onset, window.last) == (10, 90)
    (window,) = of_clip(ALL, 25.0, Asked(onset=10, apex=20, offset=30))
    assert window == ((*range(10, 31),), 20)
    # Without an offset it ends where a window does, or with the apex.
    assert of_clip(ALL, 25.0, Asked(onset=10, apex=20))[0].last == 60
    assert of_clip(ALL, 25.0, Asked(onset=10, apex=80))[0].last == 80
    assert of_clip(ALL, 25.0, Asked(apex=80))[0].onset == 0


def test_steps_end_with_the_first_window_that_reaches_the_end():
    found = of_clip(ALL, 10.0, Asked(seconds=3, every=2))
    assert [(window.onset, window.last) for window in found] == [
        *((0, 29), (20, 49), (40, 69), (60, 89)),
        (80, 99),
    ]
    found = of_clip(ALL[:30], 10.0, Asked(seconds=3, every=2))
    assert [(window.onset, window.last) for window in found] == [(0, 29)]


@pytest.mark.parametrize(
    ("numbers", "asked", "code"),
    [
        (ALL, Asked(), "too_long"),
        (ALL[:1], Asked(), "too_short"),
        (ALL[:1], Asked(every=1), "too_short"),
        (ALL, Asked(onset=99), "too_short"),
        (ALL, Asked(onset=100), "frame_missing"),
        ((3, 5, 7), Asked(apex=4), "frame_missing"),
    ],
)
def test_reasons(numbers, asked, code):
    with pytest.raises(ClipFault) as caught:
        of_clip(numbers, 25.0, asked)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "asked",
    [
        Asked(seconds=0),
        Asked(seconds=float("nan")),
        Asked(every=-1),
        Asked(every=1, onset=3),
        Asked(onset=5, apex=5),
        Asked(onset=5, offset=4),
        Asked(apex=5, offset=4),
    ],
)
def test_what_cannot_be_asked(asked):
    with pytest.raises(InputError, match="--"):
        asked.check()
