"""Published maps in both forms: what is read, and every fault refused in one line.

Modules tried here without being imported:
input_pipeline.maps.sample.
"""

import os
import pathlib
import shutil

import numpy as np
import pretend_maps
import pytest
from command_runner import assert_mistake
from pretend_maps import import_maps, rewrite

from input_pipeline.core.errors import InputError
from input_pipeline.databases import registry
from input_pipeline.maps import from_folds, layouts
from input_pipeline.maps import from_table as map_table


@pytest.fixture
def table(tmp_path) -> pathlib.Path:
    return pretend_maps.write_table(tmp_path / "source")


@pytest.fixture
def split(tmp_path) -> pathlib.Path:
    return pretend_maps.write_split(tmp_path / "source")


# What is read.


def test_table_is_read_as_it_stands(table):
    samples, _ = map_table.read_table(table, "megc2019")
    assert len(samples) == 8
    first = samples[0]
    assert (first.database, first.subject, first.clip) == ("casme2", "sub01", "EP02_01f")
    assert [sample.label for sample in samples] == [1, 0, 2, 0, 1, 0, 2, 1]
    for seed, sample in enumerate(samples):
        np.testing.assert_array_equal(sample.map_HxWxC, pretend_maps.values(seed))
        assert sample.landmarks_5x2 is None


def test_landmark_columns_are_x_then_y(tmp_path):
    source = pretend_maps.write_table(tmp_path, pretend_maps.rows_with_landmarks())
    (sample, *_), _ = map_table.read_table(source, "megc2019")
    expected = np.array(pretend_maps.LANDMARKS).reshape(5, 2)
    np.testing.assert_allclose(sample.landmarks_5x2, expected)
    assert layouts.LANDMARKS == ("eye_left", "eye_right", "nose", "lip_left", "lip_right")


def test_spreadsheets_habits_are_accepted(table):
    path = table / "samples.csv"
    text = path.read_text(encoding="utf-8")
    text = text.replace("positive", " Positive ", 1).replace("surprise", "2", 1)
    text = text.replace("samm,006", "SAMM,6", 1).replace("\n", "\r\n") + "\r\n,,,,\r\n"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    samples, _ = map_table.read_table(table, "megc2019")
    assert [sample.label for sample in samples] == [1, 0, 2, 0, 1, 0, 2, 1]
    assert samples[3].subject == "006"


@pytest.mark.parametrize("blank", ["", " "])
def test_split_form_equals_table_form(tmp_path, blank):
    split = pretend_maps.write_split(tmp_path / "split", blank)
    (split / ".DS_Store").write_bytes(b"left by a file manager")
    (split / "006" / "__pycache__").mkdir()
    from_table, _ = map_table.read_table(pretend_maps.write_table(tmp_path / "table"), "megc2019")
    from_split = from_folds.read_split(split, "megc2019")
    assert len(from_split) == 8
    by_key = {(s.database, s.subject, s.clip): s for s in from_table}
    for sample in from_split:
        same = by_key[sample.database, sample.subject, sample.clip]
        assert sample.label == same.label
        np.testing.assert_array_equal(sample.map_HxWxC, same.map_HxWxC)


@pytest.mark.parametrize(
    ("database", "written", "canonical"),
    [
        ("samm", "6", "006"),
        ("samm", "006", "006"),
        ("smic", "s3", "s03"),
        ("casme2", "sub1", "sub01"),
        ("casme3", "spno.1", "spNO.1"),
        ("casme3", "spNO.189", "spNO.189"),
        ("casme3", "spNo210", "spNO.210"),
        ("casme2", "SUB1", "sub01"),
        ("casme2", "Sub001", "sub01"),
        ("smic", "S003", "s03"),
    ],
)
def test_one_person_has_one_spelling(database, written, canonical):
    assert registry.canonical_subject(database, written) == canonical


@pytest.mark.parametrize(
    ("database", "written"),
    [("samm", "A7"), ("casme2", "=1+1"), ("smic", "sub01"), ("samm", "1234")],
)
def test_an_unknown_spelling_is_refused(database, written):
    with pytest.raises(InputError, match="is not spelled like one of"):
        registry.canonical_subject(database, written)


@pytest.mark.parametrize(
    ("subject", "database"),
    [("006", "samm"), ("s03", "smic"), ("sub01", "casme2"), ("spNO.1", "casme3"), ("x1", None)],
)
def test_the_database_follows_from_the_subjects_form(subject, database):
    assert registry.database_of(subject) == database


