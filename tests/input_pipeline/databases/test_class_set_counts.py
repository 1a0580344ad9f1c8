"""Releases with the published counts give every class set its published clips and subjects.

Modules tried here without being imported: input_pipeline.databases.own_protocol.
"""

import shutil

import full_releases
import numpy as np
import pytest
import small_releases as small
from small_releases import casme2_row, samm_row

from input_pipeline.core import tasks
from input_pipeline.core.errors import InputError
from input_pipeline.databases import expected_counts, packaged_table
from input_pipeline.databases.reading import read_databases
from input_pipeline.databases.registry import DATABASES_OF

# Clips of each class in label order, and subjects, as counted from the authors' sheets.
COUNTS = {
    ("casme2", "3"): ((88, 32, 25), 24),
    ("casme2", "4"): ((99, 32, 25, 99), 26),
    ("casme2", "5"): ((63, 32, 27, 25, 99), 26),
    ("casme2", "7"): ((63, 2, 32, 27, 7, 25, 99), 26),
    ("casme2", "objective5"): ((25, 15, 99, 26, 20), 26),
    ("casme2", "objective7"): ((25, 15, 99, 26, 20, 1, 69), 26),
    ("samm", "3"): ((92, 26, 15), 28),
    ("samm", "5"): ((57, 12, 26, 15, 26), 27),
    ("samm", "7"): ((57, 12, 9, 8, 26, 6, 15, 26), 29),
    ("samm", "objective5"): ((24, 13, 20, 8, 3), 21),
    ("samm", "objective7"): ((24, 13, 20, 8, 3, 7, 84), 29),
    ("casme3", "3"): ((457, 55, 187), 88),
    ("casme3", "4"): ((457, 55, 187, 161), 94),
    ("casme3", "7"): ((64, 250, 86, 55, 57, 187, 161), 94),
    ("casme3", "objective5"): ((15, 151, 234, 37, 47), 79),
    ("casme3", "objective7"): ((15, 151, 234, 37, 47, 3, 373), 94),
    ("megc2018", "objective5"): ((49, 28, 119, 34, 23), 47),
    ("megc2018", "objective7"): ((49, 28, 119, 34, 23, 8, 153), 55),
}


@pytest.mark.parametrize(("dataset", "name"), COUNTS, ids=["-".join(key) for key in COUNTS])
def test_a_class_set_has_its_published_clips(dataset, name):
    chosen = tasks.selected(full_releases.clips(dataset), name)
    per_class, subjects = COUNTS[dataset, name]
    found = np.bincount(chosen.label_N, minlength=len(chosen.class_names))
    assert tuple(found) == per_class
    assert len(set(chosen.subject_key_N)) == subjects


def test_every_class_set_is_counted_here():
    named = {(d, name) for d in ("casme2", "samm", "casme3") for name in tasks.of_data_set(d)}
    named |= {("megc2018", name) for name in tasks.of_data_set("megc2018")}
    assert named == COUNTS.keys()


@pytest.mark.parametrize("dataset", ["casme2", "samm", "casme3", "megc2018"])
def test_a_release_with_the_published_counts_has_no_deviations(dataset):
    result = read_databases(dataset, full_releases.written(dataset))
    assert (result.faults, result.deviations) == ((), ())


def test_the_packaged_counts_are_these():
    rows = packaged_table.rows("class_set_counts.csv")
    found = {(row["database"], row["classes"]) for row in rows}
    assert found == {key for key in COUNTS if key[0] != "megc2018" and key[1] != "3"}
    for database, name in found:
        expected = expected_counts.of_class_set(database, name)
        assert (expected.per_subject["*"], expected.subjects) == COUNTS[database, name]


def test_megc2018_is_253_clips_of_47_subjects_by_default():
    clips = full_releases.clips("megc2018")
    assert clips.class_names == ("I", "II", "III", "IV", "V")
    chosen = tasks.selected(clips)
    assert (len(chosen), len(set(chosen.subject_key_N))) == (253, 47)
    assert chosen.content_hash() == tasks.selected(clips, "objective5").content_hash()
    assert set(chosen.database_N) == set(DATABASES_OF["megc2018"])
    # Its apex is not annotated: here that lies within the protocol all the same.
    result = read_databases("megc2018", full_releases.written("megc2018"))
    (blank,) = [clip for clip in result.clips if clip.apex is None]
    assert (blank.key, blank.label >= 0) == ("casme2/sub04/EP12_01f", True)


