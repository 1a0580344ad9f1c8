"""From a build's cache to clips: maps in any form, frames, and what the cache lost."""

import numpy as np
import pytest
from pretend_clips import clip, face, smiling

from input_pipeline.core.errors import InputError
from input_pipeline.core.map_form import MapForm
from input_pipeline.flow import normalisations, second_phase, workers
from input_pipeline.flow.cache import MapCache
from input_pipeline.flow.clip_maps import MapSettings
from input_pipeline.maps import from_faces, from_frames, layouts

FAST = MapSettings(flow="farneback")
FACTS = {"where": "here", "dataset": "casme2", "provenance": {}, "pretend": True}


@pytest.fixture
def cached(tmp_path):
    """One clip whose flow of both phases and frames are in the cache."""
    record = clip(tmp_path, {1: face(), 5: smiling(2.5), 9: smiling(0.5)})
    cache = MapCache(tmp_path / "cache", FAST)
    assert workers.process(record, FAST, cache, phases=2, faces=True).quality
    return record, cache


def test_a_form_is_cut_from_the_normalised_face(cached):
    record, cache = cached
    form = MapForm("five", "symmetric", phases=2, map_size=36)
    made = from_frames.in_form([record], cache, form, **FACTS)
    first, second = cache.load(record), cache.load_second(record)
    flow = np.concatenate([first.flow_SxSxC, second.flow_SxSxC], axis=-1)
    whole = normalisations.symmetric(flow)
    expected = layouts.compose("five", whole, first.landmarks_5x2, 36)
    np.testing.assert_array_equal(made.flow_NxHxWxC[0], expected)
    np.testing.assert_array_equal(made.flow_whole_NxHxWxC[0], layouts.area_average(whole, 36, 36))
    assert made.layout == "five_symmetric_phases2_36"
    assert made.extras["flow_max"][0] == np.float32(first.quality.flow_max_px)


def test_frames_and_flow_are_stored_as_cached(cached):
    record, cache = cached
    made = from_frames.as_faces([record], cache, **FACTS)
    film, maps = cache.load_film(record), cache.load(record)
    np.testing.assert_array_equal(made.faces["frames"][0], film.frames_FxSxSx3)
    np.testing.assert_array_equal(made.faces["flow_px"][0], maps.flow_SxSxC.astype(np.float16))
    np.testing.assert_array_equal(made.flow_NxHxWxC, from_faces.maps_of(made.faces))
    plain = from_frames.in_form([record], cache, MapForm("whole"), **FACTS)
    assert np.abs(plain.flow_NxHxWxC - made.flow_NxHxWxC).max() < 0.5
    np.testing.assert_allclose(made.extras["landmarks"], plain.extras["landmarks"], rtol=1e-6)


def test_what_the_cache_lost_is_named(cached, tmp_path):
    record, cache = cached
    empty = MapCache(tmp_path / "other", FAST)
    for make in (
        lambda: from_frames.in_form([record], empty, MapForm("whole"), **FACTS),
        lambda: from_frames.as_faces([record], empty, **FACTS),
    ):
        with pytest.raises(InputError, match=record.clip):
            make()
    first = cache.load(record)
    empty.save(record, first)
    with pytest.raises(InputError, match="gone or damaged"):
        from_frames.cached(empty, record, 2)
    empty.save_second(record, second_phase.make(record, FAST, first))
    assert from_frames.cached(empty, record, 2).flow_SxSxC.shape[-1] == 6
