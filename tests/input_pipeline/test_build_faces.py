"""A data set of faces from a build: beside the maps, the same clips, and exported on demand."""

import pathlib
import zipfile

import made_once
import made_up_faces
import numpy as np
import pytest
import tensorflow_datasets as tfds
from command_runner import assert_mistake, run_command

from input_pipeline.core import face_frames
from input_pipeline.core.errors import InputError
from input_pipeline.maps import from_faces
from input_pipeline.storage import arrays_file, loader, tfds_builder, tfds_folder


def build(folder: pathlib.Path, *flags: str):
    asked = ("--dataset=smic", f"--raw_dir={folder / 'raw'}", f"--data_dir={folder / 'data'}")
    return run_command("input_pipeline.build", *asked, "--flow=farneback", "--layout=whole", *flags)


def made(folder: pathlib.Path) -> None:
    raw = f"--output={folder / 'raw'}"
    assert run_command("input_pipeline.fake_database", "--database=smic", raw).status == 0
    finished = build(folder)
    assert finished.status == 0, finished.err
    plain = {p.name: p.read_bytes() for p in (folder / "data/smic/whole/1.0.0").iterdir()}
    finished = build(folder, "--faces")
    assert finished.status == 0, finished.err
    (folder / "said").write_text(finished.out)
    # The maps' data set is left as it is.
    assert plain == {p.name: p.read_bytes() for p in (folder / "data/smic/whole/1.0.0").iterdir()}


@pytest.fixture(scope="module")
def folder() -> pathlib.Path:
    return made_once.folder("faces", made)


def test_faces_are_stored_beside_the_maps(folder):
    path = folder / "data" / "smic_faces" / "rgb224" / "1.0.0"
    assert path == tfds_folder.dataset_path(folder / "data", "smic", "rgb224")
    assert "licensed material" in (folder / "said").read_text()
    records = sum(p.stat().st_size for p in path.iterdir() if "array_record" in p.name)
    faces = loader.every_clip("smic", "rgb224", folder / "data")
    assert records / len(faces) < 1.6e6
    maps = loader.every_clip("smic", "whole", folder / "data")
    assert faces.clip_key_N == maps.clip_key_N
    assert (faces.label_N == maps.label_N).all()
    assert faces.pretend
    for name, (shape, kind) in face_frames.COLUMNS.items():
        assert faces.faces[name].shape == (len(maps), *shape)
        assert faces.faces[name].dtype == kind


def test_the_maps_made_of_stored_flow_are_the_maps(folder):
    faces = loader.every_clip("smic", "rgb224", folder / "data")
    maps = loader.every_clip("smic", "whole", folder / "data")
    np.testing.assert_array_equal(faces.flow_NxHxWxC, from_faces.maps_of(faces.faces))
    # Flow is stored to half precision: 11 bits of a value.
    assert np.abs(faces.flow_NxHxWxC - maps.flow_NxHxWxC).max() < 0.5
    # Onset and apex stand last: they differ, and the first frame is the onset.
    frames = faces.faces["frames"]
    np.testing.assert_array_equal(frames[:, 0], frames[:, 6])
    assert (frames[:, 6] != frames[:, 7]).any(axis=(1, 2, 3)).all()


def test_the_hash_sees_every_stored_pixel(folder):
    faces = loader.load("smic", "rgb224", folder / "data")
    reference = faces.content_hash()
    for name in ("frames", "flow_px", "frame_numbers"):
        changed = faces.rows(np.arange(len(faces)))
        column = changed.faces[name]
        column[(2, *(0,) * (column.ndim - 1))] += 1
        assert changed.content_hash() != reference
    # Rows keep frames and labels together.
    order = np.arange(len(faces))[::-1]
    assert (faces.rows(order).faces["frames"][0] == faces.faces["frames"][-1]).all()


def test_a_file_of_faces_is_written_on_demand_alone(folder, tmp_path):
    output = tmp_path / "faces.npz"
    asked = ("input_pipeline.export", "--dataset=smic", f"--data_dir={folder / 'data'}")
    asked += ("--layout=rgb224", f"--output={output}")
    assert_mistake(run_command(*asked), "--with_faces", "licensed")
    assert not output.exists()
    assert run_command(*asked, "--with_faces").status == 0
    assert "flow.npy" not in zipfile.ZipFile(output).namelist()
    read = loader.load_arrays(output)
    stored = loader.load("smic", "rgb224", folder / "data")
    assert read.content_hash() == stored.content_hash()
    np.testing.assert_array_equal(read.faces["frames"], stored.faces["frames"])
    np.testing.assert_array_equal(read.flow_NxHxWxC, stored.flow_NxHxWxC)
    # An export of its own is replaced, another file is not.
    assert run_command(*asked, "--with_faces").status == 0


def number_by_number(self):
    """How frames and flow were stored before they were stored as bytes."""
    return {
        name: tfds.features.Tensor(shape=shape, dtype=np.dtype(kind))
        for name, (shape, kind) in face_frames.COLUMNS.items()
    }


def test_a_data_set_from_before_frames_were_bytes_is_read(tmp_path, monkeypatch):
    clips = made_up_faces.clips({"006": 2, "007": 1})
    with monkeypatch.context() as before:
        before.setattr(tfds_builder._FaceFrames, "_pictures", number_by_number)
        tfds_builder.write_data_set(clips, tmp_path / "before")
    tfds_builder.write_data_set(clips, tmp_path / "now")
    described = [
        (tfds_folder.dataset_path(tmp_path / when, "samm", "rgb224") / "features.json").read_text()
        for when in ("before", "now")
    ]
    assert ["bytes" in text.lower() for text in described] == [False, True]
    read = loader.every_clip("samm", "rgb224", tmp_path / "before")
    assert read.content_hash() == clips.content_hash()
    for name in face_frames.COLUMNS:
        np.testing.assert_array_equal(read.faces[name], clips.faces[name])


@pytest.mark.parametrize("fault", ["shape", "kind", "missing"])
def test_a_damaged_file_of_faces_is_refused(folder, tmp_path, fault):
    stored = loader.load("smic", "rgb224", folder / "data").rows(np.arange(2))
    path = tmp_path / "faces.npz"
    arrays_file.save_arrays(stored, path)
    arrays = dict(np.load(path))
    if fault == "shape":
        arrays["frames"] = arrays["frames"][:, :7]
    elif fault == "kind":
        arrays["flow_px"] = arrays["flow_px"].astype(np.int16)
    else:
        del arrays["frame_numbers"]
    np.savez(path, **arrays)
    with pytest.raises(InputError, match="no whole file"):
        loader.load_arrays(path)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--dataset=samm",), ("input_pipeline.build", "--faces", "published maps")),
        (("--dataset=synthetic",), ("synthetic", "frames")),
        (("--dataset=samm", "--phases=2"), ("--phases", "rgb224")),
    ],
)
def test_faces_that_are_not_there_are_one_line(flags, words, tmp_path):
    asked = ("--layout=rgb224", "--with_faces", f"--data_dir={tmp_path}")
    output = f"--output={tmp_path / 'x.npz'}"
    assert_mistake(run_command("input_pipeline.export", *asked, *flags, output), *words)


def test_maps_cannot_be_cut_as_frames(tmp_path):
    for command in ("build", "import_maps"):
        flags = ("--dataset=smic", "--layout=rgb224", f"--data_dir={tmp_path}")
        source = "--raw_dir" if command == "build" else "--source"
        finished = run_command(f"input_pipeline.{command}", *flags, f"{source}={tmp_path}")
        assert_mistake(finished, "--layout=rgb224", "--faces")
