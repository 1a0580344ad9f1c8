"""A build from a pretend database: the data set, its repeat, and what becomes of bad clips."""

import csv
import json
import os
import pathlib
import re
import shutil

import injected_faults
import numpy as np
import pytest
from command_runner import assert_mistake, run_command
from native_builds import NAME, build, built_smic, clips, records
from small_runs import SHALLOW

from input_pipeline.flow import strain
from input_pipeline.storage import loader


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return shutil.copytree(built_smic(), tmp_path_factory.mktemp("built") / "data")


def report(data_dir: pathlib.Path) -> dict[str, dict[str, str]]:
    path = data_dir / "smic" / "reports" / "five" / "clips.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return {row["clip"]: row for row in csv.DictReader(file)}


def on_disk(clip: str) -> str:
    """s01_ne_01 of the composite list is s1_ne_01 in the release."""
    subject, rest = clip.split("_", 1)
    return f"s{int(subject[1:])}_{rest}"


def a_frame(raw_dir: pathlib.Path, clip: str, place: int) -> pathlib.Path:
    (folder,) = raw_dir.glob(f"**/SMIC_all_raw/HS/**/{on_disk(clip)}")
    frames = [path for path in folder.iterdir() if path.suffix == ".bmp"]
    return sorted(frames, key=lambda path: int("".join(filter(str.isdigit, path.stem))))[place]


def test_the_data_set_holds_the_clips_with_their_labels_and_provenance(built):
    found = clips(built)
    assert len(found) == 10
    assert set(found.database_N) == {"smic"}
    assert set(found.label_N.tolist()) == {0, 1, 2}
    for key, label in zip(found.clip_key_N, found.label_N, strict=True):
        assert key.split("/")[2].split("_")[1] == ("ne", "po", "sur")[label]
    assert found.provenance["flow"] == "farneback"
    assert found.provenance["opencv"].startswith("4.11")
    assert found.provenance["smic_apex"] == "offset"
    # Normalised over the whole face: every channel of it spans nearly 0..255 before averaging.
    assert found.flow_whole_NxHxWxC.min() >= 0
    assert found.flow_whole_NxHxWxC.max() > 200
    assert np.ptp(found.flow_NxHxWxC, axis=(1, 2)).min() > 0
    assert (found.extras["detector_score"] > 0).all()
    assert (found.extras["flow_max"] > 0.5).all()


def test_the_report_has_a_line_for_every_clip(built):
    lines = report(built)
    assert sorted(lines) == clips(built).clip_key_N
    assert {row["status"] for row in lines.values()} == {"used"}
    assert all("apex_is_offset" in row["rules"].split() for row in lines.values())
    text = (built / "smic" / "reports" / "five" / "build_report.md").read_text()
    assert "10 clips of" in text
    assert "| apex_is_offset | 10 |" in text
    for picture in ("contact_sheet_01.png", "faces_smic_01.png"):
        data = (built / "smic" / "reports" / "five" / picture).read_bytes()
        assert data.startswith(b"\x89PNG")


def test_the_mark_of_pretend_data_goes_into_report_data_set_export_and_run(built, tmp_path):
    reports = built / "smic" / "reports" / "five"
    assert "PRETEND" in (reports / "build_report.md").read_text().splitlines()[0]
    metadata = json.loads((built / "smic" / "five" / "1.0.0" / "metadata.json").read_text())
    assert metadata["pretend"] is True
    assert clips(built).pretend
    npz, run = tmp_path / "smic.npz", tmp_path / "run"
    names = ("--dataset=smic", f"--data_dir={built}", f"--output={npz}")
    assert run_command("input_pipeline.export", *names).status == 0
    assert loader.load_arrays(npz).pretend
    tiny = (*SHALLOW, "--epochs=1")
    finished = run_command("experiments.loso", f"--arrays={npz}", f"--workdir={run}", *tiny)
    assert finished.status == 0, finished.err
    assert "PRETEND" in finished.out
    stored = json.loads((run / "config.json").read_text())
    assert stored["pretend"] is True
    assert "pretend" not in stored["config"]
    for name in ("summary.md", "scores.csv", "scores.tex", "subjects.csv"):
        assert "PRETEND" in (run / name).read_text(), name


