"""Compares the clips found with the published counts.

Those of the three classes stand in expected_counts.csv, subject by subject, those of other class
sets in class_set_counts.csv.
"""

import pathlib
from collections.abc import Callable, Iterable, Set
from typing import NamedTuple

from input_pipeline.core.clips import CLASS_NAMES
from input_pipeline.core.errors import InputError
from input_pipeline.databases import packaged_table, sheets
from input_pipeline.databases.rows import ReadResult

# A pretend database brings its own counts.
PRETEND_TABLE = "pretend_database.csv"
COLUMNS = ("database", "subject", "subjects", *CLASS_NAMES, "source")
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
        columns: sheets.Columns = {name: (name,) for name in COLUMNS}
        rows = [row.cells for row in sheets.read_sheet(own, columns)]
    else:
        rows = list(packaged_table.rows("expected_counts.csv"))
    rows = [row for row in rows if row["database"] == database]
    try:
        return Expected(
            per_subject={row["subject"]: tuple(int(row[c]) for c in CLASS_NAMES) for row in rows},
            subjects=sum(int(row["subjects"]) for row in rows),
            source=rows[0]["source"] if rows else "",
        )
    except ValueError as error:
        raise InputError(
            f"'{PRETEND_TABLE}' counts in something else than whole numbers ({str(error)[:80]}); "
            "make the pretend database again, or remove the file."
        ) from error


def of_class_set(database: str, classes: str) -> Expected | None:
    """The published counts of another class set than the usual three, or None."""
    for row in packaged_table.rows("class_set_counts.csv"):
        if (row["database"], row["classes"]) == (database, classes):
            counts = tuple(map(int, row["clips"].split("/")))
            return Expected({_ALL: counts}, int(row["subjects"]), row["source"])
    return None


def is_pretend(raw_dir: pathlib.Path) -> bool:
    """Whether the raw folder is a pretend database's."""
    return (raw_dir / PRETEND_TABLE).is_file()


def deviations(
    database: str,
    result: ReadResult,
    raw_dir: pathlib.Path,
    names_of: NamesOf | None = None,
    classes: str = "3",
) -> list[str]:
    """How the clips of one database differ from its counts; empty if they agree.

    A clip that is not on the disk counts as missing, whatever the sheet says. The first sentence
    gives the totals, the second the subjects of whom nothing is there, each further one a
    subject's clips of one class, or a clip by name where `names_of` tells names from the counts.
    """
    wanted: Expected | None = None
    if classes == "3":
        wanted = expected(database, raw_dir)
    elif not is_pretend(raw_dir):
        wanted = of_class_set(database, classes)
    if wanted is None:
        return []
    labels = {k: v for k, v in result.labels().items() if k.startswith(f"{database}/")}
    there = labels.keys() - {fault.key for fault in result.faults if fault.is_missing}
    # Of each subject, a list for each class.
    clips_of: dict[str, list[list[str]]] = {}
    for key in sorted(there):
        _, subject, clip = key.split("/")
        clips_of.setdefault(subject, [[] for _ in result.class_names])[labels[key]].append(clip)
    details: list[str] = []
    if _ALL not in wanted.per_subject:
        details = (
            _by_name(there, names_of(wanted)) if names_of else _by_count(database, clips_of, wanted)
        )
    counts = [tuple(map(len, by_class)) for by_class in clips_of.values()]
    totals = _totals(counts, len(clips_of), len(result.class_names))
    every = wanted.per_subject.values()
    wanted_totals = _totals(every, wanted.subjects, len(result.class_names))
    if totals == wanted_totals and not details:
        return []
    known = {key.split("/")[1] for key in labels} | wanted.per_subject.keys() - {_ALL}
    without = sorted(known - clips_of.keys())
    if without:
        details.insert(
            0, f"{database}: nothing is there of {len(without)} subjects: {', '.join(without)}."
        )
    return [f"{database}: {totals} instead of {wanted_totals} ({wanted.source}).", *details]


def _by_count(database: str, clips_of: dict[str, list[list[str]]], wanted: Expected) -> list[str]:
    lines = []
    for subject in sorted(clips_of.keys() | wanted.per_subject.keys()):
        counts = wanted.per_subject.get(subject, (0,) * len(CLASS_NAMES))
        by_class: list[list[str]] = clips_of.get(subject, [[] for _ in CLASS_NAMES])
        for name, count, clips in zip(CLASS_NAMES, counts, by_class, strict=True):
            if len(clips) != count:
                listed = f" ({', '.join(clips)})" if clips else ""
                lines.append(
                    f"{database}/{subject}: {len(clips)} {name} clips{listed} instead of {count}."
                )
    return lines


def _by_name(there: Set[str], wanted: dict[str, int]) -> list[str]:
    missing = [f"{key} is missing." for key in sorted(wanted.keys() - there)]
    return missing + [
        f"{key} is not part of the database." for key in sorted(there - wanted.keys())
    ]


def _totals(counts: Iterable[tuple[int, ...]], subjects: int, classes: int) -> str:
    per_class = [sum(column) for column in zip(*counts, strict=True)] or [0] * classes
    return f"{sum(per_class)} clips ({'/'.join(map(str, per_class))}, {subjects} subjects)"
