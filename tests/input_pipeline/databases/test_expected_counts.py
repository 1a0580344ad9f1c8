"""The published counts, the composite list, and the packaged tables of facts."""

import shutil

import pytest
import small_releases as small
from small_releases import casme2_row, casme3_row, codes, keys, samm_row, write_frames

from input_pipeline.core.clip_faults import REASONS
from input_pipeline.core.clips import CLASS_NAMES
from input_pipeline.core.errors import InputError
from input_pipeline.databases import expected_counts, labels, packaged_table
from input_pipeline.databases.reading import read_databases

# The published counts.


def release(root, database):
    """A made-up release with the published number of clips of every subject and class."""
    word = {
        "casme2": ("disgust", "happiness", "surprise"),
        "samm": ("Fear", "Happiness", "Surprise"),
    }
    word["casme3"] = ("sad", "happy", "surprise")
    expected = expected_counts.expected(database, root)
    counts = expected.per_subject
    if "*" in counts:
        whole = [(label, n) for label, count in enumerate(counts["*"]) for n in range(count)]
        clips = [(f"spNO.{1 + n % expected.subjects}", label, n) for label, n in whole]
    else:
        clips = [
            (s, label, n) for s, c in counts.items() for label in range(3) for n in range(c[label])
        ]
    if database == "smic":
        code = ("ne", "po", "sur")
        return small.smic(
            root,
            [(f"s{int(s[1:])}_{code[c]}_{n + 1:02d}", CLASS_NAMES[c], 5000) for s, c, n in clips],
        )
    rows = []
    for place, (subject, label, _) in enumerate(clips):
        emotion = word[database][label]
        if database == "casme2":
            rows.append(casme2_row(subject[3:], f"EP{place}_01", 9, 10, 11, emotion))
        elif database == "samm":
            rows.append(samm_row(subject, f"{subject}_1_{place % 100}", 9, 10, 11, emotion))
        else:
            onset = str(10 + 4 * place)
            rows.append(
                casme3_row(subject, "abcdefghijklm"[place % 13], onset, onset, onset, emotion)
            )
    return {"casme2": small.casme2, "samm": small.samm, "casme3": small.casme3}[database](
        root, rows
    )


PUBLISHED = {
    "casme2": ((88, 32, 25), 24),
    "samm": ((92, 26, 15), 28),
    "smic": ((70, 51, 43), 16),
    "casme3": ((457, 55, 187), 88),
}


@pytest.mark.parametrize("database", PUBLISHED)
def test_a_release_with_the_published_counts_passes(tmp_path, database):
    result = read_databases(database, release(tmp_path / database, database))
    per_class, subjects = PUBLISHED[database]
    found = [clip.label for clip in result.clips]
    assert tuple(found.count(label) for label in range(3)) == per_class
    assert len({clip.subject for clip in result.clips}) == subjects
    assert (result.faults, result.deviations) == ((), ())
    assert [clip.key for clip in result.clips] == sorted(clip.key for clip in result.clips)


def test_the_composite_has_442_clips_of_68_subjects(tmp_path):
    for database in ("casme2", "samm", "smic"):
        release(tmp_path / database, database)
    result = read_databases("megc2019", tmp_path)
    assert len(result.clips) == 442
    assert len({(clip.database, clip.subject) for clip in result.clips}) == 68
    assert (result.faults, result.deviations) == ((), ())


def test_deviating_counts_name_the_clips(tmp_path):
    root = release(tmp_path / "smic", "smic")
    micro = root / "SMIC_all_raw" / "HS" / "s3" / "micro" / "negative"
    shutil.rmtree(micro / "s3_ne_07")
    write_frames(micro / "s3_ne_23", ["image000001.bmp", "image000002.bmp"])
    shutil.rmtree(micro.parent / "positive" / "s3_po_11")
    totals, *names = read_databases("smic", root).deviations
    assert "163 clips (70/50/43, 16 subjects) instead of 164 clips (70/51/43, 16" in totals
    assert names == [
        "smic/s03/s03_ne_07 is missing.",
        "smic/s03/s03_po_11 is missing.",
        "smic/s03/s03_ne_23 is not part of the database.",
    ]


