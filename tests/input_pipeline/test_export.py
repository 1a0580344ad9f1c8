"""Exported arrays: the same clips, the same bytes, and nothing trusted on reading."""

import os
import pathlib
import resource
import zipfile

import numpy as np
import pytest
from command_runner import assert_mistake, run_command
from stored_clips import few

from input_pipeline.core.errors import InputError
from input_pipeline.maps import synthetic
from input_pipeline.storage import arrays_file, arrays_loader, loader, tfds_builder


def test_export_round_trip_and_same_bytes(tmp_path):
    clips = few()
    tfds_builder.write_data_set(clips, tmp_path)
    for name in ("one.npz", "two.npz"):
        finished = run_command(
            "input_pipeline.export",
            "--dataset=samm",
            f"--data_dir={tmp_path}",
            f"--output={tmp_path / name}",
        )
        assert (finished.status, finished.err) == (0, "")
        assert "6 clips of samm/five" in finished.out
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    read = loader.load_arrays(tmp_path / "one.npz")
    assert read.content_hash() == clips.content_hash()
    assert (read.dataset, read.layout) == ("samm", "five")
    assert read.provenance == clips.provenance
    np.testing.assert_array_equal(read.extras["landmarks"], clips.extras["landmarks"])


def test_export_of_synthetic(tmp_path):
    output = tmp_path / "s.npz"
    finished = run_command("input_pipeline.export", "--layout=quad", f"--output={output}")
    assert finished.status == 0
    expected = synthetic.make("quad", "small").content_hash()
    assert loader.load_arrays(output).content_hash() == expected


@pytest.mark.parametrize(
    ("output", "part"),
    [("x.npy", "ends in .npz"), ("gone/x.npz", "does not exist"), ("", "ends in .npz")],
)
def test_export_to_nowhere(tmp_path, output, part):
    shown = f"--output={tmp_path / output}" if output else "--output="
    assert_mistake(run_command("input_pipeline.export", shown), part)
    assert os.listdir(tmp_path) == []


def test_export_onto_a_full_disk_keeps_the_old_file(tmp_path):
    output = tmp_path / "x.npz"
    output.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError, match=r"\d+ bytes are needed") as full:
            arrays_file.save_arrays(few(), output)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert full.value.filename == str(output)
    assert output.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x.npz"]


def test_export_replaces_no_file_of_somebody_elses(tmp_path):
    np.savez(tmp_path / "mine.npz", weights=np.ones(3))
    os.mkfifo(tmp_path / "pipe.npz")
    for name in ("mine.npz", "pipe.npz"):
        finished = run_command("input_pipeline.export", f"--output={tmp_path / name}")
        assert_mistake(finished, "exists and is no export of this command")
    with np.load(tmp_path / "mine.npz") as kept:
        assert kept["weights"].tolist() == [1, 1, 1]
    assert (tmp_path / "pipe.npz").is_fifo()


def test_export_replaces_its_own_file_of_the_same_clips_alone(tmp_path):
    output = tmp_path / "s.npz"
    command = ("input_pipeline.export", f"--output={output}")
    assert run_command(*command).status == 0
    before = output.read_bytes()
    assert run_command(*command).status == 0
    assert output.read_bytes() == before
    assert_mistake(run_command(*command, "--layout=quad"), "an export of other clips", "remove")
    assert output.read_bytes() == before


def test_names_of_code_points_that_are_no_characters_are_refused(exported):
    odd = np.frombuffer(b"\xff\xff\xff\x7f", "<U1")
    for name, array in (("dataset", odd.reshape(())), ("clip", np.repeat(odd, 6))):
        resaved(exported, **{name: array})
        with pytest.raises(InputError, match=r"x\.npz"):
            loader.load_arrays(exported)


def resaved(path: pathlib.Path, **changes: np.ndarray | None) -> None:
    with np.load(path) as file:
        arrays = dict(file) | changes
    kept = {name: array for name, array in arrays.items() if array is not None}
    np.savez(path, **kept)


