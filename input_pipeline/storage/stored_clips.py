"""What was stored becomes Clips again: checked, and held against the hashes stored beside it."""

import json
import pathlib
from typing import Any

import numpy as np

from input_pipeline.core import tasks
from input_pipeline.core.clips import CLASS_NAMES, MOST_CLASSES, Clips, sorted_and_checked
from input_pipeline.core.errors import InputError


def stored_clips(
    columns: dict[str, np.ndarray], facts: dict[str, Any], path: pathlib.Path, complaint: str
) -> Clips:
    """All clips of a data set or export, held against the hash of those in its classes.

    `facts` are what is stored beside the columns; earlier versions stored fewer of them.
    """
    class_names = facts.get("class_names", list(CLASS_NAMES))
    if not isinstance(class_names, list) or not 2 <= len(set(class_names)) <= MOST_CLASSES:
        raise InputError(f"{complaint} (its class names are {str(class_names)[:40]!a}).")
    clips = Clips.of_columns(
        columns,
        dataset=facts["dataset"],
        layout=facts["layout"],
        provenance=_provenance(facts.get("provenance")),
        pretend=bool(facts.get("pretend", False)),
        class_names=tuple(map(str, class_names)),
        every_clip=facts.get("every_clip") is True,
    )
    clips = sorted_and_checked(clips, where=f"'{path}'", stored=True)
    if facts.get("content_hash") != tasks.selected(clips).content_hash():
        raise InputError(f"{complaint} (its content hash differs from the stored one).")
    return clips


def check_whole_hash(clips: Clips, facts: dict[str, Any], complaint: str) -> None:
    """Raise InputError where the clips outside the classes are not those that were stored."""
    if "whole_hash" in facts and facts["whole_hash"] != clips.whole_hash():
        raise InputError(f"{complaint} (the hash over all its clips differs from the stored one).")


def first_line(error: Exception) -> str:
    """The kind of an error and the first line of its message."""
    line = str(error).partition("\n")[0][:200].rstrip(".")
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def _provenance(stored: object) -> dict[str, str]:
    """What a file says of its origin (an export in JSON), as text that every report can hold."""
    try:
        stored = json.loads(stored) if isinstance(stored, str) else stored
    except (ValueError, RecursionError):
        return {}
    if not isinstance(stored, dict):
        return {}
    # Half of a surrogate pair can be stored in JSON and in no file of ours.
    return {
        str(name).encode(errors="replace").decode(): str(value).encode(errors="replace").decode()
        for name, value in stored.items()
    }