def test_deviating_counts_of_a_sheet_name_subject_and_class(tmp_path):
    rows = [casme2_row("01", "EP02_01f"), casme2_row("18", "EP01_01", emotion="surprise")]
    totals, *details = read_databases("casme2", small.casme2(tmp_path / "db", rows)).deviations
    assert totals.startswith("casme2: 2 clips (0/1/1, 2 subjects) instead of 145 clips")
    assert "casme2/sub01: 0 negative clips instead of 2." in details
    assert "casme2/sub18: 1 surprise clips (EP01_01) instead of 0." in details
    assert not any("sub01" in line and "positive" in line for line in details)


def test_a_clip_without_frames_counts_as_missing(tmp_path):
    root = release(tmp_path / "smic", "smic")
    for path in (root / "SMIC_all_raw/HS/s3/micro/negative/s3_ne_07").iterdir():
        path.unlink()
    result = read_databases("smic", root)
    assert codes(result) == {"s03/s03_ne_07": "no_frames"}
    assert result.deviations[1:] == ("smic/s03/s03_ne_07 is missing.",)


def test_a_faulty_clip_that_is_there_still_counts(tmp_path):
    root = release(tmp_path / "smic", "smic")
    folder = root / "SMIC_all_raw/HS/s3/micro/negative"
    (folder / "s3_ne_07" / "image5001.bmp").write_bytes(b"a second frame of one number")
    result = read_databases("smic", root)
    assert codes(result) == {"s03/s03_ne_07": "duplicate_frame"}
    assert result.deviations == ()


# The composite.


@pytest.fixture
def composite(tmp_path):
    small.casme2(tmp_path / "casme2", [casme2_row(), casme2_row("02", emotion="disgust")])
    small.samm(
        tmp_path / "SAMM", [samm_row(), samm_row("032", "032_3_1", 4926, 4930, 4935, "Fear")]
    )
    small.smic(tmp_path / "smic", [("s1_ne_01", "negative", 5), ("s1_po_01", "positive", 9)])
    return tmp_path


LISTED = [
    "casme2,sub01,EP02_01f,1",
    "casme2,sub02,EP02_01f,0",
    "smic,s01,s01_ne_01,0",
    "smic,s01,s01_po_01,1",
    "samm,6,006_1_2,0",
    "samm,32,032_3_1,0",
]


def write_list(root, lines, name="combined_3class_gt.csv", end="\r\n"):
    (root / name).write_text("".join(line + end for line in lines), newline="")


def test_composite_with_and_without_its_list(composite):
    without = read_databases("megc2019", composite)
    assert [clip.key for clip in without.clips] == [
        "casme2/sub01/EP02_01f",
        "casme2/sub02/EP02_01f",
        "samm/006/006_1_2",
        "samm/032/032_3_1",
        "smic/s01/s01_ne_01",
        "smic/s01/s01_po_01",
    ]
    # The second list is complete but for one clip, and has blank lines; the first one wins.
    write_list(composite, [LISTED[0]], "combined_3class_gt-2.csv", "\r\n,,,\r\n")
    write_list(composite, LISTED)
    listed = read_databases("megc2019", composite)
    assert listed.clips == without.clips
    assert listed.deviations == without.deviations
    assert "composite list: combined_3class_gt.csv" in listed.notes


def test_composite_list_names_the_differing_clips(composite):
    other = ["casme2,sub02,EP02_01f,2", "samm,6,006_9_9,0"]
    write_list(composite, [LISTED[0], *other, *LISTED[2:5]], end="\r\n,,,\r\n")
    result = read_databases("megc2019", composite)
    assert {fault.key: fault.code for fault in result.faults} == {
        "casme2/sub02/EP02_01f": "label_conflict",
        "samm/006/006_9_9": "not_found",
    }
    assert result.outside_protocol == {"not in the composite list": 1}
    assert result.deviations[0].startswith("samm/032/032_3_1 is not in the composite list")
    assert [clip.label for clip in result.clips] == [1, 0, -1, 0, 1]
    assert small.outside(result) == ["032/032_3_1"]


