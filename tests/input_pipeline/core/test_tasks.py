"""Data sets store every clip; a task chooses among them, and one's own data set brings its own."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pretend_maps
import pytest
from command_runner import assert_mistake, run_command
from native_builds import pretend_database
from stored_clips import few

from input_pipeline.core import tasks
from input_pipeline.core.clips import CLASS_NAMES, Clips, sorted_and_checked
from input_pipeline.core.errors import InputError
from input_pipeline.core.tasks import Task
from input_pipeline.storage import arrays_file, loader, tfds_builder, tfds_folder

EMOTIONS = ("Happiness", "others", "disgust", "others ", "surprise", "sadness")
FIVE = Task("five words", ("others", "happiness", "disgust"), "emotion")


@pytest.fixture
def whole() -> Clips:
    """Six clips of SAMM; the second and fourth are of no class."""
    clips = few()
    label_N = np.array([1, -1, 0, -1, 2, 0])
    extras = {
        "emotion": np.array(EMOTIONS),
        "label7": np.array([1, -1, 4, -1, 2, 3]),
        "objective_class": np.array([1, 2, 2, 7, 1, -1]),
    }
    return dataclasses.replace(clips, label_N=label_N, extras=clips.extras | extras)


def test_the_default_task_leaves_out_what_has_no_class(whole):
    chosen = tasks.selected(whole)
    assert chosen.label_N.tolist() == [1, 0, 2, 0]
    assert chosen.class_names == CLASS_NAMES
    assert chosen.clip_key_N == [whole.clip_key_N[index] for index in (0, 2, 4, 5)]
    assert chosen.extras["emotion"].tolist() == ["Happiness", "disgust", "surprise", "sadness"]
    np.testing.assert_array_equal(chosen.flow_NxHxWxC, whole.flow_NxHxWxC[[0, 2, 4, 5]])


def test_a_task_over_emotions_or_numbers(whole):
    chosen = FIVE.of(whole)
    assert chosen.label_N.tolist() == [1, 0, 2, 0]
    assert chosen.class_names == FIVE.classes
    objective = Task("objective", ("2", "1"), "objective_class").of(whole)
    assert objective.label_N.tolist() == [1, 0, 0, 1]
    for absent in (Task("x", ("2", "3"), "no_such"), Task("x", ("fear", "anger"), "emotion")):
        with pytest.raises(InputError, match="no clip of the data set samm"):
            absent.of(whole)


def test_a_label_without_a_class_is_for_stored_clips_alone(whole):
    assert sorted_and_checked(whole, where="here", stored=True).label_N.min() == -1
    with pytest.raises(InputError, match="label -1; allowed are 0 negative, 1 positive"):
        sorted_and_checked(whole, where="here")
    wrong = dataclasses.replace(whole, class_names=("a", "b"))
    with pytest.raises(InputError, match="label 2; allowed are 0 a, 1 b"):
        sorted_and_checked(wrong, where="here", stored=True)


def test_a_data_set_and_its_export_give_every_task(whole, tmp_path, monkeypatch):
    monkeypatch.setitem(tasks.TASKS, FIVE.name, FIVE)
    path = tfds_builder.write_data_set(whole, tmp_path).path
    stored = loader.every_clip("samm", "five", tmp_path)
    assert stored.label_N.tolist() == whole.label_N.tolist()
    npz = tmp_path / "x.npz"
    finished = run_command(
        "input_pipeline.export", "--dataset=samm", f"--output={npz}", f"--data_dir={tmp_path}"
    )
    assert finished.status == 0, finished.err
    for task in (None, "3", FIVE.name):
        of_data_set = loader.load("samm", "five", tmp_path, task=task)
        of_export = loader.load_arrays(npz, task)
        assert of_data_set.content_hash() == of_export.content_hash()
        assert of_data_set.class_names == (FIVE.classes if task == FIVE.name else CLASS_NAMES)
    # The hash of before is that of the 3-class clips; the other one covers the rest.
    metadata = tfds_folder.stored_metadata(path)
    assert metadata["content_hash"] == loader.load("samm", "five", tmp_path).content_hash()
    assert metadata["whole_hash"] == whole.whole_hash() == stored.whole_hash()
    assert loader.every_clip_of_arrays(npz).whole_hash() == stored.whole_hash()
    with pytest.raises(
        InputError, match=r"--classes=4: the data set samm .* has 3, 5, .*, five words\.$"
    ):
        loader.load("samm", "five", tmp_path, task="4")


def test_a_changed_whole_hash_is_refused(whole, tmp_path):
    path = tfds_builder.write_data_set(whole, tmp_path).path / "metadata.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(whole.whole_hash(), "0" * 64), encoding="utf-8")
    with pytest.raises(InputError, match="the hash over all its clips differs"):
        loader.load("samm", "five", tmp_path)


def test_the_whole_hash_covers_every_label(whole):
    changed = [dataclasses.replace(whole, label_N=np.array([1, -1, 0, -1, 2, -1]))]
    for name in ("emotion", "label7", "objective_class"):
        column = whole.extras[name].copy()
        column[3] = column[0]
        changed.append(dataclasses.replace(whole, extras=whole.extras | {name: column}))
    changed.append(dataclasses.replace(whole, class_names=("a", "b", "c")))
    assert len({clips.whole_hash() for clips in (whole, *changed)}) == len(changed) + 1


def test_a_data_set_of_before_must_be_built_again_for_another_task(whole, tmp_path, monkeypatch):
    monkeypatch.setitem(tasks.TASKS, FIVE.name, FIVE)
    # As stored before: the clips of the three classes, and none of the later keys.
    before = dataclasses.replace(tasks.selected(whole), every_clip=False)
    path = tfds_builder.write_data_set(before, tmp_path).path / "metadata.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    for name in ("whole_hash", "class_names", "every_clip"):
        del metadata[name]
    path.write_text(json.dumps(metadata), encoding="utf-8")
    assert loader.load("samm", "five", tmp_path, task="3").content_hash() == before.content_hash()
    npz = tmp_path / "x.npz"
    arrays_file.save_arrays(loader.every_clip("samm", "five", tmp_path), npz)
    for load in (
        lambda: loader.load("samm", "five", tmp_path, task=FIVE.name),
        lambda: loader.load_arrays(npz, FIVE.name),
    ):
        with pytest.raises(InputError, match=r"holds only the clips.*must be built again"):
            load()
    # The same clips are there already; with those of no class it is another data set.
    assert not tfds_builder.write_data_set(before, tmp_path).is_new
    with pytest.raises(InputError, match="--overwrite"):
        tfds_builder.write_data_set(whole, tmp_path)
    assert tfds_builder.write_data_set(whole, tmp_path, overwrite=True).is_new


def test_a_build_stores_what_lies_outside_the_classes(tmp_path):
    raw = shutil.copytree(pretend_database("megc2019") / "casme2", tmp_path / "raw")
    shutil.rmtree(raw / "CASME2-RAW/CASME2-RAW/sub26/EP11_03")
    shutil.rmtree(raw / "CASME2_RAW_selected/CASME2_RAW_selected/sub26/EP11_03")
    finished = run_command(
        "input_pipeline.build",
        "--dataset=casme2",
        f"--raw_dir={raw}",
        f"--data_dir={tmp_path}",
        "--flow=farneback",
    )
    assert finished.status == 0, finished.err
    assert "1 clips cannot be used, 0 of them known defects of the release, 1 outside the 3" in (
        finished.out
    )
    stored = loader.every_clip("casme2", "five", tmp_path)
    outside = stored.label_N == -1
    assert stored.extras["emotion"][outside].tolist() == ["disgust", "disgust", "others", "sadness"]
    assert stored.extras["label7"][outside].tolist() == [4, 4, 7, 3]
    assert (stored.extras["objective_class"] > 0).all()
    loaded = loader.load("casme2", "five", tmp_path)
    assert len(loaded) == len(stored) - 4
    # sub10 and sub26 have clips of no class alone: they have no fold.
    assert not {"casme2/sub10", "casme2/sub26"} & set(loaded.subject_key_N)
    with (tmp_path / "casme2/reports/five/clips.csv").open(encoding="utf-8") as file:
        report = {row["clip"]: row for row in csv.DictReader(file)}
    assert report["casme2/sub26/EP11_03"]["status"] == "left out (outside the 3 classes)"
    # No apex is annotated.
    assert report["casme2/sub04/EP12_01f"]["rules"] == "apex_spotted"
    assert report["casme2/sub10/EP01_01"]["status"] == "used"
    assert report["casme2/sub10/EP01_01"]["label"] == ""


# A data set of one's own.


def own_rows(*words: str) -> list[dict[str, str]]:
    rows = pretend_maps.rows()
    return [
        row | {"database": "Lab", "subject": f"p{n // 2}", "label": words[n % len(words)]}
        for n, row in enumerate(rows)
    ]


def imported(source, *words: str, classes: str | None = None):
    pretend_maps.write_table(source, own_rows(*words))
    if classes is not None:
        (source / "classes.txt").write_text(classes, encoding="utf-8")
    return pretend_maps.import_maps(source, "mylab")


@pytest.mark.parametrize(
    ("classes", "names"),
    [(None, ("Neutral", "joy", "tense")), ("tense\njoy\n\nNeutral\n", ("tense", "joy", "Neutral"))],
)
def test_an_own_data_set_brings_its_classes(tmp_path, classes, names):
    finished = imported(tmp_path / "source", "joy", " tense", "Neutral", classes=classes)
    assert finished.status == 0, finished.err
    assert f"per class: {names[0]} " in finished.out
    clips = loader.load("mylab", "five", tmp_path / "written")
    assert clips.class_names == names
    assert set(clips.database_N) == {"lab"}
    words = {clips.clip_N[index]: clips.class_of(index) for index in range(len(clips))}
    assert words["EP02_01f"] == "joy"
    assert words["EP19_05f"] == "tense"
    npz = tmp_path / "own.npz"
    exported = run_command(
        "input_pipeline.export",
        "--dataset=mylab",
        f"--output={npz}",
        f"--data_dir={tmp_path}/written",
    )
    assert exported.status == 0, exported.err
    assert loader.load_arrays(npz).content_hash() == clips.content_hash()
    assert loader.load_arrays(npz, "mylab").class_names == names
    with pytest.raises(InputError, match=r"--classes=3: .* brings its own classes .* leave"):
        loader.load("mylab", "five", tmp_path / "written", task="3")


def test_an_own_data_set_of_the_three_classes(tmp_path):
    finished = imported(tmp_path / "source", "1", "Negative", "0")
    assert finished.status == 0, finished.err
    clips = loader.load("mylab", "five", tmp_path / "written", task="3")
    assert clips.class_names == CLASS_NAMES
    assert sorted(clips.label_N) == [0, 0, 0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("words", "classes", "parts"),
    [
        (("joy",), None, ("has 1 classes (joy)", "2 to 20")),
        (("joy", "Joy"), None, ("Joy, joy repeat a word",)),
        (("joy", ""), None, ("row 3", "the label is empty", "3 more faults")),
        (("joy", "fear"), "joy\nanger\n", ("row 3: the label 'fear'", "classes.txt", "3 more")),
        (("joy", "fear"), "\n".join(map(str, range(21))), ("has 21 classes", "2 to 20")),
        (("joy", "fear"), "joy\n", ("classes.txt' has 1 classes (joy)",)),
        (("joy", "fear"), "joy\nfear\njoy\n", ("classes.txt' the classes joy, fear, joy repeat",)),
        (("0", "1"), "calm\nmoved\n", ("'negative' does not", "0, 1 and 2 are read as negative,")),
        (("joy", "fe\tar"), None, ("control character",)),
    ],
)
def test_faulty_classes_are_refused_in_one_line(tmp_path, words, classes, parts):
    assert_mistake(imported(tmp_path / "source", *words, classes=classes), *parts)


@pytest.mark.parametrize("name", ["my-lab", "synthetic", "../x", "a" * 65, "a b"])
def test_names_that_no_own_data_set_may_have(tmp_path, name):
    pretend_maps.write_table(tmp_path / "source")
    assert_mistake(pretend_maps.import_maps(tmp_path / "source", name), "or a name of your own")


def test_an_unknown_name_shows_the_known_ones(tmp_path):
    assert imported(tmp_path / "source", "joy", "fear").status == 0
    (tmp_path / "written" / "reports" / "x").mkdir(parents=True)
    with pytest.raises(InputError, match=r"unknown data set 'mylap'; known are .*, mylab\.$"):
        loader.load("mylap", "five", tmp_path / "written")
    with pytest.raises(InputError, match=r"mylab is not built yet in the layout quad.*import_maps"):
        loader.load("mylab", "quad", tmp_path / "written")
