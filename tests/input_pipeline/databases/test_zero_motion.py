"""Clips whose apex is their onset: all in the report, each with the frame that was chosen."""

import dataclasses
import pathlib

import pytest

from input_pipeline.databases.rows import ClipRecord, ReadResult
from input_pipeline.flow.clip_maps import MapSettings, Quality
from input_pipeline.flow.workers import Outcome
from input_pipeline.reports import build_report


def clip(name: str, apex: int | None = 5) -> ClipRecord:
    frames = ((5, pathlib.Path("5.jpg")),)
    return ClipRecord(
        database="casme3",
        subject="spNO.1",
        clip=name,
        onset=5,
        apex=apex,
        offset=134,
        emotion="sad",
        label=0,
        label7=3,
        frames=frames,
    )


def outcome(name: str, apex: int, *rules: str) -> Outcome:
    return Outcome(f"casme3/spNO.1/{name}", Quality(1.0, 2.0, 0.1, 5, apex, rules))


CLIPS = (*(clip(f"a_{n}") for n in range(6)), clip("b_1", 9), clip("b_2", 9), clip("c", None))
OUTCOMES = [
    outcome("a_0", 30, "zero_motion", "apex_spotted", "spotting_capped"),
    outcome("a_1", 7, "zero_motion", "apex_spotted"),
    outcome("a_2", 5, "zero_motion", "zero_motion_kept"),
    Outcome("casme3/spNO.1/a_3", code="no_motion_annotated", detail="x."),
    outcome("a_4", 5),
    outcome("b_1", 9),
    # Another frame, but the same pixels.
    outcome("b_2", 11, "zero_motion", "apex_spotted"),
    outcome("c", 30, "apex_spotted"),
]


def test_the_list_of_clips_and_what_was_chosen():
    found = {row[0].rsplit("/", 1)[1]: row[1:] for row in build_report.zero_motion(CLIPS, OUTCOMES)}
    assert found == {
        "a_0": ("5", "5", "134", "130", "30 by spotting, the search capped"),
        "a_1": ("5", "5", "134", "130", "7 by spotting"),
        "a_2": ("5", "5", "134", "130", "none: kept without motion"),
        "a_3": ("5", "5", "134", "130", "none: no_motion_annotated"),
        "a_4": ("5", "5", "134", "130", "not looked for (check only)"),
        "a_5": ("5", "5", "134", "130", "not looked at"),
        "b_2": ("5", "9", "134", "130", "11 by spotting"),
    }


def test_the_report_holds_the_list(tmp_path):
    path = build_report.write_report(
        tmp_path, "Build", ReadResult(clips=CLIPS), OUTCOMES, [], MapSettings().provenance()
    )
    text = path.read_text(encoding="utf-8")
    assert "## Clips whose apex is their onset" in text
    assert "| casme3/spNO.1/a_0 | 5 | 5 | 134 | 130 | 30 by spotting, the search capped |" in text
    assert "| spot_seconds | 1 |" in text


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 4000.0])
def test_seconds_that_make_no_sense(seconds):
    with pytest.raises(ValueError, match="spot_seconds is"):
        dataclasses.replace(MapSettings(), spot_seconds=seconds)


def test_the_seconds_are_part_of_what_maps_depend_on():
    assert MapSettings(spot_seconds=0.5).provenance()["spot_seconds"] == "0.5"
