"""Stored data sets: what is written comes back; poison is never stored, damage is noticed.

Modules tried here without being imported:
input_pipeline.storage.stored_clips,
input_pipeline.storage.arrays_loader.
"""

import dataclasses
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from command_runner import ROOT
from stored_clips import few, made

from input_pipeline.core.clips import CLASS_NAMES, Clips, sorted_and_checked
from input_pipeline.core.errors import InputError
from input_pipeline.core.map_form import FORMS
from input_pipeline.storage import loader, tfds_builder, tfds_folder


@pytest.fixture
def stored(tmp_path) -> tuple[Clips, pathlib.Path]:
    clips = few()
    return clips, tfds_builder.write_data_set(clips, tmp_path).path


# Round trips.


def test_what_is_written_comes_back(tmp_path):
    clips = made()
    written = tfds_builder.write_data_set(clips, tmp_path)
    assert written == (tmp_path / "samm" / "five" / "1.0.0", True)
    read = loader.load("samm", "five", tmp_path)
    assert read.content_hash() == clips.content_hash()
    assert read.clip_key_N == clips.clip_key_N
    assert read.provenance == clips.provenance
    np.testing.assert_array_equal(read.flow_NxHxWxC, clips.flow_NxHxWxC)
    np.testing.assert_array_equal(read.extras["landmarks"], clips.extras["landmarks"])
    assert read.extras["emotion"].tolist() == clips.extras["emotion"].tolist()
    assert read.extras["label7"].tolist() == [-1] * len(clips)
    assert read.extras["flow_max"].dtype == np.float32


def test_as_the_contract_names_it(stored):
    clips, path = stored
    builder = tfds.builder_from_directory(path)
    assert builder.info.full_name == "samm/five/1.0.0"
    assert list(builder.info.splits) == ["clips"]
    assert builder.info.file_format.value == "array_record"
    assert builder.info.features["label"].names == list(CLASS_NAMES)
    assert builder.info.metadata["content_hash"] == clips.content_hash()
    assert {"flow", "flow_whole", "label", "database", "subject", "clip", "landmarks"} <= set(
        builder.info.features
    )
    # Records lie in key order.
    keys = [record["clip"].decode() for record in builder.as_data_source("clips")]
    assert keys == clips.clip_N.tolist()


@pytest.mark.parametrize("builder", sorted(tfds_builder._BUILDERS))
def test_every_data_set_is_registered_with_all_layouts(builder):
    layouts = ["rgb224"] if builder.endswith("_faces") else sorted(FORMS)
    assert sorted(tfds.builder_cls(builder).builder_configs) == layouts


def test_tfds_finds_the_data_set_beside_reports_and_lock(stored, tmp_path):
    (tmp_path / "samm" / "reports" / "five").mkdir(parents=True)
    builder = tfds.builder("samm/five", data_dir=tmp_path)
    assert len(builder.as_data_source("clips")) == 6


def test_tfds_alone_says_which_command_builds(tmp_path):
    builder = tfds.builder("samm/quad", data_dir=tmp_path)
    with pytest.raises(InputError, match=r"python -m input_pipeline\.import_maps"):
        builder.download_and_prepare()


def test_input_order_does_not_matter(tmp_path):
    clips = few(20)
    order = np.random.default_rng(0).permutation(20)
    columns = {
        name: getattr(clips, name)[order]
        for name in ("flow_NxHxWxC", "flow_whole_NxHxWxC", "label_N", "database_N", "subject_N")
    }
    extras = {name: column[order] for name, column in clips.extras.items()}
    mixed = dataclasses.replace(clips, **columns, clip_N=clips.clip_N[order], extras=extras)
    for name, version in (("one", clips), ("two", mixed)):
        tfds_builder.write_data_set(version, tmp_path / name)
    one, two = (loader.load("samm", "five", tmp_path / name) for name in ("one", "two"))
    assert one.content_hash() == two.content_hash()
    assert one.clip_key_N == two.clip_key_N
    np.testing.assert_array_equal(one.extras["landmarks"], two.extras["landmarks"])


