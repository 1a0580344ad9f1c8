"""Defects that belong to a database's release (known_defects.csv): they do not stop a build."""

import dataclasses
from collections.abc import Iterable, Mapping

from input_pipeline.databases import packaged_table
from input_pipeline.databases.rows import FaultyClip

_ANY = "*"


def marked(faults: Iterable[FaultyClip], frames: Mapping[str, str]) -> tuple[FaultyClip, ...]:
    """The faults with `known` set where the release is known for them.

    `frames` is raw or cropped for each database. A row of the table that speaks of unnamed clips
    is worth at most the number of clips it gives, the first in key order; what exceeds it stays
    unknown. So call it with all faults of a database at once; what earlier calls marked is judged
    anew.
    """
    return _judged(faults, frames)[0]


def worth(faults: Iterable[FaultyClip], frames: Mapping[str, str]) -> tuple[str, ...]:
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
    """The keys of the named clips of which a database has no `frames` (raw or cropped)."""
    return frozenset(
        f"{database}/{row['subject']}/{row['clip']}"
        for row in _rows({database: frames})
        if row["clip"] != _ANY and "no_frames" in row["codes"].split("|")
    )


def _judged(
    faults: Iterable[FaultyClip], frames: Mapping[str, str]
) -> tuple[tuple[FaultyClip, ...], list[tuple[dict[str, str], int]]]:
    """The faults as `marked` returns them, and each row of unnamed clips with what it met."""
    result = [dataclasses.replace(fault, known="") for fault in faults]
    used = []
    # A clip that is named takes no place of those without a name.
    for row in sorted(_rows(frames), key=lambda row: row["clip"] == _ANY):
        covered = [i for i, fault in enumerate(result) if _covers(row, fault)]
        if row["clip"] == _ANY:
            # Clips outside the protocol stop no build and do not count against the limit.
            covered = [index for index in covered if not result[index].outside]
            covered.sort(key=lambda index: result[index].key)
            used += [(row, len(covered))] if covered else []
            covered = covered[: int(row["most"])]
        for index in covered:
            known = f"{row['reason']} ({row['source']})"
            result[index] = dataclasses.replace(result[index], known=known)
    return tuple(result), used


def _rows(frames: Mapping[str, str]) -> list[dict[str, str]]:
    """The defects of the databases read, in the trees read."""
    return [
        row
        for row in packaged_table.rows("known_defects.csv")
        if row["database"] in frames and row["frames"] in ("", frames[row["database"]])
    ]


def _covers(row: dict[str, str], fault: FaultyClip) -> bool:
    names = zip(("database", "subject", "clip"), fault.key.split("/", 2), strict=True)
    is_named = all(row[column] in (_ANY, name) for column, name in names)
    has_code = row["codes"] == _ANY or fault.code in row["codes"].split("|")
    return is_named and has_code and not fault.known
