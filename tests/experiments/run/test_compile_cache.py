"""Compiled programs on disk: read at the second start, never in the way, same bytes without."""

import errno
import os
import pathlib

import pytest
from command_runner import assert_mistake, run_command
from small_runs import KEYS, SHALLOW

from experiments.run import cache_folder, compile_cache

TINY = (*SHALLOW, "--epochs=1", f"--subjects={','.join(KEYS[:2])}")


def train(workdir: pathlib.Path, cache: object, **options):
    done = run_command(
        "experiments.loso", *TINY, f"--workdir={workdir}", f"--compile_cache={cache}", **options
    )
    assert done.status == 0, done.err
    return done, (workdir / "predictions.csv").read_bytes()


def programs(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(folder.rglob("*-cache"))


def test_the_second_start_reads_and_all_starts_give_the_same_bytes(tmp_path):
    first, compiled = train(tmp_path / "first", tmp_path / "programs")
    kept = {path: path.read_bytes() for path in programs(tmp_path / "programs")}
    assert kept
    assert "compiled for 2 folds" in first.err
    second, read = train(tmp_path / "second", tmp_path / "programs")
    assert "read the compiled program for 2 folds" in second.err
    found = {path: path.read_bytes() for path in programs(tmp_path / "programs")}
    assert kept == {path: found[path] for path in kept}
    # A small program that took longer this time may have joined them; none as large as training's.
    largest = max(map(len, kept.values()))
    assert all(len(found[path]) < largest for path in found.keys() - kept)
    off, alone = train(tmp_path / "off", "off")
    assert "compiled for 2 folds" in off.err
    assert compiled == read == alone
    # Damaged: told once, compiled anew, and whole again for the start after.
    # The training program is the largest; what JAX calls its file differs between versions.
    large = max(kept, key=lambda path: path.stat().st_size)
    whole = large.read_bytes()
    large.write_bytes(whole[: len(whole) // 2] + b"\0" * (len(whole) - len(whole) // 2))
    third, damaged = train(tmp_path / "third", tmp_path / "programs")
    assert damaged == compiled
    assert third.err.count("is damaged; it is compiled anew") == 1
    assert not large.exists() or large.read_bytes() != whole[: len(whole) // 2]
    # Nothing of it is a setting of the run.
    configs = {(tmp_path / name / "config.json").read_bytes() for name in ("first", "off")}
    assert len(configs) == 1


def full_disk():
    from jax._src import lru_cache

    def put(self, key, value):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), key)

    lru_cache.LRUCache.put = put


@pytest.mark.parametrize(("where", "fault"), [("/dev/null/programs", None), ("here", full_disk)])
def test_a_folder_that_takes_nothing_is_one_note(tmp_path, where, fault):
    folder = tmp_path / where
    done, _ = train(tmp_path / "run", folder, prepare=fault)
    notes = [line for line in done.err.splitlines() if "cannot be kept" in line]
    reason = "Not a directory" if fault is None else "No space left on device"
    assert len(notes) == 1, done.err
    assert reason in notes[0]
    assert "Traceback" not in done.err
    assert "Warning" not in done.err


def test_a_pipe_among_the_programs_is_not_waited_for(tmp_path):
    assert compile_cache._odd_entry(tmp_path) is None
    os.mkfifo(tmp_path / "pmap-cache")
    assert compile_cache._odd_entry(tmp_path) == "pmap-cache is no regular file"


def test_half_written_programs_are_dropped_and_others_kept(tmp_path):
    for name in ("a-cache", "a-atime", "b-cache", "notes"):
        (tmp_path / name).write_text("x")
    compile_cache._drop_half_written(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".lockfile", "a-atime", "a-cache", "notes"]


def test_the_default_lies_below_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder.users_folder() == tmp_path / "ahmsa-jax" / "programs"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder.users_folder() == tmp_path / ".cache" / "ahmsa-jax" / "programs"


def test_an_empty_folder_name_is_a_mistake():
    assert_mistake(run_command("experiments.loso", "--compile_cache="), "--compile_cache is empty")
