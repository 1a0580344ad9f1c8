"""How a call works through the entries: most worth first, as far as the time goes."""

import time

import pytest

from experiments.measuring import entries, sizes, trained
from experiments.measuring.children import Children, PartError, TimeOverError
from experiments.measuring.entries import Given, Part
from experiments.measuring.store import Store
from experiments.measuring.trained import Run

RUN = Run("whole run", "five")


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Measure the parts given, in a call of so many seconds; what was said, and the store."""
    store = Store(tmp_path, rehearsal=True, data={})

    def measured(parts, seconds=1000.0):
        monkeypatch.setattr(entries, "ENTRIES", tuple(parts))
        children = Children(tmp_path / "scratch", time.monotonic() + seconds, {})
        said = []
        given = Given(sizes.PAPER, {"five": tmp_path}, {"five": []}, store, children)
        entries.measure_all(given, said.append)
        return said, store

    return measured


def good(name, seconds=10.0, facts=None):
    return Part(name, lambda given: facts or {"value": 1}, seconds)


def raising(name, error, seconds=10.0):
    def measure(given):
        raise error

    return Part(name, measure, seconds)


def test_entries_are_measured_in_their_order_and_once(call):
    said, store = call([good("first"), good("second")])
    begun = [line.split(";")[0] for line in said if line.startswith("[")]
    assert begun == ["[1 of 2] first", "[2 of 2] second"]
    assert len([line for line in said if line.startswith("  measured in")]) == 2
    assert store.parts["first"]["value"] == 1
    assert store.parts["second"]["seconds"] >= 0
    assert call([good("first"), good("second")])[0] == []


def test_what_does_not_fit_the_time_left_waits_and_smaller_parts_fill_it(call):
    parts = [good("first"), good("long", 500), good("short", 20)]
    _, store = call(parts, seconds=200)
    assert set(store.parts) == {"first", "short"}
    assert entries.names_left(store) == ["long"]
    # With a call of its own it is tried even so.
    _, store = call(parts, seconds=200)
    assert set(store.parts) == {"first", "long", "short"}


def test_a_failure_is_kept_with_its_words_and_tried_once_more(call):
    parts = [raising("bad", PartError("left with 1: no card")), good("after")]
    _, store = call(parts)
    assert store.facts["failed"]["bad"] == {"times": 1, "message": "left with 1: no card"}
    assert "after" in store.parts
    assert entries.names_left(store) == ["bad"]
    call(parts)
    assert entries.names_left(store) == []


def test_a_part_that_was_stopped_waits_for_a_call_of_its_own_and_is_then_given_up(call):
    parts = [good("first"), raising("endless", TimeOverError())]
    _, store = call(parts)
    assert entries.names_left(store) == ["endless"]
    assert "endless" in store.facts["overran"]
    call(parts)
    assert entries.names_left(store) == []
    assert "whole call" in store.facts["failed"]["endless"]["message"]


def test_a_run_is_trained_shard_by_shard_and_merged(call, tmp_path, monkeypatch):
    workdir = tmp_path / "trained"
    workdir.mkdir()
    (workdir / "config.json").write_text("{}")
    asked = []

    def shard(children, words, place, of):
        asked.append((place, of))
        if len(asked) == 2:
            raise TimeOverError
        return workdir

    monkeypatch.setattr(trained, "shard", shard)
    monkeypatch.setattr(trained, "merged", lambda children, workdirs: {"of": len(workdirs)})
    _, store = call([RUN])
    # The second one did not end in the first call; the next call goes on with it.
    assert (asked, store.finished_shards(RUN.slug)) == ([(0, 2), (1, 2)], 1)
    _, store = call([RUN])
    assert asked[2:] == [(1, 2)]
    assert store.parts[RUN.name]["of"] == 2
    assert store.finished_shards(RUN.slug) == 0


def test_a_shard_that_fills_a_whole_call_is_cut_finer(call, monkeypatch):
    def shard(children, words, place, of):
        raise TimeOverError

    monkeypatch.setattr(trained, "shard", shard)
    _, store = call([RUN])
    assert store.shards(RUN.slug, sizes.PAPER.shards) == 4


def test_every_entry_has_a_name_of_its_own():
    names = [entry.name for entry in entries.ENTRIES]
    assert len(set(names)) == len(names)
    runs = {entry.name for entry in entries.ENTRIES if isinstance(entry, Run)}
    assert runs == set(entries.RUNS)
    assert set(entries.OF_SEEDS) <= runs
    assert len({run.slug for run in entries.RUNS.values()}) == len(runs)


def test_a_runs_flags_name_what_synthetic_data_would_preset():
    words = entries.RUNS["68 folds, bfloat16"].words("maps.npz", sizes.PAPER, [])
    expected = ("--arrays=maps.npz", "--base_dim=256", "--epochs=800", "--batch_size=256")
    assert {*expected, "--learning_rate=5e-06", "--precision=bfloat16"} <= set(words)
    small = entries.RUNS["HTNet as described"].words("m.npz", sizes.REHEARSAL, ["a/1", "a/2"])
    assert {"--base_dim=12", "--blocks=0,0,0", "--epochs=2", "--subjects=a/1,a/2"} <= set(small)
    assert {"--model=htnet", "--recipe=described", "--layout=quad_htnet"} <= set(small)