def test_the_sheet_of_2019_moves_three_clips():
    """With it the five classes are 249 clips: the emotion is stored as the sheet writes it."""
    clips = full_releases.clips("casme2")
    emotion_N = clips.extras["emotion"].copy()
    emotion_N[np.flatnonzero(emotion_N == "sadness")[:3]] = "surprise"
    clips.extras["emotion"] = emotion_N
    assert len(tasks.selected(clips, "5")) == 249


# MEGC 2018 by hand.


def release_of_2018(root):
    """Two clips of each database, of the objective classes III, VII, I and VI."""
    small.casme2(root / "casme2", [casme2_row(), casme2_row("02", emotion="others")])
    classes = [["Subject", "Filename", "Objective Class"], ["01", "EP02_01f", 3]]
    classes.append(["02", "EP02_01f", 7])
    small.write_xlsx(root / "casme2" / "CASME2-ObjectiveClasses.xlsx", classes)
    rows = [samm_row(), samm_row("032", "032_3_1", 4926, 4930, 4935, "Other")]
    rows[0][10], rows[1][10] = 1, 6
    small.samm(root / "samm", rows)
    for name in ("casme2", "samm"):
        small.write_counts(root / name, name, {})
    return root


def test_labels_of_megc2018_are_objective_classes(tmp_path):
    root = release_of_2018(tmp_path)
    # A composite list says nothing of them.
    (root / "combined_3class_gt.csv").write_text("casme2,sub09,EP02_01f,1\r\n")
    result = read_databases("megc2018", root)
    assert [(clip.subject, clip.label) for clip in result.clips] == [
        ("sub01", 2),
        ("sub02", -1),
        ("006", 0),
        ("032", -1),
    ]
    assert result.outside_protocol == {"objective class 6": 1, "objective class 7": 1}
    assert (result.faults, result.deviations) == ((), ())
    # The same clips by the three classes, as before.
    alone = read_databases("casme2", root / "casme2")
    assert [clip.label for clip in alone.clips] == [1, -1]


def test_a_bad_clip_stops_a_build_of_megc2018_where_it_has_one_of_its_classes(tmp_path):
    root = release_of_2018(tmp_path)
    for subject in ("01", "02"):
        shutil.rmtree(root / f"casme2/CASME2-RAW/CASME2-RAW/sub{subject}")
    small.write_frames(root / "casme2/CASME2-RAW/CASME2-RAW/sub04/EP01_01", ["img1.jpg"])
    found = {fault.key: fault for fault in read_databases("megc2018", root).faults}
    assert {key: (fault.label, fault.stops_build) for key, fault in found.items()} == {
        "casme2/sub01/EP02_01f": (2, True),
        "casme2/sub02/EP02_01f": (-1, False),
    }
    by_emotion = read_databases("casme2", root / "casme2").faults
    assert {fault.key: fault.label for fault in by_emotion} == {
        "casme2/sub01/EP02_01f": 1,
        "casme2/sub02/EP02_01f": -1,
    }


def test_megc2018_needs_the_sheet_of_objective_classes(tmp_path):
    root = release_of_2018(tmp_path)
    (root / "casme2" / "CASME2-ObjectiveClasses.xlsx").unlink()
    with pytest.raises(InputError, match=r"no clip of casme2 .*\(CASME2-ObjectiveClasses.xlsx\)"):
        read_databases("megc2018", root)


def test_a_part_of_megc2018_deviates_from_its_counts(tmp_path):
    root = release_of_2018(tmp_path)
    for name in ("casme2", "samm"):
        (root / name / "pretend_database.csv").unlink()
    first, second = read_databases("megc2018", root).deviations
    assert first.startswith(
        "casme2: 1 clips (0/0/1/0/0, 1 subjects) instead of 185 clips (25/15/99/26/20, 26 subjects)"
    )
    assert second.startswith("samm: 1 clips (1/0/0/0/0, 1 subjects) instead of 68 clips")


def test_the_sheet_of_objective_classes_wins_over_the_column_of_a_coding_sheet(tmp_path):
    root = release_of_2018(tmp_path) / "casme2"
    (root / "CASME2-coding-20140508.xlsx").unlink()
    header = [*small.CASME2_HEADER, "Objective Classes"]
    rows = [[*casme2_row(), 5], [*casme2_row("02", "EP07_01"), 5]]
    small.write_xlsx(root / "CASME2-coding-20190701.xlsx", [header, *rows])
    small.write_frames(
        root / "CASME2-RAW/CASME2-RAW/sub02/EP07_01", [f"img{n}.jpg" for n in range(96, 106)]
    )
    clips = read_databases("casme2", root).clips
    assert {clip.clip: clip.objective_class for clip in clips} == {"EP02_01f": 3, "EP07_01": 5}
