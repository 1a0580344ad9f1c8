"""Which class sets a data set has, their classes in order, and the words that they read."""

import dataclasses

import numpy as np
import pytest
from stored_clips import few

from input_pipeline.core import tasks
from input_pipeline.core.clips import CLASS_NAMES, shuffle_labels
from input_pipeline.core.errors import InputError
from input_pipeline.core.tasks import Task
from input_pipeline.databases import labels, packaged_table
from input_pipeline.databases.registry import DATASETS

ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII")
SETS = {
    "synthetic": ["3"],
    "casme2": ["3", "4", "5", "7", "objective5", "objective7"],
    "samm": ["3", "5", "7", "objective5", "objective7"],
    "smic": ["3"],
    "casme3": ["3", "4", "7", "objective5", "objective7"],
    "megc2019": ["3"],
    "megc2018": ["objective5", "objective7"],
}
CLASSES = {
    ("casme2", "4"): ("negative", "positive", "surprise", "others"),
    ("casme2", "5"): ("disgust", "happiness", "repression", "surprise", "others"),
    ("samm", "5"): ("anger", "contempt", "happiness", "surprise", "others"),
    ("casme3", "objective7"): ROMAN,
    ("megc2018", "objective5"): ROMAN[:5],
}
# The order of the largest set; each database has some of the words.
NINE = ("anger", "contempt", "disgust", "fear", "happiness", "repression", "sadness", "surprise")
NINE += ("others",)


@pytest.mark.parametrize("dataset", SETS)
def test_the_class_sets_of_a_data_set(dataset):
    found = tasks.of_data_set(dataset)
    assert list(found) == SETS[dataset]
    assert tasks.default(dataset).name == SETS[dataset][0]
    for name in {*tasks.names()} - {*found}:
        with pytest.raises(InputError, match=f"--classes={name}: .* it has {', '.join(found)}"):
            tasks.named(dataset, name)


def test_no_data_set_is_left_out():
    assert set(SETS) == {*DATASETS}
    assert tasks.names() == ["3", "4", "5", "7", "objective5", "objective7"]


@pytest.mark.parametrize("key", CLASSES, ids=["-".join(key) for key in CLASSES])
def test_classes_in_label_order(key):
    assert tasks.named(*key).classes == CLASSES[key]


@pytest.mark.parametrize("dataset", ["casme2", "samm", "casme3"])
def test_seven_are_those_of_nine_words_that_the_sheets_have(dataset):
    seven = tasks.named(dataset, "7")
    rows = packaged_table.rows("class_maps.csv")
    words = [row["emotion"] for row in rows if row["database"] == dataset]
    assert {seven.classes[seven.label(word)] for word in words} == {*seven.classes}
    assert min(map(seven.label, words)) == 0
    assert list(seven.classes) == [word for word in NINE if word in seven.classes]


@pytest.mark.parametrize("dataset", ["casme2", "casme3"])
def test_four_are_three_and_others(dataset):
    """CASME II's sadness and fear, which the three classes leave out, are negative here."""
    four = tasks.named(dataset, "4")
    for row in packaged_table.rows("class_maps.csv"):
        if row["database"] == dataset:
            three = labels.classes_of(dataset, row["emotion"]).label
            rest = 3 if row["emotion"].startswith("other") else 0
            assert four.label(row["emotion"]) == (rest if three is None else three)


def test_words_in_any_spelling():
    seven, objective = tasks.named("casme3", "7"), tasks.named("casme3", "objective5")
    for word, name in (("happy", "happiness"), ("Sad ", "sadness"), ("Others", "others")):
        assert seven.classes[seven.label(word)] == name
    assert [objective.label(value) for value in (1, np.int64(5), 6, -1, "IV")] == [0, 4, -1, -1, 3]
    assert seven.label("") == -1


def whole():
    """Six clips of SAMM as a build stores them."""
    emotions = ("Happiness", "Other", "Anger", "Other", "Surprise", "Sadness")
    extras = {"emotion": np.array(emotions), "objective_class": np.array([1, 2, 2, 7, 1, -1])}
    clips = few()
    label_N = np.array([1, -1, 0, -1, 2, 0])
    return dataclasses.replace(clips, label_N=label_N, extras=clips.extras | extras)


def test_a_run_stores_a_class_set_that_is_not_the_data_sets_own():
    clips = whole()
    for asked, stored in ((None, None), ("3", None), ("5", "5"), ("objective5", "objective5")):
        assert tasks.name_to_store(tasks.selected(clips, asked), asked) == stored
    of_2018 = dataclasses.replace(
        tasks.selected(clips, "objective5"), dataset="megc2018", class_names=ROMAN[:5]
    )
    assert [tasks.name_to_store(of_2018, asked) for asked in (None, "objective5")] == [None, None]
    own = dataclasses.replace(tasks.selected(clips), dataset="mylab", class_names=("a", "b", "c"))
    assert tasks.name_to_store(own, None) is None


def test_clips_of_one_class_set_alone_are_known_by_its_classes():
    alone = dataclasses.replace(tasks.selected(whole(), "5"), every_clip=False)
    for asked in (None, "5"):
        chosen = tasks.selected(alone, asked)
        assert chosen.content_hash() == alone.content_hash()
        assert tasks.name_to_store(chosen, asked) == "5"
    with pytest.raises(InputError, match="holds only the clips of the classes anger, contempt"):
        tasks.selected(alone, "3")


def test_a_column_without_any_class_is_told():
    clips = whole()
    clips.extras["objective_class"][:] = -1
    with pytest.raises(InputError, match=r"I, II, III, IV, V in its column objective_class; "):
        tasks.selected(clips, "objective5")


@pytest.mark.parametrize("name", ["5", "objective5", "7"])
def test_shuffled_labels_are_those_of_the_class_set(name):
    chosen = tasks.selected(whole(), name)
    orders = {tuple(shuffle_labels(chosen, seed).label_N.tolist()) for seed in range(20)}
    assert len(orders) > 1
    for order in orders:
        assert sorted(order) == sorted(chosen.label_N.tolist())
    # What else tells of a clip's class is gone.
    assert not {"emotion", "objective_class"} & shuffle_labels(chosen, 0).extras.keys()


def test_class_sets_in_words():
    assert tasks.in_words("casme2", "5") == "5 classes"
    assert tasks.in_words("samm", "7") == "8 classes (class set 7)"
    assert tasks.in_words("megc2018", "objective7") == "7 objective classes"
    assert tasks.in_words("synthetic", "valence") == "classes valence"
    assert tasks.in_words("mylab", "4") == "4 classes"


def test_a_class_set_of_ones_own_is_for_every_data_set(monkeypatch):
    valence = Task("valence", ("positive", "negative"), "label")
    monkeypatch.setitem(tasks.TASKS, "valence", valence)
    assert tasks.selected(whole(), "valence").label_N.tolist() == [0, 1, 1]
    assert tasks.named("smic", "valence") is valence
    assert tasks.default("smic").classes == CLASS_NAMES
