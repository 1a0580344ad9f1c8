"""The study of lost motion: its conditions, its forms, going on where it stopped, its command."""

import dataclasses

import numpy as np
import pytest
from command_runner import assert_mistake, run_command

from ahmsa_jax.config import ConfigError
from ahmsa_jax.metrics import Scores
from experiments.run.spec import Execution
from experiments.run.workdir import read_config
from experiments.schedule.interruption import Interruption
from experiments.studies import lost_motion, lost_motion_picture, lost_motion_scores
from experiments.studies.lost_motion import FORMS, Condition, Line
from input_pipeline.flow.clip_maps import MapSettings
from input_pipeline.maps import synthetic
from input_pipeline.pretend import controlled

COMMAND = "experiments.lost_motion"
FAST = MapSettings(flow="farneback")


def lines() -> list[Line]:
    return [
        Line(noise, jitter, form.layout, method, 6, 2, 0.5 + number / 10, 0.6)
        for noise, jitter in ((0.0, 0), (1.0, 0), (1.0, 4))
        for number, form in enumerate(FORMS)
        for method in ("svm_maps", "ahmsa")
    ]


def test_one_thing_varies_at_a_time():
    found = lost_motion.conditions([0.0, 1.0, 4.0], [0, 2])
    assert found == [Condition(0, 0), Condition(1, 0), Condition(4, 0), Condition(1, 2)]
    assert Condition(0.5, 2).name == "noise-0.5-jitter-2"


def test_the_tables_by_hand():
    noise = lost_motion.table(lines(), "noise")
    assert noise.columns == ("method", "maps", "0", "1")
    assert ("svm_maps", "whole_36", "0.700", "0.700") in noise.rows
    jitter = lost_motion.table(lines(), "jitter")
    assert jitter.columns == ("method", "maps", "0", "4")
    assert len(jitter.rows) == 2 * len(FORMS)
    assert "PRETEND" in jitter.markdown()


def test_the_picture_shows_every_form():
    figure = lost_motion_picture.draw(lines())
    assert "PRETEND" in figure.get_suptitle()
    assert len(figure.axes) == 4
    for axes in figure.axes:
        # The dashed line is that of guessing.
        assert len(axes.get_lines()) == len(FORMS) + 1


def test_a_study_goes_on_where_it_stopped(tmp_path, monkeypatch):
    asked = []

    def score(clips, where):
        asked.append((clips.layout, where.relative_to(tmp_path).as_posix()))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return Scores(0.25, 0.5, 0.5, len(clips))

    study = (tmp_path, [Condition(1.0, 0)], {"svm_maps": score}, 2, FAST, 1)
    with pytest.raises(KeyboardInterrupt):
        list(lost_motion.measured(*study))
    assert [one.layout for one in lost_motion.read(tmp_path)] == [f.layout for f in FORMS[:2]]
    found = list(lost_motion.measured(*study))
    assert [one.layout for one in found] == [form.layout for form in FORMS]
    assert found[0][:7] == (1.0, 0, "whole", "svm_maps", 6, 2, 0.25)
    # The third was begun twice, no other.
    assert [layout for layout, _ in asked] == [f.layout for f in (*FORMS[:3], *FORMS[2:])]
    assert asked[0][1] == "runs/svm_maps/noise-1-jitter-0/whole"
    assert list(lost_motion.measured(*study)) == found
    assert len(asked) == len(FORMS) + 1


def test_maps_of_all_forms_are_of_one_flow(tmp_path):
    clips_of_form = {}

    def score(clips, where):
        clips_of_form[clips.layout] = clips
        return Scores(0.0, 0.0, 0.0, len(clips))

    list(lost_motion.measured(tmp_path, [Condition(0.0, 0)], {"ahmsa": score}, 2, FAST, 1))
    plain, symmetric = clips_of_form["whole"], clips_of_form["whole_symmetric"]
    both = clips_of_form["whole_phases2"]
    np.testing.assert_array_equal(both.flow_NxHxWxC[..., :3], plain.flow_NxHxWxC)
    for clip in range(len(plain)):
        for channel in range(3):
            pair = (maps.flow_NxHxWxC[clip, ..., channel].ravel() for maps in (plain, symmetric))
            assert np.corrcoef(*pair)[0, 1] > 0.9999
    assert clips_of_form["whole_36"].flow_NxHxWxC.shape == (6, 36, 36, 3)
    assert all(clips.pretend for clips in clips_of_form.values())


