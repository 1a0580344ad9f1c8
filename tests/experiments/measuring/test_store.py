"""The folder of a measurement: it is gone on with, kept small, and never another one's."""

import json

import pytest

from ahmsa_jax.config import ConfigError
from experiments.measuring import store
from experiments.measuring.store import Store

DATA = {"five": "abc"}


def opened(folder, **changed):
    return Store(folder, **({"rehearsal": True, "data": DATA} | changed))


def test_parts_are_there_when_the_folder_is_opened_again(tmp_path):
    first = opened(tmp_path / "new")
    first.add("tf32", {"seconds": 1.5})
    again = opened(tmp_path / "new")
    assert again.parts == {"tf32": {"seconds": 1.5}}
    assert again.is_settled("tf32")
    assert not again.is_settled("bfloat16")


@pytest.mark.parametrize("changed", [{"rehearsal": False}, {"data": {"five": "other"}}])
def test_another_measurements_folder_is_refused_and_left(tmp_path, changed):
    opened(tmp_path).add("tf32", {})
    before = (tmp_path / store.FILE).read_bytes()
    with pytest.raises(ConfigError, match="name another --output"):
        opened(tmp_path, **changed)
    assert (tmp_path / store.FILE).read_bytes() == before


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"parts": 3}', "{"])
def test_a_foreign_file_is_refused(tmp_path, content):
    (tmp_path / store.FILE).write_text(content)
    with pytest.raises(ConfigError, match="name another --output"):
        opened(tmp_path)
    assert (tmp_path / store.FILE).read_text() == content


def test_a_part_is_given_up_after_its_second_failure(tmp_path):
    kept = opened(tmp_path)
    kept.add_failure("trace", "no card")
    assert not kept.is_settled("trace")
    kept.add_failure("trace", "no card")
    assert opened(tmp_path).is_settled("trace")
    kept.add("trace", {})
    assert json.loads((tmp_path / store.FILE).read_text())["failed"] == {}


def test_shards_are_kept_without_pictures_until_their_run_is_whole(tmp_path):
    kept = opened(tmp_path / "kept")
    workdir = tmp_path / "workdir"
    (workdir / "chunks").mkdir(parents=True)
    for name in ("config.json", "chunks/0.npz", "curves.png", ".lock"):
        (workdir / name).write_text(f"of {name}")
    for place in (0, 1):
        assert kept.finished_shards("run-a") == place
        kept.keep_shard("run-a", place, workdir)
    kept.keep_shard("run-b", 0, workdir)
    found = opened(tmp_path / "kept").unpack_shards("run-a", tmp_path / "unpacked")
    assert found == [tmp_path / "unpacked" / "run-a" / str(place) for place in (0, 1)]
    for folder in found:
        files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        assert files == {"config.json", "chunks/0.npz"}
        assert (folder / "chunks/0.npz").read_text() == "of chunks/0.npz"
    kept.drop_shards("run-a")
    assert (kept.finished_shards("run-a"), kept.finished_shards("run-b")) == (0, 1)
    kept.drop_shards("run-b")
    assert not (tmp_path / "kept" / store.SHARDS).exists()


def test_a_finer_cut_drops_the_coarser_shards(tmp_path):
    kept = opened(tmp_path)
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "config.json").write_text("")
    kept.keep_shard("run-a", 0, tmp_path / "w")
    assert kept.shards("run-a", 2) == 2
    kept.cut_finer("run-a", 4)
    again = opened(tmp_path)
    assert (again.shards("run-a", 2), again.finished_shards("run-a")) == (4, 0)


def test_a_damaged_archive_is_one_sentence(tmp_path):
    kept = opened(tmp_path)
    (tmp_path / store.SHARDS).write_text("no archive")
    with pytest.raises(ConfigError, match="cannot be read"):
        kept.finished_shards("run-a")
