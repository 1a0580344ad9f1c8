"""Flow at full resolution beside a data set: only what the data set was made of is taken."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from native_builds import built_smic, clips

from input_pipeline.core.errors import InputError
from input_pipeline.databases import reading
from input_pipeline.flow import kept_flow, normalisations
from input_pipeline.flow.aligned_film import aligned_film
from input_pipeline.flow.cache import FOLDER, MapCache, opened
from input_pipeline.flow.clip_maps import MapSettings
from input_pipeline.maps.layouts import MEAN_LANDMARKS_5x2, compose


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A copy of the built pretend SMIC, to be changed."""
    folder = tmp_path_factory.mktemp("data") / "built"
    shutil.copytree(built_smic(), folder)
    return folder


def test_the_maps_of_the_data_set_are_cut_from_it(built):
    of = clips(built)
    kept = list(kept_flow.read(built, of, asking="test"))
    assert len(kept) == len(of)
    for one, whole_HxWxC in zip(kept, of.flow_whole_NxHxWxC, strict=True):
        assert one.landmarks_68x2.shape == (68, 2)
        map_HxWxC = compose("whole", normalisations.minmax(one.flow_SxSxC), MEAN_LANDMARKS_5x2)
        np.testing.assert_array_equal(map_HxWxC, whole_HxWxC)


def test_a_missing_file_other_settings_and_other_frames_are_refused(built):
    of = clips(built)

    def refused(other):
        with pytest.raises(InputError) as caught:
            kept_flow.read(built, other, asking="--method=x")
        return str(caught.value)

    words = refused(dataclasses.replace(of, provenance=of.provenance | {"flow": "tvl1"}))
    assert words.startswith("--method=x reads the flow at full resolution")
    assert "lacks that of 10 of 10 clips of smic/five" in words
    assert "python -m input_pipeline.build" in words
    extras = of.extras | {"flow_max": of.extras["flow_max"] + (np.arange(10) == 3)}
    assert f"1 of 10 clips of smic/five, first {of.clip_key_N[3]}" in refused(
        dataclasses.replace(of, extras=extras)
    )
    path = sorted((built / FOLDER).glob("*.npz"))[0]
    with opened(path) as stored:
        key = json.loads(str(stored["marks"]))["clip"]
    content = path.read_bytes()
    for damaged in (content[:100], content[: len(content) // 2], b""):
        path.write_bytes(damaged)
        assert f"1 of 10 clips of smic/five, first {key}" in refused(of)
    path.write_bytes(content)
    assert len(list(kept_flow.read(built, of, asking="test"))) == 10


def test_a_film_holds_the_crops_that_the_build_made(pretend_smic, built):
    result = reading.read_databases("smic", pretend_smic)
    record = result.clips[0]
    film_FxSxS, left_out = aligned_film(record)
    assert left_out == []
    wanted = [n for n, _ in record.frames if record.onset <= n <= record.offset]
    assert film_FxSxS.shape == (len(wanted), 224, 224)
    maps = MapCache(built / FOLDER, MapSettings(flow="farneback")).load(record)
    np.testing.assert_array_equal(film_FxSxS[0], maps.onset_SxS)
    apex = wanted.index(maps.quality.apex_frame)
    np.testing.assert_array_equal(film_FxSxS[apex], maps.apex_SxS)


def test_a_damaged_frame_is_left_out_and_said(pretend_smic, tmp_path):
    record = reading.read_databases("smic", pretend_smic).clips[0]
    broken = tmp_path / "broken.bmp"
    broken.write_bytes(b"BM")
    number, _ = record.frames[len(record.frames) // 2]
    frames = tuple((n, broken if n == number else path) for n, path in record.frames)
    film_FxSxS, (sentence,) = aligned_film(dataclasses.replace(record, frames=frames))
    assert len(film_FxSxS) == len(aligned_film(record)[0]) - 1
    assert sentence.startswith(f"{record.key}, frame {number}: broken.bmp")
