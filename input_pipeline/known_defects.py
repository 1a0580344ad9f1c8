"""Defects that belong to a database's release (known_defects.csv): they do not stop a build."""

import dataclasses
from collections.abc import Iterable

from input_pipeline import packaged_table
from input_pipeline.clip_table import FaultyClip

_ANY = "*"


def marked(faults: Iterable[FaultyClip], frames: str) -> tuple[FaultyClip, ...]:
    """The faults with `known` set where the release is known for them.

    `frames` is raw or cropped. A row of the table that speaks of unnamed clips covers at most
    the number it gives: were there more, the copy at hand is at fault and none is excused. So
    call it with all faults of a database at once; what earlier calls marked is judged anew.
    """
    faults = [dataclasses.replace(fault, known="") for fault in faults]
    rows = [row for row in packaged_table.rows("known_defects.csv") if _in_tree(row, frames)]
    named = [row for row in rows if row["clip"] != _ANY]
    unnamed = [row for row in rows if row["clip"] == _ANY]
    result = [_excused(fault, named) for fault in faults]
    for row in unnamed:
        covered = [index for index, fault in enumerate(result) if _covers(row, fault)]
        if len(covered) <= int(row["most"]):
            for index in covered:
                result[index] = _excused(result[index], [row])
    return tuple(result)


def _in_tree(row: dict[str, str], frames: str) -> bool:
    return row["frames"] in ("", frames)


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
