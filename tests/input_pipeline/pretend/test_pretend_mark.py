"""Made-up data are called so wherever they go: data set, export, run, reports and pictures.

Modules tried here without being imported:
input_pipeline.pretend.database.
"""

import dataclasses
import json

import numpy as np
import pytest
import written_runs
from command_runner import run_command
from stored_clips import few

from experiments.scores import figures, published
from experiments.scores.summary import read_records
from input_pipeline.databases import reading
from input_pipeline.databases.registry import DATABASES_OF
from input_pipeline.maps import synthetic
from input_pipeline.reports import pages
from input_pipeline.storage import arrays_file, loader, tfds_builder

# Two clips each of three subjects.
TRUTH = {"casme2/sub01": (0, 1), "samm/006": (2, 0), "smic/s01": (1, 2)}
# Members of an npz that earlier versions did not write.
LATER = ("pretend", "file_hash")
RIGHT = {key: (truth, truth) for key, truth in TRUTH.items()}


def real(count: int = 6):
    return dataclasses.replace(few(count), pretend=False)


def test_synthetic_clips_are_marked_and_the_mark_is_outside_the_hash():
    made = synthetic.make("five", "small")
    assert made.pretend
    assert dataclasses.replace(made, pretend=False).content_hash() == made.content_hash()


def test_real_data_have_no_mark(tmp_path):
    path = tfds_builder.write_data_set(real(), tmp_path).path
    assert json.loads((path / "metadata.json").read_text())["pretend"] is False
    assert not loader.load("samm", "five", tmp_path).pretend
    arrays_file.save_arrays(real(), tmp_path / "x.npz")
    assert not loader.load_arrays(tmp_path / "x.npz").pretend


def test_the_same_build_again_adds_the_mark_that_an_earlier_version_left_out(tmp_path):
    path = tfds_builder.write_data_set(real(), tmp_path).path / "metadata.json"
    metadata = json.loads(path.read_text())
    del metadata["pretend"]
    path.write_text(json.dumps(metadata))
    assert not loader.load("samm", "five", tmp_path).pretend
    assert not tfds_builder.write_data_set(few(), tmp_path).is_new
    assert loader.load("samm", "five", tmp_path).pretend
    assert json.loads(path.read_text()) == metadata | {"pretend": True}


@pytest.mark.parametrize("dataset", ["samm", "synthetic"])
def test_exports_of_earlier_versions_are_read(tmp_path, dataset):
    path = tmp_path / "x.npz"
    arrays_file.save_arrays(dataclasses.replace(real(), dataset=dataset), path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name not in LATER}
    np.savez(path, **arrays)
    # What the program itself makes up is known by its name.
    assert loader.load_arrays(path).pretend == (dataset == "synthetic")


def report(workdir):
    finished = run_command("experiments.report", f"--workdir={workdir}")
    assert finished.status == 0, finished.err
    return finished.out, (workdir / "summary.md").read_text()


def test_a_report_on_pretend_data_leaves_published_rows_out(tmp_path):
    run = written_runs.write(tmp_path / "run", [RIGHT], dataset="megc2019", pretend=True)
    for text in report(run):
        assert text.count("PRETEND") >= 2
        assert "published rows are left out" in text
        assert "AHMSA-Net (2024)" not in text
    drawn = figures.pictures(read_records([run]))
    assert len(drawn) == 3
    for name, figure in drawn.items():
        assert "PRETEND" in figure.get_suptitle(), name


def test_a_part_of_a_data_set_stands_beside_published_rows_with_its_clips(tmp_path):
    run = written_runs.write(tmp_path / "run", [RIGHT], dataset="megc2019", pretend=False)
    for text in report(run):
        assert "PRETEND" not in text
        assert "6 of 442, part" in text
        assert "442" in next(line for line in text.splitlines() if "AHMSA-Net (2024)" in line)


def test_what_is_no_part_is_not_called_one(tmp_path, monkeypatch):
    run = written_runs.write(tmp_path / "run", [RIGHT], dataset="megc2019", pretend=False)
    records = read_records([run])
    # As if the releases held two clips each, then one each.
    for count, words in ((2, "6"), (1, "6 instead of 3"), (3, "6 of 9, part")):
        monkeypatch.setattr(published, "release_clips", lambda database, count=count: count)
        assert str(published.clips_of(records)) == words


def test_released_clips_are_those_of_the_protocol():
    counts = {name: published.release_clips(name) for name in (*DATABASES_OF["megc2019"], "casme3")}
    assert counts == {"casme2": 145, "samm": 133, "smic": 164, "casme3": 699}


def test_a_comparison_never_ranks_pretend_runs_among_published_rows(tmp_path):
    made_up = written_runs.write(tmp_path / "made_up", [RIGHT], dataset="casme3", pretend=True)
    measured = written_runs.write(tmp_path / "measured", [RIGHT], dataset="megc2019", pretend=False)
    output = tmp_path / "out"
    finished = run_command(
        "experiments.compare", f"--workdirs={made_up},{measured}", f"--output={output}"
    )
    assert finished.status == 0, finished.err
    text = (output / "comparison.md").read_text()
    assert "made_up (PRETEND): this program made the clips up" in text
    assert "one of them is on PRETEND data" in text
    rows = (output / "comparison.csv").read_text().splitlines()
    assert rows[0].endswith(",clips")
    published_for = {line.split(",")[1] for line in rows if line.startswith("published")}
    assert "casme3" not in published_for
    assert "megc2019" in published_for
    (mine,) = [line for line in rows if "run measured" in line and ",pooled," in line]
    assert mine.endswith(',"6 of 442, part"')


def test_contact_sheets_are_marked(tmp_path, monkeypatch):
    drawn = []
    from PIL import ImageDraw

    text = ImageDraw.ImageDraw.text

    def noted(self, place, words, *rest):
        drawn.append(words)
        text(self, place, words, *rest)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", noted)
    pages.write_pages(few(), tmp_path)
    assert drawn[0].startswith("PRETEND data: SAMM")
    drawn.clear()
    pages.write_pages(real(), tmp_path)
    assert not any("PRETEND" in words for words in drawn)


def test_the_mark_follows_the_frames_wherever_raw_dir_points(pretend_smic, tmp_path):
    above, links = tmp_path / "above", tmp_path / "links"
    for folder in (above, links):
        folder.mkdir()
    (above / "smic").symlink_to(pretend_smic)
    for part in pretend_smic.iterdir():
        if part.is_dir():
            (links / part.name).symlink_to(part)
    for raw_dir in (pretend_smic, above, links):
        found = reading.read_databases("smic", raw_dir)
        assert found.clips, raw_dir
        assert found.pretend, raw_dir