def test_composite_list_for_one_of_its_databases(composite):
    write_list(composite, LISTED[1:])
    result = read_databases("casme2", composite / "casme2", [composite / "combined_3class_gt.csv"])
    assert keys(result) == ["sub02/EP02_01f"]
    assert small.outside(result) == ["sub01/EP02_01f"]
    assert result.deviations[0].startswith("casme2/sub01/EP02_01f is not in")


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("casme2,sub01,EP02_01f,3", "line 2: the class is '3'"),
        ("casme3,spNO.1,b_1,0", "line 2: 'casme3,spNO.1,b_1,0' is no entry"),
        ("casme2,../x,EP02_01f,0", "line 2: the subject"),
        ("casme2,sub01,EP02_01f,0", "stands twice, with two classes"),
        ("nonsense", "line 2: 'nonsense' is no entry"),
    ],
)
def test_damaged_composite_lists(composite, line, part):
    write_list(composite, [LISTED[0], line])
    with pytest.raises(InputError) as caught:
        read_databases("megc2019", composite)
    assert part in str(caught.value)


def test_composite_sheets_beside_the_folders_and_missing_folders(composite):
    sheet = "CASME2-coding-20140508.xlsx"
    (composite / "casme2" / sheet).rename(composite / sheet)
    assert len(read_databases("megc2019", composite).clips) == 6
    shutil.rmtree(composite / "smic")
    with pytest.raises(InputError, match="lacks the folder smic"):
        read_databases("megc2019", composite)


# The tables of facts.


def test_the_packaged_tables_are_sound():
    for name in ("known_defects", "corrections", "class_maps", "expected_counts"):
        for row in packaged_table.rows(f"{name}.csv"):
            assert not {None} & {*row, *row.values()}, row
    for row in packaged_table.rows("known_defects.csv"):
        assert row["codes"] == "*" or set(row["codes"].split("|")) <= REASONS.keys()
        assert row["frames"] in ("", "raw", "cropped")
        assert (row["clip"] == "*") == bool(row["most"])
        assert row["reason"]
        assert row["source"]
    cells = [tuple(row.values())[:4] for row in packaged_table.rows("corrections.csv")]
    assert len(set(cells)) == len(cells)
    for row in packaged_table.rows("corrections.csv"):
        assert row["old"] != row["new"]
        assert row["field"] in ("onset", "apex", "offset", "emotion", "protocol")
        assert row["reason"]
        assert row["source"]
    for row in packaged_table.rows("class_maps.csv"):
        assert row["class"] in ("", *CLASS_NAMES)
        assert row["protocol"]
        assert row["emotion"] == row["emotion"].casefold()


@pytest.mark.parametrize(
    ("database", "negative"),
    [
        ("casme2", {"disgust", "repression"}),
        ("samm", {"anger", "contempt", "disgust", "fear", "sadness"}),
        ("casme3", {"disgust", "fear", "anger", "sad"}),
    ],
)
def test_negative_emotions_by_protocol(database, negative):
    rows = [row for row in packaged_table.rows("class_maps.csv") if row["database"] == database]
    found = {
        row["emotion"] for row in rows if labels.classes_of(database, row["emotion"]).label == 0
    }
    assert found == negative


def test_a_damaged_table_of_a_pretend_database(tmp_path):
    root = small.casme2(tmp_path / "db", [casme2_row()])
    small.write_counts(root, "casme2", {"sub01": (0, 1, 0)})
    assert read_databases("casme2", root).deviations == ()
    small.write_counts(root, "casme2", {"sub01": (0, "many", 0)})
    with pytest.raises(InputError, match=r"pretend_database.csv"):
        read_databases("casme2", root)
