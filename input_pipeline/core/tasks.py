"""Class sets: which clips of a data set a run takes, and which class each of them has.

A data set stores every clip of its databases; a task chooses among them by one stored column.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from input_pipeline.core.clips import CLASS_NAMES, Clips
from input_pipeline.core.errors import InputError


@dataclasses.dataclass(frozen=True)
class Task:
    """A class set: its classes in label order, and the stored column that names a clip's class.

    `column` is `label` (the class that the data set was built with) or one of the clips' extras,
    such as `emotion` or `objective_class`; upper and lower case are the same. `words` are further
    words of the column, in lower case, with the class that they stand for. `data_sets` are those
    that the set exists for, None for all.
    """

    name: str
    classes: tuple[str, ...]
    column: str
    words: Mapping[str, str] = dataclasses.field(default_factory=dict)
    data_sets: tuple[str, ...] | None = None

    def of(self, clips: Clips) -> Clips:
        """The clips of these classes, in their order, with label_N an index into `classes`.

        Raises InputError where the column is missing or names none of the classes.
        """
        label_N = np.array([self.label(word) for word in self._words(clips)], np.int32)
        if not (label_N >= 0).any():
            raise InputError(
                f"no clip of the data set {clips.dataset} has one of the classes "
                f"{', '.join(self.classes)} in its column {self.column}; choose other classes, or "
                "build the data set from a sheet that has them."
            )
        labelled = dataclasses.replace(clips, label_N=label_N, class_names=self.classes)
        return labelled.rows(np.flatnonzero(label_N >= 0))

    def label(self, word: object) -> int:
        """The index of the class that a word or number of the column stands for, else -1."""
        plain = str(word).strip().casefold()
        name = self.words.get(plain, plain).casefold()
        places = (place for place, one in enumerate(self.classes) if one.casefold() == name)
        return next(places, -1)

    def _words(self, clips: Clips) -> list[object]:
        if self.column == "label":
            return [clips.class_of(index) for index in range(len(clips))]
        return list(clips.extras.get(self.column, ()))


_OBJECTIVE = ("I", "II", "III", "IV", "V", "VI", "VII")
_NUMERALS = {str(number): name for number, name in enumerate(_OBJECTIVE, start=1)}
_CODED = ("casme2", "samm", "casme3", "megc2018")
_SPELLINGS = {"happy": "happiness", "sad": "sadness", "other": "others"}
_NEGATIVE = ("anger", "contempt", "disgust", "fear", "repression", "sad", "sadness")
_VALENCES = dict.fromkeys(_NEGATIVE, "negative") | {
    "happiness": "positive",
    "happy": "positive",
    "other": "others",
}


def _emotions(name: str, data_set: str, classes: str) -> Task:
    return Task(name, tuple(classes.split()), "emotion", _SPELLINGS, (data_set,))


# A new class set is one more entry; several of one name are for different data sets. Five of SAMM
# are those with ten clips or more. Seven are all words of a sheet, of which SAMM has eight.
_ALL = (
    Task("3", CLASS_NAMES, "label"),
    Task("4", (*CLASS_NAMES, "others"), "emotion", _VALENCES, ("casme2", "casme3")),
    _emotions("5", "casme2", "disgust happiness repression surprise others"),
    _emotions("5", "samm", "anger contempt happiness surprise others"),
    _emotions("7", "casme2", "disgust fear happiness repression sadness surprise others"),
    _emotions("7", "samm", "anger contempt disgust fear happiness sadness surprise others"),
    _emotions("7", "casme3", "anger disgust fear happiness sadness surprise others"),
    # Davison et al. 2018, doi:10.3390/jimaging4100119, by the sheets' own column.
    Task("objective5", _OBJECTIVE[:5], "objective_class", _NUMERALS, _CODED),
    Task("objective7", _OBJECTIVE, "objective_class", _NUMERALS, _CODED),
)
TASKS = {f"{one.name} of {', '.join(one.data_sets or ('all',))}": one for one in _ALL}
# Of data sets whose own classes are not the usual three.
_DEFAULTS = {"megc2018": "objective5"}


def names() -> list[str]:
    """The names of all class sets, each once."""
    return list(dict.fromkeys(task.name for task in TASKS.values()))


def default_name(dataset: str) -> str:
    """The class set that a data set is built with, unless it brings classes of its own."""
    return _DEFAULTS.get(dataset, "3")


def default(dataset: str) -> Task:
    """The class set of `default_name`."""
    return of_data_set(dataset)[default_name(dataset)]


def of_data_set(dataset: str) -> dict[str, Task]:
    """The class sets that exist for a data set of databases, by name."""
    found = [one for one in TASKS.values() if one.data_sets is None or dataset in one.data_sets]
    if default_name(dataset) != "3":
        found = [one for one in found if one.name != "3"]
    return {one.name: one for one in found}


def named(dataset: str, name: str) -> Task:
    """A data set's class set; raises InputError, listing those that exist, on another one."""
    known = of_data_set(dataset)
    if name not in known:
        raise InputError(
            f"--classes={name}: the data set {dataset} has no such class set; it has "
            f"{', '.join(known)}."
        )
    return known[name]


def own(clips: Clips) -> Task:
    """The class set that a data set was stored with, under its name where it is a known one."""
    found = (t for t in of_data_set(clips.dataset).values() if t.classes == clips.class_names)
    name = next((task.name for task in found), clips.dataset)
    return Task(name, clips.class_names, "label")


def selected(clips: Clips, name: str | None = None) -> Clips:
    """The clips of the task named, or with all classes that the data set was built with.

    Raises InputError on a task that the data set does not have, and on one that it does not hold
    all clips of.
    """
    stored = own(clips)
    if name in (None, stored.name):
        return stored.of(clips)
    if stored.name == clips.dataset and not clips.every_clip:
        raise InputError(
            f"--classes={name}: the data set {clips.dataset} has no such class set; it brings its "
            f"own classes {', '.join(clips.class_names)}; leave --classes out."
        )
    task = named(clips.dataset, str(name))
    if not clips.every_clip:
        raise InputError(
            f"the data set {clips.dataset}/{clips.layout} holds only the clips of the classes "
            f"{', '.join(clips.class_names)}, not all of the class set {name}; it must be built "
            "again from the database with python -m input_pipeline.build "
            f"--dataset={clips.dataset} --layout={clips.layout} --raw_dir=DIR --overwrite; a "
            "data set of published or own maps has no other classes."
        )
    return task.of(clips)


def name_to_store(chosen: Clips, asked: str | None) -> str | None:
    """The class set of chosen clips as a run stores it: None for the data set's own.

    Earlier runs knew no other, and keep their hashes.
    """
    name = asked or own(chosen).name
    return None if name in (default_name(chosen.dataset), chosen.dataset) else name


def in_words(dataset: str, name: str) -> str:
    """A class set for readers: `5 objective classes`, `7 classes`."""
    task = of_data_set(dataset).get(name)
    if task is None:
        return f"{name} classes" if name.isdecimal() else f"classes {name}"
    count = len(task.classes)
    if task.column == "objective_class":
        return f"{count} objective classes"
    if name.isdecimal():
        return f"{count} classes" if int(name) == count else f"{count} classes (class set {name})"
    return f"classes {name}"