def test_one_and_many_workers_and_a_repeat_give_the_same_bytes(pretend_smic, built, tmp_path):
    for workers in (1, 4):
        data_dir = tmp_path / str(workers)
        assert build(pretend_smic, data_dir, f"--workers={workers}").status == 0
        assert clips(data_dir).content_hash() == clips(built).content_hash()
        assert records(data_dir) == records(built)
    again = build(pretend_smic, tmp_path / "1")
    assert again.status == 0
    assert "already there with the same content" in again.out


def test_file_order_and_place_do_not_matter(pretend_smic, built, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(pretend_smic, copy)
    # Written anew in another order: directory listings differ, names and bytes do not.
    for path in sorted(copy.rglob("*.bmp"), reverse=True):
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)
    assert build(copy, tmp_path / "data").status == 0
    assert clips(tmp_path / "data").content_hash() == clips(built).content_hash()


def test_another_layout_needs_no_new_flow(pretend_smic, built):
    cache = {path.name: path.stat().st_mtime_ns for path in (built / "map_cache").iterdir()}
    assert build(pretend_smic, built, "--layout=quad").status == 0
    assert {p.name: p.stat().st_mtime_ns for p in (built / "map_cache").iterdir()} == cache
    five, quad = clips(built), clips(built, "quad")
    np.testing.assert_array_equal(five.flow_whole_NxHxWxC, quad.flow_whole_NxHxWxC)
    assert not np.array_equal(five.flow_NxHxWxC, quad.flow_NxHxWxC)


def test_the_cache_keeps_the_flow_in_full_resolution(built):
    with np.load(next((built / "map_cache").glob("*.npz"))) as stored:
        flow_SxSxC = stored["flow_SxSxC"]
    assert flow_SxSxC.shape == (224, 224, 3)
    assert flow_SxSxC.dtype == np.float32
    u, v = flow_SxSxC[..., 0], flow_SxSxC[..., 1]
    # Stored in float32.
    np.testing.assert_allclose(flow_SxSxC[..., 2], strain.optical_strain(u, v), rtol=1e-6)


def test_maps_of_another_clip_are_made_again_and_counted(pretend_smic, built):
    cache = sorted((built / "map_cache").glob("*.npz"))
    whole = {path.name: path.read_bytes() for path in cache}
    shutil.copy(cache[0], cache[1])
    finished = build(pretend_smic, built, "--workers=1")
    assert finished.status == 0, finished.err
    assert "map cache: 1 stored maps are those of another clip" in finished.out
    assert "already there with the same content" in finished.out
    assert {path.name: path.read_bytes() for path in cache} == whole


@pytest.fixture
def damaged(pretend_smic, tmp_path):
    """A copy of the pretend database with three bad clips."""
    copy = tmp_path / "damaged"
    shutil.copytree(pretend_smic, copy)
    names = [key.split("/")[2] for key in sorted(report_keys(pretend_smic))]
    cut = a_frame(copy, names[0], 0)
    cut.write_bytes(cut.read_bytes()[:1000])
    empty = a_frame(copy, names[1], -1)
    empty.write_bytes(b"")
    html = a_frame(copy, names[2], 0)
    html.write_text("<html>404</html>")
    return copy, names


def report_keys(raw_dir: pathlib.Path) -> list[str]:
    from input_pipeline.databases.reading import read_databases

    return [clip.key for clip in read_databases("smic", raw_dir).clips]


def test_bad_clips_are_all_listed_and_nothing_is_written(damaged, tmp_path):
    copy, names = damaged
    finished = build(copy, tmp_path / "data")
    assert_mistake(finished, "3 clips cannot be used", names[0], "--skip_bad")
    assert not (tmp_path / "data" / "smic" / "five").exists()
    bad = {key: row for key, row in report(tmp_path / "data").items() if row["status"] == "bad"}
    assert [row["code"] for _, row in sorted(bad.items())] == [
        "frame_damaged",
        "frame_empty",
        "frame_format",
    ]
    assert all(row["detail"] for row in bad.values())