def test_constant_channels_are_counted_and_kept(table):
    values = pretend_maps.values(0)
    values[..., 1] = 128
    (table / "maps" / "sub01_EP02_01f.png").write_bytes(pretend_maps.png(values))
    finished = import_maps(table)
    assert finished.status == 0
    assert "constant channels: 1 of 24" in finished.out
    (sample, *_), _ = map_table.read_table(table, "megc2019")
    assert (sample.map_HxWxC[..., 1] == 128).all()


# Faults of a table.


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("sample,label", "clip,label", ("lacks the column sample", "database,subject,clip")),
        ("casme2,sub01", "casme9,sub01", ("row 2", "'casme9'", "casme2, samm, smic")),
        (",positive,", ",happy,", ("row 2", "'happy'", "negative, positive, surprise")),
        ("EP19_05f,n", "EP02_01f,n", ("row 3", "casme2/sub01/EP02_01f", "row 2")),
        (",006,006_1_2", ",6/..,006_1_2", ("row 5", "slash")),
        (",006,006_1_2", ",6\x07,006_1_2", ("row 5", "control character")),
        (",006,006_1_2", ", 006,006_1_2", ("row 5", "blank")),
        (",006,006_1_2", f",006,{'x' * 101}", ("row 5", "101 characters", "100")),
        (",006,006_1_2", ",,006_1_2", ("row 5", "subject is empty")),
        ("maps/sub01_EP02_01f.png", "maps/none.png", ("row 2", "none.png", "No such file")),
        ("maps/sub01_EP02_01f.png", "../outside.png", ("row 2", "leads out of the source")),
        ("maps/sub01_EP02_01f.png", "..\\outside.png", ("row 2", "leads out of the source")),
        ("maps/sub01_EP02_01f.png", "/etc/passwd", ("row 2", "leads out of the source")),
        ("maps/sub01_EP02_01f.png", "maps/a\x00b.png", ("row 2",)),
        ("maps/sub01_EP02_01f.png", f"maps/{'x' * 300}.png", ("row 2", "over-long")),
        ("maps/sub01_EP02_01f.png", "maps", ("row 2", "no regular file")),
        ("maps/sub01_EP02_01f.png", "", ("row 2", "empty")),
        ("negative,maps/sub01_EP19_05f.png", "negative", ("row 3 has 4 cells", "5")),
        ("EP02_01f,", '"EP02_01f,', ("no CSV",)),
        ("database,subject", "database,label,subject", ("column label twice",)),
    ],
)
def test_faulty_table_is_refused_in_one_line(table, old, new, parts):
    (table.parent / "outside.png").write_bytes(pretend_maps.png(pretend_maps.values(0)))
    rewrite(table, old, new)
    assert_mistake(import_maps(table), *parts)


def test_all_faulty_rows_are_counted(table):
    for _ in range(3):
        rewrite(table, ",negative,", ",angry,")
    assert_mistake(import_maps(table), "row 3", "'angry'", "and 2 more faults")


def test_one_person_under_two_spellings_is_one_person(table):
    rewrite(table, "samm,006,006_1_3", "samm,6,006_1_2")
    assert_mistake(import_maps(table), "row 6", "samm/006/006_1_2", "row 5")


def test_a_database_foreign_to_the_data_set(table):
    assert_mistake(import_maps(table, "samm"), "row 2", "'casme2'", "allowed are samm")


@pytest.mark.parametrize("text", ["", "database,subject,sample,label,map\n", "\n\n"])
def test_empty_table(table, text):
    (table / "samples.csv").write_text(text, encoding="utf-8")
    assert_mistake(import_maps(table), "samples.csv")


def test_table_in_another_encoding(table):
    text = (table / "samples.csv").read_text(encoding="utf-8")
    (table / "samples.csv").write_bytes(text.encode("utf-16"))
    assert_mistake(import_maps(table), "not UTF-8")


def test_row_cap(table):
    row = "casme2,sub01,{},positive,maps/sub01_EP02_01f.png\n"
    with open(table / "samples.csv", "w", encoding="utf-8") as file:
        file.write("database,subject,sample,label,map\n")
        file.writelines(row.format(number) for number in range(100_001))
    assert_mistake(import_maps(table), "100000 rows allowed")


@pytest.mark.parametrize("value", ["", "x", "nan", "inf", "-1", "28.5"])
def test_landmark_that_is_no_position_in_the_map(tmp_path, value):
    rows = pretend_maps.rows_with_landmarks()
    rows[4]["nose_y"] = value
    source = pretend_maps.write_table(tmp_path / "source", rows)
    assert_mistake(import_maps(source), "row 6", "nose_y", f"'{value}'", "0 to 28")


