"""Clips of a pretend database without dirt: as many subjects as asked for, each class once."""

from collections.abc import Callable

from input_pipeline.pretend.film import PretendClip

# From the faces of the pretend databases with their dirt, which are fewer.
FIRST_FACE = 1000
# Frames from the onset to the apex and to the offset, and between two clips of a subject.
_TO_APEX, _TO_OFFSET, _APART = 4, 7, 40


def clips(
    subjects: int, emotions: tuple[str, ...], names: Callable[[int, int, str], tuple[str, str]]
) -> tuple[PretendClip, ...]:
    """One clip of each emotion for each subject.

    `names` gives subject and clip as the database writes them, from the subject's number (from 1),
    the clip's number and its emotion.
    """
    found = []
    for subject in range(1, subjects + 1):
        for number, emotion in enumerate(emotions, start=1):
            onset = 20 + _APART * number
            frames = (onset, onset + _TO_APEX, onset + _TO_OFFSET)
            found.append(PretendClip(*names(subject, number, emotion), emotion, *frames))
    return tuple(found)


def first_face(place: int) -> int:
    """The first face of a database, by its place among them: no two share one."""
    return FIRST_FACE * (1 + place)
