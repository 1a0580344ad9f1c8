"""Event files, read back record by record."""

import sys

import event_records
import pytest
from PIL import Image

from experiments.files import event_files
from input_pipeline.core.errors import InputError


def test_curves_and_the_mark_of_a_start(tmp_path):
    assert not event_files.are_there(tmp_path)
    writer = event_files.Writer(tmp_path)
    writer.restart()
    for step, value in ((1, 0.5), (2, 0.25), (3, float("nan"))):
        writer.scalar("loss/seed-0", step, value)
    writer.close()
    assert event_files.are_there(tmp_path)
    (path,) = event_records.files(tmp_path)
    version, start = event_records.events(path)[:2]
    assert version.file_version == "brain.Event:2"
    assert (start.step, start.session_log.status) == (0, start.session_log.START)
    curve = event_records.scalars(path)["loss/seed-0"]
    assert curve[:2] == [(1, 0.5), (2, 0.25)]
    assert curve[2][1] != curve[2][1]


def test_pictures_are_kept_as_they_are(tmp_path, capsys):
    Image.new("RGB", (5, 3)).save(tmp_path / "curves.png")
    event_files.add_pictures(tmp_path, 40)
    (path,) = (tmp_path / event_files.FOLDER).iterdir()
    found = event_records.pictures(path)
    assert found == {"curves": (40, (tmp_path / "curves.png").read_bytes())}
    (event,) = (event for event in event_records.events(path) if event.summary.value)
    assert (event.summary.value[0].image.width, event.summary.value[0].image.height) == (5, 3)
    assert capsys.readouterr().err == ""


def test_a_folder_that_cannot_be_made_is_a_line(tmp_path, capsys):
    (tmp_path / event_files.FOLDER).write_text("mine")
    event_files.add_pictures(tmp_path, 1)
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "tensorboard' cannot be written (File exists)" in told
    assert (tmp_path / event_files.FOLDER).read_text() == "mine"


def test_a_missing_writer_is_named_with_its_command(monkeypatch):
    event_files.require()
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(InputError, match=r"install -c constraints.txt -e '\.\[tensorboard\]'"):
        event_files.require()