def test_skip_bad_leaves_them_out_and_counts_them(damaged, built, tmp_path):
    copy, names = damaged
    finished = build(copy, tmp_path / "data", "--skip_bad")
    assert finished.status == 0, finished.err
    assert "3 clips cannot be used, 0 of them known defects" in finished.out
    found, whole = clips(tmp_path / "data"), clips(built)
    assert [key for key in whole.clip_key_N if key not in found.clip_key_N] == [
        key for key in whole.clip_key_N if key.split("/")[2] in names[:3]
    ]
    assert np.isfinite(found.flow_NxHxWxC).all()
    assert (found.flow_NxHxWxC.reshape(len(found), -1).max(axis=1) > 0).all()


def test_check_only_writes_a_report_and_no_maps(pretend_smic, damaged, tmp_path):
    finished = build(pretend_smic, tmp_path / "whole", "--check_only")
    assert finished.status == 0, finished.err
    assert "no flow was computed" in finished.out
    assert sorted(os.listdir(tmp_path / "whole")) == ["smic"]
    assert os.listdir(tmp_path / "whole" / "smic") == ["reports"]
    assert_mistake(build(damaged[0], tmp_path / "bad", "--check_only"), "3 clips cannot be used")


def test_counts_that_deviate_stop_the_build_unless_accepted(pretend_smic, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(pretend_smic, copy)
    key = sorted(report_keys(copy))[0]
    for folder in list(copy.rglob(on_disk(key.split("/")[2]))):
        shutil.rmtree(folder)
    refused = build(copy, tmp_path / "data")
    assert_mistake(
        refused, "deviate from the published counts", key.split("/")[1], "--accept_counts"
    )
    accepted = build(copy, tmp_path / "data", "--accept_counts")
    assert accepted.status == 0, accepted.err
    assert len(clips(tmp_path / "data")) == 9


def test_a_full_disk_is_said_with_path_and_bytes(pretend_smic, tmp_path):
    finished = build(
        pretend_smic,
        tmp_path,
        "--workers=1",
        prepare=injected_faults.no_more_than_2000_bytes_a_file,
    )
    assert_mistake(finished, str(tmp_path / "map_cache"), "bytes are needed")
    assert not (tmp_path / "smic" / "five").exists()


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["--raw_dir is missing"]),
        (["--dataset=smic"], ["--raw_dir is missing"]),
        (["--raw_dir=/nonexistent"], ["--dataset is missing"]),
        (["--dataset=smic", "--raw_dir=/nonexistent"], ["/nonexistent", "does not exist"]),
        (["--dataset=synthetic", "--raw_dir=x"], ["--dataset=synthetic"]),
        (["--dataset=smic", "--raw_dir=x", "--workers=-1"], ["--workers=-1"]),
        (["--dataset=smic", "--raw_dir=x", "--strain=made_up"], ["made_up"]),
        (["--dataset=smic", "--raw_dir=x", "--spot_seconds=0"], ["spot_seconds is 0"]),
        (["--dataset=smic", "--raw_dir=x", "--flow=lucas"], ["--flow=lucas"]),
        (["--dataset=smic", "--raw_dir=x", "stray"], ["unexpected argument 'stray'"]),
    ],
)
def test_bad_flags(arguments, parts):
    assert_mistake(run_command(NAME, *arguments), *parts)


@pytest.mark.parametrize(
    ("module", "own"),
    [
        (
            NAME,
            {
                "raw_dir",
                "annotations",
                "frames",
                "faces",
                "normalise",
                "phases",
                "map_size",
                "check_only",
                "skip_bad",
                "accept_counts",
                "flow",
                "strain",
                "smic_apex",
                "zero_motion",
                "spot_seconds",
                "workers",
                "overwrite",
            },
        ),
        ("input_pipeline.import_maps", {"source", "overwrite"}),
        ("input_pipeline.compare", {"maps"}),
    ],
)
def test_help_lists_the_command_s_own_flags(module, own):
    finished = run_command(module, "--help")
    assert finished.status == 0
    listed = re.findall(r"^  --(\w+):", finished.out, flags=re.MULTILINE)
    assert set(listed) == {"dataset", "data_dir", "layout"} | own


def test_a_built_data_set_trains(built, tmp_path):
    finished = run_command(
        "experiments.loso",
        "--dataset=smic",
        f"--data_dir={built}",
        *SHALLOW,
        "--epochs=1",
        "--learning_rate=1e-3",
        f"--workdir={tmp_path / 'run'}",
    )
    assert finished.status == 0, finished.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["pooled"]["n"] == 10
