"""Defects that belong to a database's release (known_defects.csv): they do not stop a build."""

import dataclasses
from collections.abc import Iterable

from input_pipeline.databases import frame_choice, packaged_table
from input_pipeline.databases.rows import FaultyClip

_ANY = "*"
_NO_FRAMES = "no_frames"


def marked(faults: Iterable[FaultyClip], frames: str) -> tuple[FaultyClip, ...]:
    """The faults with `known` set where the release is known for them.

    `frames` is a choice of frame_choice. A row of the table that speaks of unnamed clips is worth
    at most the number of clips it gives, the first in key order; what exceeds it stays unknown.
    So call it with all faults of a database at once; what earlier calls marked is judged anew.
    """
    return _judged(faults, frames)[0]


def worth(faults: Iterable[FaultyClip], frames: str) -> tuple[str, ...]:
    """A sentence for each row of unnamed clips that was used: how many it excuses, how many it met.

    Takes the same faults as `marked`.
    """
    sentences = []
    for row, met in _judged(faults, frames)[1]:
        most = int(row["most"])
        excess = f", {met - most} more than that" if met > most else ""
        sentences.append(
            f"{row['database']}: at most {most} clips without a name ({row['reason']}; codes "
            f"{', '.join(row['codes'].split('|'))}; {row['source']}): {met} met{excess}"
        )
    return tuple(sentences)


def without_frames(database: str, frames: str) -> frozenset[str]:
    """The keys of the named clips that the release has no frames of; `frames` as for `marked`."""
    return frozenset(
        f"{row['database']}/{row['subject']}/{row['clip']}"
        for row in packaged_table.rows("known_defects.csv")
        if row["database"] == database and row["clip"] != _ANY and _in_tree(row, frames)
        if _NO_FRAMES in row["codes"].split("|")
    )


def _judged(
    faults: Iterable[FaultyClip], frames: str
) -> tuple[tuple[FaultyClip, ...], list[tuple[dict[str, str], int]]]:
    """The faults as `marked` returns them, and each row of unnamed clips with what it met."""
    faults = [dataclasses.replace(fault, known="") for fault in faults]
    rows = [row for row in packaged_table.rows("known_defects.csv") if _in_tree(row, frames)]
    named = [row for row in rows if row["clip"] != _ANY]
    result = [_excused(fault, named) for fault in faults]
    used = []
    for row in (row for row in rows if row["clip"] == _ANY):
        # Clips outside the protocol stop no build and do not count against the limit.
        covered = [i for i, fault in enumerate(result) if _covers(row, fault) and not fault.outside]
        covered.sort(key=lambda index: result[index].key)
        for index in covered[: int(row["most"])]:
            result[index] = _excused(result[index], [row])
        if covered:
            used.append((row, len(covered)))
    return tuple(result), used


def _in_tree(row: dict[str, str], frames: str) -> bool:
    return row["frames"] in ("", frame_choice.of(frames, row["database"]))


def _covers(row: dict[str, str], fault: FaultyClip) -> bool:
    database, subject, clip = fault.key.split("/", 2)
    names = ((row["database"], database), (row["subject"], subject), (row["clip"], clip))
    return (
        not fault.known
        and all(wanted in (_ANY, name) for wanted, name in names)
        and (row["codes"] == _ANY or fault.code in row["codes"].split("|"))
    )


def _excused(fault: FaultyClip, rows: list[dict[str, str]]) -> FaultyClip:
    for row in rows:
        if _covers(row, fault):
            return dataclasses.replace(fault, known=f"{row['reason']} ({row['source']})")
    return fault
