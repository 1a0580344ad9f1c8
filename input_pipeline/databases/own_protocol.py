"""Clips by the class set of their data set, where it is another one than the three classes.

Databases are read by the 3-class protocol; MEGC 2018 takes the same clips by objective class.
"""

import collections
import dataclasses

from input_pipeline.core.errors import InputError
from input_pipeline.core.tasks import Task
from input_pipeline.databases.database import Database
from input_pipeline.databases.rows import ClipRecord, FaultyClip, ReadResult


def by_objective_class(result: ReadResult, task: Task, databases: list[Database]) -> ReadResult:
    """The clips with their labels in a set of objective classes; -1, and outside, elsewhere.

    Raises InputError where no clip of a database has an objective class.
    """
    for database in databases:
        own = [clip for clip in result.clips if clip.database == database.name]
        if own and all(clip.objective_class < 0 for clip in own):
            raise InputError(
                f"no clip of {database.name} has an objective class: "
                f"{database.sheet_forms[-1].what} was not found, or has none; put it below the raw "
                "folder or name it with --annotations."
            )
    outside = collections.Counter(
        f"objective class {number}" if number > 0 else "no objective class"
        for number in _objective_classes(result)
        if task.label(number) < 0
    )
    no_clips = result.outside_protocol.get("no clip of the database", 0)
    counts = dict(sorted(outside.items()))
    return dataclasses.replace(
        result,
        clips=tuple(_clip(clip, task) for clip in result.clips),
        faults=tuple(_fault(fault, task) for fault in result.faults),
        outside_protocol=counts | ({"no clip of the database": no_clips} if no_clips else {}),
        class_names=task.classes,
    )


def _objective_classes(result: ReadResult) -> list[int]:
    found = [clip.objective_class for clip in result.clips]
    return found + [fault.objective_class for fault in result.faults]


def _clip(clip: ClipRecord, task: Task) -> ClipRecord:
    label = task.label(clip.objective_class)
    # A clip of the three classes that lacks an apex has not come here: it is a fault.
    return dataclasses.replace(clip, label=label, apex_optional=clip.apex is None)


def _fault(fault: FaultyClip, task: Task) -> FaultyClip:
    label = task.label(fault.objective_class)
    # Of a row whose cells tell no class it is not known that the clip lies outside.
    outside = label < 0 and (fault.outside or fault.objective_class > 0)
    return dataclasses.replace(fault, label=label, outside=outside)