@pytest.fixture
def exported(tmp_path) -> pathlib.Path:
    arrays_file.save_arrays(few(), tmp_path / "x.npz")
    return tmp_path / "x.npz"


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"label": None}, "lacks the arrays label"),
        ({"subject": np.array(["a", None] * 3, object)}, "Python objects"),
        ({"flow": np.zeros((6, 28, 28), np.float32)}, r"\(6, 28, 28\)"),
        ({"flow": np.zeros((5, 28, 28, 3), np.float32)}, r"\(5, 28, 28, 3\)"),
        ({"label": np.zeros(6)}, "label is float64"),
        ({"label": np.full(6, 7)}, "label 7"),
        ({"layout": np.array("six")}, "six"),
        ({"extra_landmarks": np.zeros((2, 5, 2))}, "extra_landmarks"),
        ({"flow": np.full((6, 28, 28, 3), np.nan, np.float32)}, "NaN"),
        ({"flow": np.zeros((6, 28, 28, 3), np.float32)}, "content hash"),
        ({"provenance": np.array("{"), "file_hash": None}, None),
        # Outside content_hash, which tells equal input to training; the file's own hash covers it.
        ({"provenance": np.array('{"flow": "another"}')}, "something beside them was changed"),
        ({"dataset": np.array("smic")}, "something beside them was changed"),
        ({"extra_emotion": np.array(["fear"] * 6)}, "something beside them was changed"),
        ({"pretend": np.array(False)}, "something beside them was changed"),
        ({"extra_new": np.zeros(6)}, "something beside them was changed"),
        ({"file_hash": np.array("0" * 64)}, "something beside them was changed"),
        ({"pretend": np.array("no")}, "pretend is <U2"),
    ],
)
def test_arrays_that_are_no_export(exported, changes, part):
    resaved(exported, **changes)
    if part is None:
        assert loader.load_arrays(exported).provenance == {}
        return
    with pytest.raises(InputError, match=part) as refused:
        loader.load_arrays(exported)
    assert "\n" not in str(refused.value)


def test_an_export_without_the_files_own_hash_is_read(exported):
    resaved(exported, file_hash=None, provenance=np.array('{"flow": "another"}'))
    assert loader.load_arrays(exported).provenance == {"flow": "another"}


def test_a_provenance_that_no_file_can_hold_is_made_plain(exported):
    resaved(exported, file_hash=None, provenance=np.array(r'{"flow": "\ud800", "n": 3}'))
    assert loader.load_arrays(exported).provenance == {"flow": "?", "n": "3"}


def test_a_wrong_hash_is_one_line(exported):
    resaved(exported, dataset=np.array("smic"))
    finished = run_command("experiments.loso", f"--arrays={exported}", "--dry_run")
    assert_mistake(finished, "something beside them was changed")


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        # The last array of the file: all others would have been read before it.
        ({"extra_landmarks": np.zeros((2, 5, 2))}, "extra_landmarks"),
        ({"extra_big": np.zeros((6, 1 << 14), np.float32)}, None),
        ({"extra_big": np.zeros((6, 1 << 15), np.float32)}, "131072 bytes for one entry"),
        ({"clip": np.array(["c" * 20_000] * 6)}, "80000 bytes for one entry"),
        ({"dataset": np.array("samm" * 20_000)}, "bytes for one entry"),
    ],
)
def test_no_array_is_read_before_all_headers_fit(exported, monkeypatch, changes, part):
    resaved(exported, file_hash=None, **changes)
    read = []
    real = np.lib.format.read_array
    monkeypatch.setattr(
        np.lib.format, "read_array", lambda *args, **kw: (read.append(args), real(*args, **kw))[1]
    )
    if part is None:
        assert len(loader.load_arrays(exported)) == 6
        assert read
        return
    with pytest.raises(InputError, match=part):
        loader.load_arrays(exported)
    assert not read


@pytest.mark.parametrize("data", [b"", b"not a zip", b"PK\x05\x06" + bytes(18)])
def test_files_that_are_no_archive(tmp_path, data):
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(InputError, match="export"):
        loader.load_arrays(tmp_path / "x.npz")
    with pytest.raises(InputError, match="does not exist"):
        loader.load_arrays(tmp_path / "y.npz")


def test_cut_and_flipped_exports_are_refused(exported):
    data = exported.read_bytes()
    for kept in (10, len(data) // 2, len(data) - 1):
        exported.write_bytes(data[:kept])
        with pytest.raises(InputError):
            loader.load_arrays(exported)
    expected = None
    for position in np.random.default_rng(0).integers(0, 8 * len(data), 60):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        exported.write_bytes(flipped)
        try:
            read = loader.load_arrays(exported)
        except InputError:
            continue
        expected = expected or read.content_hash()
        assert read.content_hash() == expected


def npy(header: str, body: bytes) -> bytes:
    padded = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded + body


def test_archives_that_promise_more_than_they_hold(exported):
    with zipfile.ZipFile(exported) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000,), }"
    members["flow.npy"] = npy(header, bytes(64))
    with zipfile.ZipFile(exported, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(InputError, match="not as large as its header says"):
        loader.load_arrays(exported)


def test_archive_bomb(exported, monkeypatch):
    monkeypatch.setattr(arrays_loader, "_MOST_BYTES", 10_000)
    with pytest.raises(InputError, match="allowed are 10000"):
        loader.load_arrays(exported)
