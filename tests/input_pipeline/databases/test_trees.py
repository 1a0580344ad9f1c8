"""Trees, clip folders and numbered frames as they lie on disk after unzipping."""

import os
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_releases import write_frames

from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.core.errors import InputError
from input_pipeline.databases import trees
from input_pipeline.databases.rows import ReadResult
from input_pipeline.databases.source_folder import SourceFolder
from input_pipeline.databases.trees import FrameName

NAME = FrameName(r"(?:reg_)?img(\d+)", "img59.jpg")
SUBJECT = re.compile(r"sub\d\d", re.IGNORECASE)


@pytest.fixture(autouse=True)
def _fresh():
    trees.forget_listings()


def numbers(folder, within=None):
    frames = trees.numbered_frames(folder, NAME, within)
    return [number for number, _ in frames]


def fault_of(folder):
    with pytest.raises(ClipFault) as caught:
        numbers(folder)
    return caught.value


# Frames of a folder.


def test_frames_ascend_by_number_not_by_text(tmp_path):
    write_frames(tmp_path / "c", ["img98.jpg", "img99.jpg", "img100.jpg", "img101.jpg", "img9.jpg"])
    assert numbers(tmp_path / "c") == [9, 98, 99, 100, 101]
    assert numbers(tmp_path / "c", within=(99, 100)) == [99, 100]


def test_any_padding_suffix_and_case_and_stray_files(tmp_path):
    frames = ["img009999.BMP", "IMG010000.jpeg", "img10001.PNG", "img17581039.jpg"]
    stray = [
        "Thumbs.db",
        ".DS_Store",
        "._img5.jpg",
        "Desktop - Shortcut.lnk",
        "img7.txt",
        "img.jpg",
    ]
    stray += ["img7.jpg.part", "img7 (1).jpg", "img-3.jpg", "img７.jpg", "notes.jpg"]
    write_frames(tmp_path / "c", frames + stray)
    assert numbers(tmp_path / "c") == [9999, 10000, 10001, 17581039]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None
)
@given(st.dictionaries(st.integers(0, 10**8), st.integers(1, 9), min_size=1, max_size=12))
def test_every_number_of_any_width_is_found_once(tmp_path_factory, width_of):
    folder = tmp_path_factory.mktemp("clip")
    write_frames(folder, [f"img{number:0{width}d}.jpg" for number, width in width_of.items()])
    assert numbers(folder) == sorted(width_of)


def test_two_files_of_one_number(tmp_path):
    write_frames(tmp_path / "c", ["img46.jpg", "img046.jpg", "img47.jpg"])
    fault = fault_of(tmp_path / "c")
    assert fault.code == "duplicate_frame"
    assert "'img046.jpg' and 'img46.jpg'" in fault.detail


def test_folders_without_frames(tmp_path):
    write_frames(tmp_path / "empty", [])
    assert fault_of(tmp_path / "empty").code == "no_frames"
    write_frames(tmp_path / "stray", ["Thumbs.db", "frame7.jpg"])
    fault = fault_of(tmp_path / "stray")
    assert fault.code == "no_frames"
    assert "Thumbs.db" in fault.detail
    assert "img59.jpg" in fault.detail


def test_what_bears_a_frames_name_is_never_passed_over(tmp_path):
    # Its reader names the fault; passing over it would let a neighbour stand in silently.
    (tmp_path / "c" / "img46.jpg").mkdir(parents=True)
    os.mkfifo(tmp_path / "c" / "img47.jpg")
    (tmp_path / "c" / "img48.jpg").symlink_to("gone.jpg")
    assert numbers(tmp_path / "c") == [46, 47, 48]


def test_links_to_frames_and_folders_are_followed(tmp_path):
    raw = tmp_path / "raw"
    write_frames(raw / "c", ["img1.jpg"])
    write_frames(tmp_path / "away", ["img3.jpg"])
    (raw / "c" / "img2.jpg").symlink_to("img1.jpg")
    (raw / "c" / "img3.jpg").symlink_to(tmp_path / "away" / "img3.jpg")
    (raw / "d").symlink_to("c")
    assert numbers(raw / "d") == [1, 2, 3]


def test_nearest_takes_the_earlier_of_two(tmp_path):
    frames = tuple((number, tmp_path / str(number)) for number in (3, 7, 9))
    assert trees.nearest(frames, 8)[0] == 7
    assert trees.nearest(frames, 1)[0] == 3