def test_no_tensorflow_is_loaded(tmp_path):
    code = (
        "import dataclasses, pathlib, sys\n"
        "from input_pipeline.maps import synthetic\n"
        "from input_pipeline.storage import loader, tfds_builder\n"
        "clips = dataclasses.replace(synthetic.make('five', 'small'), dataset='samm')\n"
        "tfds_builder.write_data_set(clips, pathlib.Path(sys.argv[1]))\n"
        "loader.load('samm', 'five', pathlib.Path(sys.argv[1]))\n"
        "print('tensorflow' in sys.modules, 'jax' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("False False\n", "")


# Poison.


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 255.5])
@pytest.mark.parametrize("name", ["flow_NxHxWxC", "flow_whole_NxHxWxC"])
def test_poisoned_values_are_never_stored(tmp_path, name, value):
    clips = few()
    maps = getattr(clips, name).copy()
    maps[3, 5, 5, 1] = value
    with pytest.raises(InputError, match=r"0\.\.255"):
        tfds_builder.write_data_set(dataclasses.replace(clips, **{name: maps}), tmp_path)
    assert not (tmp_path / "samm").exists()


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"label_N": np.array([0, 1, 2, 3, 0, 0])}, "label 3"),
        ({"clip_N": np.array(["c"] * 6), "subject_N": np.array(["s"] * 6)}, "samm/s/c twice"),
        ({"flow_NxHxWxC": np.zeros((6, 28, 28), np.float32)}, "shape"),
    ],
)
def test_other_poison(change, part):
    with pytest.raises(InputError, match=part):
        sorted_and_checked(dataclasses.replace(few(), **change), where="the test")


def test_metadata_names_versions_but_no_paths(stored, tmp_path):
    _, path = stored
    text = (path / "metadata.json").read_text(encoding="utf-8")
    told = {"content_hash", "whole_hash", "class_names", "every_clip"}
    assert set(json.loads(text)) == told | {"pretend", "provenance", "versions"}
    for name in path.iterdir():
        assert str(tmp_path).encode() not in name.read_bytes()
    assert tfds_folder.stored_metadata(path)["versions"]["numpy"] == np.__version__


# Reading what is missing or damaged.


def test_unknown_and_unbuilt_data_sets(tmp_path):
    with pytest.raises(InputError, match="known are synthetic, casme2, samm, smic, casme3"):
        loader.load("mmew", "five", tmp_path)
    with pytest.raises(InputError) as unbuilt:
        loader.load("casme3", "quad", tmp_path)
    flags = f"--dataset=casme3 --data_dir={tmp_path} --layout=quad"
    assert f"python -m input_pipeline.import_maps --source=DIR {flags}" in str(unbuilt.value)
    assert f"python -m input_pipeline.build --raw_dir=DIR {flags}" in str(unbuilt.value)


def record_file(path: pathlib.Path) -> pathlib.Path:
    return next(path.glob("*.array_record*"))


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
def test_cut_records_are_refused(stored, tmp_path, kept):
    _, path = stored
    data = record_file(path).read_bytes()
    record_file(path).write_bytes(data[: int(kept * len(data))])
    with pytest.raises(InputError, match=r"damaged or incomplete.*--overwrite"):
        loader.load("samm", "five", tmp_path)


def test_flipped_bits_never_change_the_clips(stored, tmp_path):
    clips, path = stored
    data = record_file(path).read_bytes()
    refusals = []
    for position in np.random.default_rng(0).integers(0, 8 * len(data), 60):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        record_file(path).write_bytes(flipped)
        try:
            read = loader.load("samm", "five", tmp_path)
        except InputError as error:
            refusals.append(str(error))
        else:
            assert read.content_hash() == clips.content_hash()
    assert refusals
    assert not any("\n" in refusal for refusal in refusals)


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json", "metadata.json"])
@pytest.mark.parametrize("content", [None, b"", b"{", b"[1]"])
def test_damaged_metadata_is_refused(stored, tmp_path, name, content):
    _, path = stored
    if content is None:
        (path / name).unlink()
    else:
        (path / name).write_bytes(content)
    with pytest.raises(InputError, match="damaged or incomplete"):
        loader.load("samm", "five", tmp_path)
