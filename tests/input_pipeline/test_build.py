"""Building beside, over and after another build, on disks that fill up: whole or not at all."""

import errno
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import time

import numpy as np
import pretend_maps
import pytest
from command_runner import ROOT, assert_mistake, run_command
from PIL import Image
from stored_clips import few, made, shifted

from input_pipeline.core.clips import Clips
from input_pipeline.core.errors import InputError
from input_pipeline.reports import page, pages
from input_pipeline.storage import loader, tfds_builder

IMPORT = "input_pipeline.import_maps"


@pytest.fixture
def stored(tmp_path) -> tuple[Clips, pathlib.Path]:
    clips = few()
    return clips, tfds_builder.write_data_set(clips, tmp_path).path


# A second build.


def test_the_same_content_is_left_alone(stored, tmp_path):
    clips, path = stored
    before = path.stat().st_ctime_ns
    assert tfds_builder.write_data_set(clips, tmp_path) == (path, False)
    assert path.stat().st_ctime_ns == before


def test_other_content_needs_overwrite(stored, tmp_path):
    clips, path = stored
    other = shifted(clips)
    with pytest.raises(InputError, match="--overwrite"):
        tfds_builder.write_data_set(other, tmp_path)
    assert loader.load("samm", "five", tmp_path).content_hash() == clips.content_hash()
    assert tfds_builder.write_data_set(other, tmp_path, overwrite=True) == (path, True)
    assert loader.load("samm", "five", tmp_path).content_hash() == other.content_hash()
    assert sorted(os.listdir(path.parent)) == ["1.0.0", "build.lock"]


def test_a_failed_overwrite_leaves_the_old_data_set(stored, tmp_path, monkeypatch):
    clips, path = stored
    rename = pathlib.Path.rename

    def failing_for_the_new_one(self: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
        if pathlib.Path(target) == path and self.parent != path.parent:
            raise OSError(errno.EIO, "Input/output error", str(self))
        return rename(self, target)

    monkeypatch.setattr(pathlib.Path, "rename", failing_for_the_new_one)
    with pytest.raises(OSError, match="Input/output"):
        tfds_builder.write_data_set(shifted(clips), tmp_path, overwrite=True)
    monkeypatch.undo()
    assert loader.load("samm", "five", tmp_path).content_hash() == clips.content_hash()
    assert sorted(os.listdir(path.parent)) == ["1.0.0", "build.lock"]


WRITER = """
import dataclasses, os, pathlib, signal, sys, time
import numpy as np
from input_pipeline.maps import synthetic
from input_pipeline.storage import tfds_builder, tfds_folder
clips = synthetic.make("five", "small")
clips = dataclasses.replace(clips, dataset="samm", database_N=np.full(len(clips), "samm"))
clips = dataclasses.replace(clips, flow_NxHxWxC=clips.flow_NxHxWxC * np.float32(0.25))
data_dir, moment = pathlib.Path(sys.argv[1]), sys.argv[2]

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def before_publishing(finished, path):
    if moment == "wait":
        print("building", flush=True)
        sys.stdin.read()
    die()

def between_the_renames(self, target, rename=pathlib.Path.rename):
    if self.name == "1.0.0" and self.parent.parent.parent.name.startswith("incomplete."):
        die()
    return rename(self, target)

if moment == "between the renames":
    pathlib.Path.rename = between_the_renames
else:
    tfds_folder.publish = before_publishing
tfds_builder.write_data_set(clips, data_dir, overwrite=True)
"""


def start_writer(data_dir: pathlib.Path, moment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, data_dir, moment],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen) -> int:
    process.communicate(timeout=60)
    return process.returncode


def test_a_killed_build_is_invisible_and_swept(tmp_path):
    assert end(start_writer(tmp_path, "before publishing")) == -9
    folder = tmp_path / "samm" / "five"
    assert any(name.startswith("incomplete.") for name in os.listdir(folder))
    with pytest.raises(InputError, match="not built yet"):
        loader.load("samm", "five", tmp_path)
    tfds_builder.write_data_set(few(), tmp_path)
    assert sorted(os.listdir(folder)) == ["1.0.0", "build.lock"]


def test_killed_between_the_renames_the_old_data_set_comes_back(stored, tmp_path):
    clips, path = stored
    assert end(start_writer(tmp_path, "between the renames")) == -9
    assert not path.exists()
    assert tfds_builder.write_data_set(clips, tmp_path) == (path, False)
    assert loader.load("samm", "five", tmp_path).content_hash() == clips.content_hash()
    assert sorted(os.listdir(path.parent)) == ["1.0.0", "build.lock"]


