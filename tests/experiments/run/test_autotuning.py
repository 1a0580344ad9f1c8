"""The file of XLA's autotuning results: written where there is none, read where there is one."""

import os

import pytest

from ahmsa_jax.config import ConfigError
from experiments.run import autotuning


@pytest.fixture(autouse=True)
def shell_flags(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_of_the_shell=1")


def flags():
    return os.environ["XLA_FLAGS"].split()


def test_without_the_flag_nothing_changes():
    autotuning.use(None)
    assert flags() == ["--xla_of_the_shell=1"]


def test_a_file_that_is_missing_will_be_written(tmp_path):
    path = tmp_path / "new" / "h200.textproto"
    autotuning.use(str(path))
    assert path.parent.is_dir()
    expected = ["--xla_of_the_shell=1", f"--xla_gpu_dump_autotune_results_to={path}"]
    assert flags() == expected


def test_a_file_that_is_there_is_read_and_kept(tmp_path):
    path = tmp_path / "h200.textproto"
    path.write_text("version: 3\nresults {\n}\n")
    autotuning.use(str(path))
    expected = ["--xla_of_the_shell=1", f"--xla_gpu_load_autotune_results_from={path}"]
    assert flags() == expected
    assert path.read_text() == "version: 3\nresults {\n}\n"


@pytest.mark.parametrize("content", [b"", b"results", b"\xff\xfe"])
def test_another_file_is_refused_before_xla_reads_it(tmp_path, content):
    path = tmp_path / "notes.textproto"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="--autotune_file"):
        autotuning.use(str(path))
    assert flags() == ["--xla_of_the_shell=1"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be used"):
        autotuning.use(str(tmp_path / "file" / "h200.textproto"))
