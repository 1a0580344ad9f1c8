"""Which files serve as onset and apex: annotation, SMIC's choices, missing frames, spotting."""

import dataclasses
import pathlib

import hypothesis
import pytest
from hypothesis import strategies

from input_pipeline.core.clip_faults import RULES, ClipFault
from input_pipeline.databases import apex
from input_pipeline.databases.rows import ClipRecord


def record(numbers, marks=(10, 15, 20), database: str = "casme2") -> ClipRecord:
    files = tuple((number, pathlib.Path(f"img{number}.jpg")) for number in sorted(numbers))
    numbers = dict(zip(("onset", "apex", "offset"), marks, strict=True))
    return ClipRecord(
        database=database,
        subject="sub01",
        clip="EP01",
        **numbers,
        emotion="fear",
        label=0,
        frames=files,
    )


WHOLE = record(range(10, 21))


def code_of(call, *arguments) -> str:
    with pytest.raises(ClipFault) as caught:
        call(*arguments)
    return caught.value.code


def test_a_clip_without_frames():
    assert code_of(apex.nearest_frame, record(()), 10, "onset") == "no_frames"


@pytest.mark.parametrize(
    ("numbers", "wanted", "found"),
    [
        ((10, 15, 20), 15, 15),
        ((10, 14, 16, 20), 15, 14),
        ((10, 13, 16, 20), 15, 16),
        ((10, 13, 18), 15, 13),
        ((10, 17, 20), 15, 17),
        ((99, 100, 101), 102, 101),
    ],
)
def test_the_nearest_frame_within_2_replaces_a_missing_one(numbers, wanted, found):
    chosen = apex.nearest_frame(record(numbers), wanted, "apex")
    assert chosen.number == found
    assert chosen.path.name == f"img{found}.jpg"
    assert chosen.rules == (() if found == wanted else ("nearest_frame_apex",))


@pytest.mark.parametrize("wanted", [7, 23, 400])
def test_frames_missing_beyond_2_and_past_the_end(wanted):
    with pytest.raises(ClipFault, match=rf"frame_missing.* {wanted} .*2 frames"):
        apex.nearest_frame(WHOLE, wanted, "onset")


@hypothesis.given(
    numbers=strategies.sets(strategies.integers(0, 30), min_size=1),
    wanted=strategies.integers(0, 30),
)
def test_nearest_frame_against_a_search_by_hand(numbers, wanted):
    near = [n for d in (0, 1, 2) for n in (wanted - d, wanted + d) if n in numbers]
    if near:
        assert apex.nearest_frame(record(numbers), wanted, "onset").number == near[0]
    else:
        assert code_of(apex.nearest_frame, record(numbers), wanted, "onset") == "frame_missing"


@pytest.mark.parametrize(
    ("choice", "number", "rules"),
    [("offset", 21, ("apex_is_offset",)), ("middle", 15, ("apex_is_middle",)), ("spot", None, ())],
)
def test_smic_s_choices(choice, number, rules):
    smic = record(range(10, 22), (10, None, 21), "smic")
    assert apex.wanted_apex(smic, choice) == (number, rules)
    # An annotated apex stands, whatever the choice.
    assert apex.wanted_apex(WHOLE, choice) == (15, ())


def test_no_apex_is_a_fault_outside_smic():
    blank = dataclasses.replace(WHOLE, apex=None)
    assert code_of(apex.wanted_apex, blank, "offset") == "apex_missing"


def spotted(
    clip: ClipRecord, flow_of, onset: int = 10, seconds: float = 1.0
) -> tuple[apex.Chosen, list[int]]:
    looked_at = []

    def mean_flow(path: pathlib.Path) -> float:
        number = int(path.stem[3:])
        looked_at.append(number)
        return flow_of(number)

    return apex.spot(clip, onset, mean_flow, seconds), looked_at


def test_spotting_takes_the_largest_mean_flow_after_the_onset_up_to_the_offset():
    # 8 and 25 lie outside onset..offset and must not be looked at.
    clip = record((8, 10, 11, 13, 17, 20, 25))
    chosen, looked_at = spotted(clip, {11: 0.2, 13: 0.9, 17: 0.7, 20: 0.1}.__getitem__)
    assert chosen == (13, pathlib.Path("img13.jpg"), ("apex_spotted",))
    assert looked_at == [11, 13, 17, 20]


def test_the_first_of_equals_is_spotted():
    assert spotted(WHOLE, lambda number: 1.0)[0].number == 11


def test_a_long_clip_is_searched_in_steps_and_then_around_the_best():
    clip = record(range(10, 1011), (10, None, 1010), "smic")
    chosen, looked_at = spotted(clip, lambda number: 500 - abs(number - 437), seconds=20.0)
    assert chosen.number == 437
    assert chosen.rules == ("apex_spotted", "spotted_coarsely")
    assert set(chosen.rules) <= set(RULES)
    assert len(looked_at) == len(set(looked_at)) < 130


@pytest.mark.parametrize(
    ("database", "seconds", "last"),
    [
        ("casme3", 1.0, 40),
        ("casme3", 0.5, 25),
        ("smic", 1.0, 110),
        ("casme2", 1.0, 210),
        ("samm", 1.0, 210),
        ("samm", 0.25, 60),
        ("pretend", 1.0, 3000),
        ("casme3", 100.0, 3000),
    ],
)
def test_the_search_ends_a_second_after_the_onset(database, seconds, last):
    # The flow grows to the end of the clip: a later movement is the larger one.
    clip = record(range(10, 3001), (10, None, 3000), database)
    chosen, looked_at = spotted(clip, float, seconds=seconds)
    assert chosen.number == last == max(looked_at)
    assert ("spotting_capped" in chosen.rules) == (last < 3000)
    assert set(chosen.rules) <= set(RULES)
    # From another frame that serves as onset.
    if last < 3000:
        assert spotted(clip, float, 12, seconds)[0].number == last + 2


def test_no_frame_within_the_time_is_missing():
    late = record((10, 60, 61), (10, None, 61), "casme3")
    with pytest.raises(ClipFault, match="no frame lies between the onset 10 and 40"):
        apex.spot(late, 10, lambda _: 1.0)


def test_spotting_without_frames_or_motion():
    assert code_of(apex.spot, record((8, 10, 25)), 10, lambda _: 1.0) == "frame_missing"
    assert code_of(apex.spot, WHOLE, 10, lambda _: 0.0) == "no_motion"
