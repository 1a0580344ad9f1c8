"""Made-up releases with every clip of the published counts, and the clips that they give.

Who has which clip is made up where the counts leave it open; frames are a few bytes.
"""

import itertools
import pathlib
from collections import Counter

import made_once
import numpy as np
import small_releases as small

from input_pipeline.core.clips import Clips
from input_pipeline.databases import expected_counts
from input_pipeline.databases.reading import read_databases
from input_pipeline.databases.rows import ReadResult

# Emotions of the three classes, and what lies outside of them, as the sheets write them.
CASME2 = {"disgust": 61, "repression": 27}, {"happiness": 32}, {"surprise": 25}
SAMM = (
    {"Fear": 8, "Disgust": 9, "Sadness": 6, "Contempt": 12, "Anger": 57},
    {"Happiness": 26},
    {"Surprise": 15},
)
CASME3 = {"disgust": 250, "fear": 86, "anger": 64, "sad": 57}, {"happy": 55}, {"surprise": 187}
# Clips of the objective classes I to VII.
OBJECTIVE = {
    "casme2": (25, 15, 99, 26, 20, 1, 69),
    "samm": (24, 13, 20, 8, 3, 7, 84),
    "casme3": (15, 151, 234, 37, 47, 3, 373),
}
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII")
# Subject, clip (or video) and emotion of a clip.
Named = tuple[str, str, str]


def written(database: str) -> pathlib.Path:
    """The release of a database, or of a composite, written once; not to be changed."""

    def write(root: pathlib.Path) -> None:
        if database == "megc2018":
            _WRITERS["casme2"](root / "casme2")
            _WRITERS["samm"](root / "samm")
        else:
            _WRITERS[database](root)

    return made_once.folder(f"full {database}", write)


def _by_class(database: str, emotions: tuple[dict[str, int], ...]) -> list[tuple[str, str]]:
    """Subject and emotion of each clip of the three classes, as many as published of each."""
    per_subject = expected_counts.expected(database, pathlib.Path()).per_subject
    found = []
    for label, counts in enumerate(emotions):
        words = iter([word for word, count in counts.items() for _ in range(count)])
        # Subjects with negative clips alone come first: SAMM has two of fear alone.
        subjects = sorted(per_subject, key=lambda s: (sum(per_subject[s]), s))
        found += [(s, next(words)) for s in subjects for _ in range(per_subject[s][label])]
        assert next(words, None) is None
    return found


def _objective(database: str, subjects: list[str], of_five: int) -> list[int]:
    """An objective class for each clip; the first five are those of `of_five` subjects alone.

    Those with most clips have them, and each has at least one.
    """
    wanted = [n for n, count in enumerate(OBJECTIVE[database], 1) for _ in range(count)]
    five = sum(OBJECTIVE[database][:5])
    chosen = [subject for subject, _ in Counter(subjects).most_common(of_five)]
    places: list[int] = [subjects.index(subject) for subject in chosen]
    rest = [n for n, subject in enumerate(subjects) if subject in chosen and n not in places]
    places += rest[: five - len(places)]
    # Class VI of CAS(ME)^3 is one subject's.
    left = sorted(set(range(len(subjects))) - set(places), key=lambda n: subjects[n])
    numbers = dict(zip([*places, *left], wanted, strict=True))
    return [numbers[place] for place in range(len(subjects))]


def _casme2(root: pathlib.Path) -> None:
    clips = [
        *_by_class("casme2", CASME2),
        *(("sub10", "fear"), ("sub18", "fear")),
        *((f"sub{1 + n:02d}", "sadness") for n in range(7)),
        *((f"sub{1 + n % 26:02d}", "others") for n in range(99)),
    ]
    # Of the protocol by their emotion, and left out of it by name.
    named = [("sub04", "EP12_01f", "disgust"), ("sub05", "EP09_05f", "disgust")]
    named += [(s, f"EP{20 + n}_01", emotion) for n, (s, emotion) in enumerate(clips)]
    rows = [small.casme2_row(s[3:], clip, 9, 10, 11, emotion) for s, clip, emotion in named]
    rows[0][4] = "/"
    small.casme2(root, rows)
    numbers = _objective("casme2", [s for s, *_ in named], 26)
    classes = [[s[3:], clip, n] for (s, clip, _), n in zip(named, numbers, strict=True)]
    header = ["Subject", "Filename", "Objective Class"]
    small.write_xlsx(root / "CASME2-ObjectiveClasses.xlsx", [header, *classes])


def _samm(root: pathlib.Path) -> None:
    clips = _by_class("samm", SAMM)
    of_five = {
        s for s, emotion in clips if emotion in ("Contempt", "Anger", "Happiness", "Surprise")
    }
    rest = sorted({s for s, _ in clips} - of_five)
    # Two subjects have none of the five classes.
    others = itertools.islice(itertools.cycle([*rest[2:], *sorted(of_five)]), 25)
    clips += [("025", "Other"), *((s, "Other") for s in others)]
    numbers = _objective("samm", [s for s, _ in clips], 21)
    rows = []
    for place, ((subject, emotion), number) in enumerate(zip(clips, numbers, strict=True)):
        clip = f"{subject}_{1 + place // 100}_{place % 100}"
        row = small.samm_row(subject, clip, 9, 10, 11, emotion)
        row[10] = number
        rows.append(row)
    small.samm(root, rows)


def _casme3(root: pathlib.Path) -> None:
    words = [w for counts in CASME3 for w, count in counts.items() for _ in range(count)]
    clips = [(f"spNO.{1 + n % 88}", word) for n, word in enumerate(words)]
    others = ["others"] * 158 + ["Others"] * 3
    clips += [(f"spNO.{89 + n % 6}", word) for n, word in enumerate(others)]
    numbers = _objective("casme3", [s for s, _ in clips], 79)
    rows = []
    for place, ((subject, emotion), number) in enumerate(zip(clips, numbers, strict=True)):
        onset = str(10 + 4 * place)
        row = small.casme3_row(subject, "abcdefghijklm"[place % 13], onset, onset, onset, emotion)
        row[6] = ROMAN[number - 1]
        rows.append(row)
    small.casme3(root, rows)


_WRITERS = {"casme2": _casme2, "samm": _samm, "casme3": _casme3}


def clips(dataset: str, result: ReadResult | None = None) -> Clips:
    """All clips of a release as a build stores them, with noise for maps."""
    result = result or read_databases(dataset, written(dataset))
    records = result.clips
    maps = np.random.default_rng(0).integers(0, 256, (len(records), 28, 28, 3))
    columns = {
        name: np.array([getattr(record, name) for record in records])
        for name in ("database", "subject", "clip", "emotion", "label7", "objective_class", "label")
    }
    columns |= {"flow": maps.astype(np.float32), "flow_whole": maps.astype(np.float32)}
    return Clips.of_columns(
        columns,
        dataset=dataset,
        layout="five",
        class_names=result.class_names,
        every_clip=True,
    )
