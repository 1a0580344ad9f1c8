"""What a build says of class sets, and megc2018 from its pretend databases to a run.

Modules tried here without being imported: input_pipeline.build.
"""

import dataclasses

import full_releases
from command_runner import run_command
from native_builds import pretend_database

from input_pipeline.core.clips import Clips
from input_pipeline.pretend import database
from input_pipeline.reports import class_set_lines
from input_pipeline.storage import loader


def test_clips_of_each_class_set_stand_beside_the_published_ones():
    clips = full_releases.clips("casme2")
    assert class_set_lines.lines(clips) == [
        "--classes=4: 255 clips of 26 subjects (published: 255 of 26)",
        "--classes=5: 246 clips of 26 subjects (published: 246 of 26)",
        "--classes=7: 255 clips of 26 subjects (published: 255 of 26)",
        "--classes=objective5: 185 clips of 26 subjects (published: 185 of 26)",
        "--classes=objective7: 255 clips of 26 subjects (published: 255 of 26)",
    ]
    clips.extras["objective_class"][:] = -1
    *_, last = class_set_lines.lines(dataclasses.replace(clips, pretend=True))
    assert last == "--classes=objective7: no clips: the sheet with its classes was not found"
    assert class_set_lines.lines(dataclasses.replace(clips, dataset="smic")) == []


def test_megc2018_is_written_by_fake_database(tmp_path, monkeypatch):
    written = []
    for name in ("casme2", "samm"):
        monkeypatch.setattr(database._PRETEND[name], "write", written.append)
    database.write_database("megc2018", tmp_path / "raw")
    assert written == [tmp_path / "raw" / "casme2", tmp_path / "raw" / "samm"]
    # The composite list is of three classes.
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == ["casme2", "samm"]


def test_megc2018_from_its_databases_to_a_run(tmp_path):
    # The pretend composite of 2019 holds the same two databases.
    finished = run_command(
        "input_pipeline.build",
        "--dataset=megc2018",
        f"--raw_dir={pretend_database('megc2019')}",
        f"--data_dir={tmp_path}",
        "--flow=farneback",
    )
    assert finished.status == 0, finished.err
    assert "27 clips to process, 8 of them outside the 5 classes" in finished.out
    assert "19 clips of 13 subjects, 27 with those of no class" in finished.out
    assert "--classes=objective7: 27 clips of 17 subjects\n" in finished.out
    clips: Clips = loader.load("megc2018", "five", tmp_path)
    assert (clips.class_names, clips.pretend) == (("I", "II", "III", "IV", "V"), True)
    objective_N = clips.extras["objective_class"]
    assert (objective_N - 1 == clips.label_N).all()
    npz = tmp_path / "x.npz"
    export = ("--dataset=megc2018", f"--data_dir={tmp_path}", f"--output={npz}")
    assert run_command("input_pipeline.export", *export).status == 0
    assert loader.load_arrays(npz).content_hash() == clips.content_hash()
    seven = loader.load_arrays(npz, "objective7")
    assert (len(seven), seven.class_names[5:]) == (27, ("VI", "VII"))
    # Labels of published maps are none of these classes.
    from_2019 = run_command("input_pipeline.import_maps", "--source=x", "--dataset=megc2018")
    assert from_2019.status == 2
    assert "--dataset=megc2018 cannot be imported" in from_2019.err
