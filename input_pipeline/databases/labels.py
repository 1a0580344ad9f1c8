"""Emotions as written to classes, by the packaged class maps (class_maps.csv)."""

import functools
from typing import NamedTuple

from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.core.clips import CLASS_NAMES
from input_pipeline.databases import packaged_table

_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII")


class Classes(NamedTuple):
    """The classes of one emotion: `label` is None outside the 3-class protocol, `label7` -1."""

    label: int | None
    label7: int


def classes_of(database: str, emotion: str) -> Classes:
    """The classes of an emotion in any mix of upper and lower case.

    Raises ClipFault (unknown_emotion) on a blank or a word that the database's map lacks.
    """
    known = _maps()[database]
    found = known.get(emotion.strip().casefold())
    if found is None:
        raise ClipFault(
            "unknown_emotion",
            f"the emotion is {emotion[:40]!a}; {database} knows {', '.join(sorted(known))}.",
        )
    return found


def objective_class(text: str) -> int:
    """The objective class (Davison et al., 2018), 1..7 in digits or Roman numerals; else -1."""
    cleaned = text.strip().upper()
    if cleaned in _ROMAN:
        return _ROMAN.index(cleaned) + 1
    return int(cleaned) if cleaned in tuple("1234567") else -1


@functools.cache
def _maps() -> dict[str, dict[str, Classes]]:
    maps: dict[str, dict[str, Classes]] = {}
    for row in packaged_table.rows("class_maps.csv"):
        label = CLASS_NAMES.index(row["class"]) if row["class"] else None
        label7 = int(row["label7"]) if row["label7"] else -1
        maps.setdefault(row["database"], {})[row["emotion"]] = Classes(label, label7)
    return maps
