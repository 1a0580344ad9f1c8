"""--frames for all databases or for each: what is allowed, and what the readers take."""

import dataclasses

import pytest
import small_releases as small
from small_releases import casme2_row, samm_row, write_frames

from input_pipeline.core.errors import InputError
from input_pipeline.databases import frame_choice, known_defects
from input_pipeline.databases.reading import read_databases
from input_pipeline.databases.rows import FaultyClip

COMPOSITE = ("casme2", "samm", "smic")


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("raw", ("raw", "raw", "raw")),
        ("cropped", ("cropped", "cropped", "cropped")),
        ("casme2:cropped,smic:cropped,samm:raw", ("cropped", "raw", "cropped")),
        ("smic:cropped", ("raw", "raw", "cropped")),
    ],
)
def test_choices(text, choices):
    assert tuple(frame_choice.by_database(text, COMPOSITE).values()) == choices


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "unknown frames ''"),
        ("face", "unknown frames 'face'"),
        ("casme2:cropped,samm", "unknown frames 'samm'"),
        ("casme2:Cropped", "unknown frames 'casme2:Cropped'"),
        ("casme2:cropped,", "unknown frames ''"),
        ("casme3:raw", "names 'casme3', which is no database of this data set"),
        ("samm:raw,samm:cropped", "names samm twice"),
    ],
)
def test_other_texts_are_refused(text, part):
    with pytest.raises(InputError) as caught:
        frame_choice.by_database(text, COMPOSITE)
    assert part in str(caught.value)


def test_the_composite_of_cropped_and_raw_frames(tmp_path):
    small.casme2(tmp_path / "casme2", [casme2_row()])
    small.samm(tmp_path / "samm", [samm_row()])
    small.smic(tmp_path / "smic", [("s1_ne_01", "negative", 5)])
    cropped = tmp_path / "casme2/Cropped/sub01/EP02_01f"
    write_frames(cropped, [f"reg_img{n}.jpg" for n in range(97, 105)])
    cropped = tmp_path / "smic/SMIC_all_cropped/HS/s1/micro/negative/s1_ne_01"
    write_frames(cropped, [f"reg_image{n:06d}.bmp" for n in range(5, 8)])
    result = read_databases("megc2019", tmp_path, frames="casme2:cropped,smic:cropped,samm:raw")
    assert [clip.frames[0][1].name for clip in result.clips] == [
        "reg_img97.jpg",
        "006_05540.jpg",
        "reg_image000005.bmp",
    ]
    with pytest.raises(InputError, match=r"no official crop.*samm:raw"):
        read_databases("megc2019", tmp_path, frames="cropped")


def test_known_defects_follow_each_database_s_frames():
    faults = [
        FaultyClip("casme2/sub16/EP01_08", "no_frames", "x"),
        FaultyClip("smic/s18/s18_sur_03", "no_frames", "x"),
    ]
    found = known_defects.marked(faults, {"smic": "cropped", "casme2": "raw"})
    assert [bool(fault.known) for fault in found] == [False, True]
    assert [dataclasses.replace(fault, known="") for fault in found] == faults