def test_two_builds_at_once(stored, tmp_path):
    clips, path = stored
    first = start_writer(tmp_path, "wait")
    assert first.stdout.readline() == "building\n"
    unfinished = [name for name in os.listdir(path.parent) if name.startswith("incomplete.")]
    source = pretend_maps.write_table(
        tmp_path / "source", [row for row in pretend_maps.rows() if row["database"] == "samm"]
    )
    begin = time.monotonic()
    second = run_command(
        IMPORT, f"--source={source}", "--dataset=samm", f"--data_dir={tmp_path}", "--overwrite"
    )
    assert_mistake(second, "being built by another process")
    assert time.monotonic() - begin < 10
    # The running build's folder is not taken for a leftover.
    assert [n for n in os.listdir(path.parent) if n.startswith("incomplete.")] == unfinished
    assert end(first) == -9
    assert loader.load("samm", "five", tmp_path).content_hash() == clips.content_hash()


# Disks.


def test_too_little_space_names_path_and_bytes(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OSError, match=r"\d{7} bytes are needed and 1000 are free") as full:
        tfds_builder.write_data_set(few(), tmp_path)
    assert full.value.errno == errno.ENOSPC
    assert full.value.filename == str(tmp_path / "samm" / "five")


@pytest.mark.parametrize("limit", [1_000, 100_000])
def test_a_disk_that_fills_up_in_the_middle(stored, tmp_path, limit):
    clips, path = stored
    other = shifted(made())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(OSError, match=r"bytes are needed") as full:
            tfds_builder.write_data_set(other, tmp_path, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert full.value.errno == errno.EFBIG
    assert full.value.filename == str(path.parent)
    assert loader.load("samm", "five", tmp_path).content_hash() == clips.content_hash()
    assert sorted(os.listdir(path.parent)) == ["1.0.0", "build.lock"]


def test_an_unusable_data_dir_is_named(tmp_path):
    source = pretend_maps.write_table(tmp_path / "source")
    (tmp_path / "file").write_text("no folder")
    arguments = [f"--source={source}", "--dataset=megc2019"]
    finished = run_command(IMPORT, *arguments, f"--data_dir={tmp_path}/file/data")
    assert_mistake(finished, f"{tmp_path}/file/data", "Not a directory")


# The whole command.


def test_import_end_to_end(tmp_path):
    source = pretend_maps.write_table(tmp_path / "source", pretend_maps.rows_with_landmarks())
    arguments = [f"--source={source}", "--dataset=megc2019", f"--data_dir={tmp_path}"]
    finished = run_command(IMPORT, *arguments)
    assert (finished.status, finished.err) == (0, "")
    for part in (
        "8 clips of 5 subjects",
        "negative 3, positive 3, surprise 2",
        "casme2 3, samm 2, smic 3",
        "from the table's columns",
        "NOTE: MEGC 2019 has 442 clips",
    ):
        assert part in finished.out
    clips = loader.load("megc2019", "five", tmp_path)
    first = clips.flow_whole_NxHxWxC[clips.clip_key_N.index("casme2/sub01/EP02_01f")]
    np.testing.assert_array_equal(first, pretend_maps.values(0))
    page = tmp_path / "megc2019" / "reports" / "five" / "contact_sheet_01.png"
    with Image.open(page) as picture:
        assert picture.size[1] > 8 * 28

    again = run_command(IMPORT, *arguments)
    assert again.status == 0
    assert "already there with the same content" in again.out

    (records,) = (tmp_path / "megc2019" / "five" / "1.0.0").glob("*array_record*")
    damaged = bytearray(records.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    records.write_bytes(damaged)
    assert_mistake(run_command(IMPORT, *arguments), "damaged or incomplete", "--overwrite")
    assert run_command(IMPORT, *arguments, "--overwrite").status == 0
    assert loader.load("megc2019", "five", tmp_path).content_hash() == clips.content_hash()

    (source / "maps" / "sub01_EP02_01f.png").write_bytes(pretend_maps.png(pretend_maps.values(50)))
    assert_mistake(run_command(IMPORT, *arguments), "--overwrite", "another version")
    assert run_command(IMPORT, *arguments, "--overwrite").status == 0
    assert loader.load("megc2019", "five", tmp_path).content_hash() != clips.content_hash()


def test_contact_sheet_shows_maps_and_windows(tmp_path):
    clips = few(pages.ROWS_PER_PAGE + 2)
    (tmp_path / "contact_sheet_03.png").write_bytes(b"of an earlier, longer sheet")
    written = pages.write_pages(clips, tmp_path)
    assert [page.name for page in written] == ["contact_sheet_01.png", "contact_sheet_02.png"]
    assert sorted(os.listdir(tmp_path)) == [page.name for page in written]
    with Image.open(written[1]) as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20)}
    drawn = {tuple(bytes.fromhex(c[1:])) for c in page.REGION_COLOURS.values()}
    assert drawn <= colours
