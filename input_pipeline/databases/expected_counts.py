"""Compares the clips found with the published counts (expected_counts.csv), subject by subject."""

import collections
import pathlib
from collections.abc import Callable
from typing import NamedTuple

from input_pipeline.core.clips import CLASS_NAMES
from input_pipeline.core.errors import InputError
from input_pipeline.databases import packaged_table, sheets
from input_pipeline.databases.rows import ReadResult

# A pretend database brings its own counts.
PRETEND_TABLE = "pretend_database.csv"
_COLUMNS = ("database", "subject", "subjects", *CLASS_NAMES, "source")
_ALL = "*"


class Expected(NamedTuple):
    """Clips per class of each subject, or of the whole database under the subject `*`."""

    per_subject: dict[str, tuple[int, ...]]
    subjects: int
    source: str


# The key and the class of every clip that the counts imply.
NamesOf = Callable[[Expected], dict[str, int]]


def expected(database: str, raw_dir: pathlib.Path) -> Expected:
    """The counts of a database, those of its own PRETEND_TABLE if the raw folder holds one.

    Raises InputError on a table that is damaged.
    """
    own = raw_dir / PRETEND_TABLE
    if own.is_file():
        columns: sheets.Columns = {name: (name,) for name in _COLUMNS}
        rows = [row.cells for row in sheets.read_sheet(own, columns)]
    else:
        rows = list(packaged_table.rows("expected_counts.csv"))
    rows = [row for row in rows if row["database"] == database]
    return Expected(
        per_subject={row["subject"]: _counts(row, CLASS_NAMES) for row in rows},
        subjects=sum(_counts(row, ("subjects",))[0] for row in rows),
        source=rows[0]["source"] if rows else "",
    )


def _counts(row: dict[str, str], names: tuple[str, ...]) -> tuple[int, ...]:
    try:
        return tuple(int(row[name]) for name in names)
    except ValueError as error:
        raise InputError(
            f"'{PRETEND_TABLE}' counts {row['subject'][:40]!a} in something else than whole "
            "numbers; make the pretend database again, or remove the file."
        ) from error


def is_pretend(raw_dir: pathlib.Path) -> bool:
    """Whether the raw folder is a pretend database's."""
    return (raw_dir / PRETEND_TABLE).is_file()


def deviations(
    database: str, result: ReadResult, raw_dir: pathlib.Path, names_of: NamesOf | None = None
) -> list[str]:
    """How the clips of one database differ from its counts; empty if they agree.

    A clip that is not on the disk counts as missing, whatever the sheet says. The first sentence
    gives the totals, the second the subjects of whom nothing is there, each further one a
    subject's clips of one class, or a clip by name where `names_of` tells names from the counts.
    """
    wanted = expected(database, raw_dir)
    labels = {k: v for k, v in result.labels().items() if k.startswith(f"{database}/")}
    missing = {fault.key for fault in result.faults if fault.is_missing}
    keys_of = collections.defaultdict(list)
    for key, label in sorted(labels.items()):
        if key not in missing:
            keys_of[key.split("/")[1], label].append(key.split("/")[2])
    found_total = _per_class(keys_of)
    found_subjects = len({subject for subject, _ in keys_of})
    wanted_total = tuple(
        sum(counts[label] for counts in wanted.per_subject.values())
        for label in range(len(CLASS_NAMES))
    )
    if names_of and _ALL not in wanted.per_subject:
        details = _names(database, keys_of, names_of(wanted))
    else:
        details = _details(database, keys_of, wanted)
    if (found_total, found_subjects) == (wanted_total, wanted.subjects) and not details:
        return []
    totals = (
        f"{database}: {_shown(found_total, found_subjects)} instead of "
        f"{_shown(wanted_total, wanted.subjects)} ({wanted.source})."
    )
    known = {key.split("/")[1] for key in labels} | wanted.per_subject.keys() - {_ALL}
    without = sorted(known - {subject for subject, _ in keys_of})
    if without:
        details.insert(
            0, f"{database}: nothing is there of {len(without)} subjects: {', '.join(without)}."
        )
    return [totals, *details]


def _details(
    database: str, keys_of: dict[tuple[str, int], list[str]], wanted: Expected
) -> list[str]:
    if _ALL in wanted.per_subject:
        return []
    nobody = (0,) * len(CLASS_NAMES)
    lines = []
    for subject in sorted({subject for subject, _ in keys_of} | wanted.per_subject.keys()):
        counts = wanted.per_subject.get(subject, nobody)
        for label, name in enumerate(CLASS_NAMES):
            clips = keys_of.get((subject, label), [])
            if len(clips) != counts[label]:
                listed = f" ({', '.join(clips)})" if clips else ""
                lines.append(
                    f"{database}/{subject}: {len(clips)} {name} clips{listed} instead of "
                    f"{counts[label]}."
                )
    return lines


def _names(
    database: str, keys_of: dict[tuple[str, int], list[str]], wanted: dict[str, int]
) -> list[str]:
    found = {
        f"{database}/{subject}/{clip}" for (subject, _), clips in keys_of.items() for clip in clips
    }
    missing = [f"{key} is missing." for key in sorted(wanted.keys() - found)]
    foreign = sorted(found - wanted.keys())
    return missing + [f"{key} is not part of the database." for key in foreign]


def _per_class(keys_of: dict[tuple[str, int], list[str]]) -> tuple[int, ...]:
    return tuple(
        sum(len(clips) for (_, of), clips in keys_of.items() if of == label)
        for label in range(len(CLASS_NAMES))
    )


def _shown(per_class: tuple[int, ...], subjects: int) -> str:
    return f"{sum(per_class)} clips ({'/'.join(map(str, per_class))}, {subjects} subjects)"