# Folders.


def test_folders_by_name_whatever_the_case(tmp_path):
    (tmp_path / "spNo.1").mkdir()
    (tmp_path / "a file").write_text("x")

    def spelling(name):
        return name.casefold().replace(".", "")

    assert trees.folders_named(tmp_path, "SPNO1", spelling) == (tmp_path / "spNo.1",)
    assert trees.folders_named(tmp_path, "spno.1") == (tmp_path / "spNo.1",)
    assert trees.folders_named(tmp_path, "a file") == ()
    # A name is compared, never joined: these are not listed.
    for name in ("..", ".", "spNo.1/..", "/etc", ""):
        assert trees.folders_named(tmp_path, name) == ()


def chosen(raw_dir, frames):
    found = SourceFolder(raw_dir, SUBJECT.fullmatch).trees(frames)
    return ["/".join(tree.path.relative_to(raw_dir).parts) for tree in found]


def test_doubled_roots_and_the_three_trees(tmp_path):
    raw = tmp_path / "casme2"
    trees = ["CASME2-RAW/CASME2-RAW", "CASME2_RAW_selected/CASME2_RAW_selected", "Cropped/Cropped"]
    for tree in trees:
        write_frames(raw / tree / "sub01" / "EP02_01f", ["img1.jpg"])
    write_frames(raw / "__MACOSX" / "CASME2-RAW" / "sub01" / "EP02_01f", ["img1.jpg"])
    assert chosen(raw, "raw") == trees[:2]
    assert chosen(raw, "cropped") == trees[2:]
    # The raw folder may be the tree itself.
    assert chosen(raw / "Cropped" / "Cropped", "cropped") == [""]


def test_the_raw_folders_own_name_counts_last(tmp_path):
    raw = tmp_path / "selected databases"
    write_frames(raw / "RAW" / "sub01" / "c", ["img1.jpg"])
    folders = trees.outer_folders(raw, SUBJECT.fullmatch)
    assert [trees.kind_of(f.below, raw.name) for f in folders if f.subjects] == ["raw"]
    assert trees.kind_of(".", raw.name) == "selected"


def test_a_tree_that_is_not_there_names_what_is(tmp_path):
    raw = tmp_path / "db"
    write_frames(raw / "Cropped" / "sub01" / "c", ["img1.jpg"])
    with pytest.raises(InputError, match=r"no raw frames \(found only Cropped\).*--frames=cropped"):
        chosen(raw, "raw")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no folder of a subject is there"):
        chosen(tmp_path / "empty", "raw")
    with pytest.raises(InputError, match="does not exist"):
        chosen(tmp_path / "gone", "raw")


def test_links_above_the_subjects_are_followed_once(tmp_path):
    raw, away = tmp_path / "db", tmp_path / "away"
    write_frames(away / "RAW" / "sub01" / "c", ["img1.jpg"])
    (away / "back").symlink_to(away)
    (away / "again").symlink_to(raw)
    write_frames(raw / "deep" / "RAW" / "sub02" / "c", ["img1.jpg"])
    (raw / "a_link_inside").symlink_to(raw / "deep")
    (raw / "outside").symlink_to(away)
    (raw / "outside_too").symlink_to(away / "RAW")
    (raw / "loop").symlink_to(raw)
    assert chosen(raw, "raw") == ["deep/RAW", "outside_too"]


def test_links_that_cannot_be_followed_are_named(tmp_path):
    raw = tmp_path / "db"
    write_frames(raw / "RAW" / "sub01" / "c", ["img1.jpg"])
    (raw / "gone").symlink_to(tmp_path / "nowhere")
    (raw / "self").symlink_to("self")
    (raw / "up").symlink_to(tmp_path)
    folders = trees.outer_folders(raw, SUBJECT.fullmatch)
    assert folders[0].unfollowed == ("gone", "self", "up")
    source = SourceFolder(raw, SUBJECT.fullmatch)
    notes = source.noted(ReadResult(), (), source.trees("raw")).notes
    assert [note.split(" (")[0] for note in notes] == [
        "frames: db/RAW",
        "link not followed: db/gone",
        "link not followed: db/self",
        "link not followed: db/up",
    ]


def test_a_folder_that_is_no_database(tmp_path):
    for number in range(2001):
        (tmp_path / f"folder{number}").mkdir()
    with pytest.raises(InputError, match="more than 2000 folders"):
        chosen(tmp_path, "raw")