def test_landmark_columns_all_or_none(tmp_path):
    rows = [
        {k: v for k, v in row.items() if k != "nose_y"}
        for row in pretend_maps.rows_with_landmarks()
    ]
    source = pretend_maps.write_table(tmp_path / "source", rows)
    assert_mistake(import_maps(source), "nose_y", "all ten or none")


def test_no_published_maps_at_all(tmp_path):
    (tmp_path / "empty").mkdir()
    assert_mistake(import_maps(tmp_path / "empty"), "samples.csv", "u_train")
    assert_mistake(import_maps(tmp_path / "gone"), "does not exist")


def test_a_fifo_does_not_hang_the_import(table):
    (table / "maps" / "sub01_EP02_01f.png").unlink()
    os.mkfifo(table / "maps" / "sub01_EP02_01f.png")
    assert_mistake(import_maps(table), "row 2", "no regular file")
    (table / "samples.csv").unlink()
    os.mkfifo(table / "samples.csv")
    assert_mistake(import_maps(table), "samples.csv", "no regular file")


@pytest.mark.parametrize("target", ["../outside.png", "loop.png"])
def test_symbolic_links_out_of_the_source_or_in_a_loop(table, target):
    (table.parent / "outside.png").write_bytes(pretend_maps.png(pretend_maps.values(0)))
    link = table / "maps" / "sub01_EP02_01f.png"
    link.unlink()
    (table / "maps" / "loop.png").symlink_to(link)
    link.symlink_to(table.parent / "outside.png" if "outside" in target else link.with_name(target))
    assert_mistake(import_maps(table), "row 2")


# Faults of the pre-split form.


def test_split_summary(split):
    finished = import_maps(split)
    assert (finished.status, finished.err) == (0, "")
    assert "8 clips of 5 subjects" in finished.out
    assert "mean positions" in finished.out
    assert "NOTE: MEGC 2019 has 442 clips of 68 subjects" in finished.out


def move(split: pathlib.Path, old: str, new: str | None) -> None:
    if new is None:
        (split / old).unlink()
    else:
        (split / new).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(split / old, split / new)


TRAINING_CLIP = "006/u_train/1/sub01_EP02_01f .png"


@pytest.mark.parametrize(
    ("new", "remove", "parts"),
    [
        (None, True, ("'006'", "lacks 1 of the 8", "casme2/sub01/EP02_01f")),
        ("006/u_train/2/sub01_EP02_01f .png", True, ("another class", "sub01_EP02_01f")),
        ("006/u_train/1/sub01_EP02_01f.png", False, ("casme2/sub01/EP02_01f twice",)),
        ("006/u_test/1/sub01_EP02_01f .png", True, ("casme2/sub01", "u_test", "'006'")),
        ("006/u_train/1/006_1_9.png", False, ("samm/006", "u_train")),
        ("006/u_train/3/sub01_EP02_01f .png", True, ("'006/u_train/3'", "no class")),
        ("006/u_train/1/notes.txt", False, ("notes.txt", "not named like a map")),
        ("006/u_train/1/zz9_EP1.png", False, ("zz9_EP1.png", "not named like a map")),
        ("readme/x.png", False, ("'readme'", "no fold")),
        ("007/u_train/1/sub01_EP02_01f .png", False, ("'007' has no folder u_test",)),
    ],
)
def test_folds_that_disagree_are_refused(split, new, remove, parts):
    if new is not None:
        move(split, TRAINING_CLIP, new)
    if remove:
        (split / TRAINING_CLIP).unlink()
    assert_mistake(import_maps(split), *parts)


def test_another_picture_in_one_fold(split):
    (split / TRAINING_CLIP).write_bytes(pretend_maps.png(pretend_maps.values(99)))
    assert_mistake(import_maps(split), "another picture", "sub01_EP02_01f")


def test_the_same_damaged_picture_in_all_folds(split):
    for path in split.rglob("sub01_EP02_01f .png"):
        path.write_bytes(path.read_bytes()[:-30])
    assert_mistake(import_maps(split), "sub01_EP02_01f .png", "cut off")


def test_a_fold_of_another_database(split):
    assert_mistake(import_maps(split, "smic"), "'006'", "samm", "smic")


def test_a_fold_that_links_out_of_the_source(split):
    away = split.parent / "away"
    shutil.move(split / "006" / "u_train", away)
    (split / "006" / "u_train").symlink_to(away)
    assert_mistake(import_maps(split), "006/u_train", "inside the source folder")
