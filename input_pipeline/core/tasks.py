"""Class sets: which clips of a data set a run takes, and which class each of them has.

A data set stores every clip of its databases; a task chooses among them by one stored column.
"""

import dataclasses

import numpy as np

from input_pipeline.core.clips import CLASS_NAMES, Clips
from input_pipeline.core.errors import InputError


@dataclasses.dataclass(frozen=True)
class Task:
    """A class set: its classes in label order, and the stored column that names a clip's class.

    `column` is `label` (the class that the data set was built with) or one of the clips' extras,
    such as `emotion` or `objective_class`; upper and lower case are the same.
    """

    name: str
    classes: tuple[str, ...]
    column: str

    def of(self, clips: Clips) -> Clips:
        """The clips of these classes, in their order, with label_N an index into `classes`.

        Raises InputError where the column is missing or names none of the classes.
        """
        place_of = {name.casefold(): place for place, name in enumerate(self.classes)}
        label_N = np.array([place_of.get(word, -1) for word in self._words(clips)], np.int32)
        if not (label_N >= 0).any():
            raise InputError(
                f"no clip of the data set {clips.dataset} has one of the classes "
                f"{', '.join(self.classes)} in its column {self.column}; choose other classes."
            )
        labelled = dataclasses.replace(clips, label_N=label_N, class_names=self.classes)
        return labelled.rows(np.flatnonzero(label_N >= 0))

    def _words(self, clips: Clips) -> list[str]:
        if self.column == "label":
            words = [clips.class_of(index) for index in range(len(clips))]
        else:
            words = [str(value) for value in clips.extras.get(self.column, ())]
        return [word.strip().casefold() for word in words]


# A new class set is one more entry.
TASKS = {task.name: task for task in (Task("3", CLASS_NAMES, "label"),)}


def selected(clips: Clips, name: str | None = None) -> Clips:
    """The clips of the task named, or with all classes that the data set was built with.

    Raises InputError on an unknown task, and on one that the data set does not hold all clips of.
    """
    own = Task(clips.dataset, clips.class_names, "label")
    same = (t for t in TASKS.values() if dataclasses.replace(t, name=own.name) == own)
    default = next(same, own)
    if name in (None, default.name):
        return default.of(clips)
    if name not in TASKS:
        raise InputError(f"unknown class set '{name}'; known are {', '.join(TASKS)}.")
    if not clips.every_clip:
        raise InputError(
            f"the data set {clips.dataset}/{clips.layout} holds only the clips of the classes "
            f"{', '.join(clips.class_names)}, not all of the class set {name}; it must be built "
            "again from the database with python -m input_pipeline.build "
            f"--dataset={clips.dataset} --layout={clips.layout} --raw_dir=DIR --overwrite; a "
            "data set of published or own maps has no other classes."
        )
    return TASKS[name].of(clips)