@pytest.mark.parametrize("layout", ["whole", "whole_symmetric_phases2_36"])
def test_the_network_s_run_is_one_over_all_subjects(layout):
    clips = synthetic.make(layout, "small")
    run = lost_motion_scores.run_of(clips, epochs=3)
    assert len(run.folds) == len(set(clips.subject_key_N))
    assert run.network_config.grids == (4, 2, 1)
    assert run.network_config.channels == clips.flow_NxHxWxC.shape[-1]
    assert (run.train_config.epochs, run.train_config.batch_size) == (3, 32)
    assert run.facts()["pretend"]


def test_the_network_is_scored_by_its_held_out_clips(tmp_path, monkeypatch):
    clips = synthetic.make("whole", "small")
    clips = clips.rows(np.flatnonzero(np.isin(clips.subject_N, ["a06", "a07", "a08"])))
    whole = lost_motion_scores.run_of

    def small(*arguments):
        run = whole(*arguments)
        network = dataclasses.replace(run.network_config, base_dim=6, blocks=(0,))
        return dataclasses.replace(run, network_config=network)

    monkeypatch.setattr(lost_motion_scores, "run_of", small)
    with Interruption("test") as interruption:
        score = lost_motion_scores.of_network(1, "center", Execution(tmp_path), interruption)
        found = score(clips, tmp_path / "run")
        # The run stays in its folder, with its input norm.
        stored = read_config(tmp_path / "run")["config"]
        assert stored["train_config"]["input_norm"] == "center"
        assert found.n == len(clips)
        assert score(clips, tmp_path / "run") == found


def test_a_damaged_table_is_not_overwritten(tmp_path):
    path = tmp_path / lost_motion.FILE
    path.write_text("somebody's notes\n")
    with pytest.raises(ConfigError, match="damaged"):
        lost_motion.read(tmp_path)
    assert path.read_text() == "somebody's notes\n"


def test_the_command_from_nothing_to_its_picture(tmp_path):
    flags = ("--subjects=2", "--noises=1", "--jitters=6", "--flow=farneback", "--epochs=1")
    asked = (COMMAND, f"--output={tmp_path / 'study'}", *flags)
    finished = run_command(*asked, "--methods=svm_maps", pictures=True)
    assert finished.status == 0, finished.err
    assert "PRETEND" in finished.out
    assert "no claim about real faces" in finished.out
    found = lost_motion.read(tmp_path / "study")
    assert len(found) == 2 * len(FORMS)
    assert {one.subjects for one in found} == {2}
    assert (tmp_path / "study" / lost_motion_picture.FILE).stat().st_size > 10_000
    # Another condition beside it, in the same folder; what is there is not scored again.
    more = run_command(*asked, "--noises=2", "--methods=svm_maps")
    assert more.status == 0, more.err
    assert "noise-2-jitter-0: 5 scores to find" in more.out
    assert "noise-1" not in more.out
    assert len(lost_motion.read(tmp_path / "study")) == 3 * len(FORMS)
    other = run_command(*asked, "--subjects=3")
    assert_mistake(other, "subjects: stored 2, now 3")


def test_its_faces_are_no_pretend_database_s():
    assert controlled._FIRST_FACE > 100


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), ("--output",)),
        (("--jitters=7",), ("--jitters", "7", "0 to 6")),
        (("--noises=nan",), ("--noises", "nan")),
        (("--noises=",), ("--noises",)),
        (("--methods=svm",), ("svm", "svm_maps, ahmsa")),
        (("--subjects=1",), ("--subjects",)),
    ],
)
def test_mistakes_of_lost_motion_are_one_line(flags, words, tmp_path):
    output = (f"--output={tmp_path / 'study'}",) if flags else ()
    assert_mistake(run_command(COMMAND, *output, *flags), *words)
