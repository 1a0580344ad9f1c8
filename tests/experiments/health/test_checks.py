"""Each check of experiments.doctor, with the faults that it is there to find."""

import ast
import errno
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import tomllib

import numpy as np
from command_runner import ROOT

from ahmsa_jax import console
from experiments.health import (
    apart,
    block,
    folders,
    libraries,
    model_files,
    names_on_path,
    versions,
)
from experiments.health.lines import INSTALL, Line, State, install
from input_pipeline.core import extras


def test_a_model_with_another_byte_fails(tmp_path, monkeypatch):
    model = model_files.ModelFile("library", "models/a.dat", hashlib.sha256(b"whole").hexdigest())
    monkeypatch.setattr(model_files, "MODEL_FILES", (model,))
    monkeypatch.setattr(extras, "folder_of", lambda name: tmp_path / name)
    file = tmp_path / "library" / "models" / "a.dat"
    (lacking,) = model_files.check()
    assert (lacking.state, lacking.found) == (State.FAILED, "a.dat: library lacks it")
    file.parent.mkdir(parents=True)
    file.write_bytes(b"whole")
    (whole,) = model_files.check()
    assert (whole.state, whole.mend) == (State.OK, "")
    file.write_bytes(b"whOle")
    (damaged,) = model_files.check()
    assert damaged.state is State.FAILED
    assert hashlib.sha256(b"whOle").hexdigest() in damaged.found
    assert damaged.mend == f"{extras.INSTALL} --force-reinstall"


def test_a_model_whose_library_is_not_installed_is_missing_alone(monkeypatch):
    # As Python is told that there is no such library.
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    states = [line.state for line in model_files.check()]
    assert states == [State.OK, State.MISSING, State.MISSING]


def test_folders_that_are_there_and_that_would_be_made(tmp_path):
    there, made = folders.check({"runs": tmp_path, "data": tmp_path / "new" / "deep"})
    assert there.state is made.state is State.OK
    assert f"runs, '{tmp_path}': can be written, " in there.found
    assert f"data, '{tmp_path / 'new' / 'deep'}': can be made, " in made.found
    assert list(tmp_path.iterdir()) == []


def test_unwritable_folders(tmp_path):
    (tmp_path / "runs").write_text("somebody's file")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    # Nobody can make a file in /proc, not even root.
    named = {name: tmp_path / name for name in ("runs", "gone")} | {"p": pathlib.Path("/proc/new")}
    for line in folders.check(named):
        assert line.state is State.WARNING, line
        assert "cannot be written (" in line.found
        assert line.mend
    assert (tmp_path / "runs").read_text() == "somebody's file"


class FullDisk:
    """A temporary file on a disk without room."""

    def __init__(self, dir: pathlib.Path) -> None:
        self.folder = dir

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def write(self, _):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_and_one_that_soon_is(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=2**29)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    (little,) = folders.check({"runs": tmp_path})
    assert (little.state, little.mend[:9]) == (State.WARNING, "free some")
    assert little.found.endswith("0.5 GiB free")
    monkeypatch.setattr(tempfile, "TemporaryFile", FullDisk)
    (full,) = folders.check({"runs": tmp_path})
    assert (full.state, full.mend[:9]) == (State.WARNING, "free some")
    assert full.found.endswith(": No space left on device")


def names_of(requirements):
    return {word.split(";")[0].split("=")[0].split("<")[0].rstrip("> ") for word in requirements}


def test_the_libraries_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(libraries.CORE.values()) == names_of(project["dependencies"])
    optional = project["optional-dependencies"]
    assert set(libraries.EXTRAS) == set(optional)
    # JAX's extra and what the tests of one Python alone need are named otherwise.
    optional["cuda12"] = ["jax-cuda12-plugin"]
    optional["test"] = [word for word in optional["test"] if ";" not in word]
    for name, extra in libraries.EXTRAS.items():
        assert set(extra.libraries.values()) == names_of(optional[name]), name


def without(monkeypatch, *names):
    """Libraries that Python is told are not there; nothing is loaded."""
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(libraries, "_broken", lambda names: {})


def test_missing_libraries_are_lines_with_commands(monkeypatch):
    without(monkeypatch, "torch", "tensorflow_datasets", "xlrd")
    lines = {line.found.split(",")[0].split(" is")[0]: line for line in libraries.check()}
    baselines, data, build = (
        lines[name] for name in ("extra baselines", "tensorflow-datasets", "extra preprocess")
    )
    assert {baselines.state, data.state, build.state} == {State.MISSING}
    assert baselines.found == "extra baselines, to compare with PyTorch: torch not installed"
    assert baselines.mend == install("baselines")
    assert data.mend == INSTALL
    assert "--arrays=FILE" in data.found
    assert build.found.endswith(": xlrd not installed")
    assert build.mend == extras.INSTALL
    assert lines[f"numpy {np.__version__}"] == Line(State.OK, f"numpy {np.__version__}")


def test_a_folder_without_init_is_no_library(tmp_path, monkeypatch):
    (tmp_path / "xgboost").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert not libraries.is_installed("xgboost")
    assert not libraries.is_installed("no_such_parent.child")
    assert libraries.is_installed("orbax.checkpoint")


BREAKERS = {
    "raises": "raise OSError('libGL.so.1: cannot open shared object file')",
    "dies": "import os; os.write(2, b'illegal word\\n'); os.kill(os.getpid(), 4)",
    "hangs": "import time; time.sleep(60)",
    "works": "",
}
# A process that has run JAX, as one of the tests may have, must not fork.
LOADING = """
from experiments.health import libraries
libraries.LOAD_SECONDS = 2.0
print(libraries._broken(["raises", "dies", "hangs", "works"]))
"""
ENDING = """
from experiments.health import apart
def counting(last):
    yield from range(last)
    if last == 3:
        raise ValueError("three\\nis enough")
print([tuple(apart.run(counting, last, seconds=60)) for last in (2, 3)])
"""


def printed_by(script, folder):
    variables = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    command = [sys.executable, "-c", script]
    shown = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)
    return ast.literal_eval(shown.stdout)


def test_libraries_that_cannot_be_loaded_are_told_apart(tmp_path):
    for name, text in BREAKERS.items():
        (tmp_path / f"{name}.py").write_text(text)
    assert printed_by(LOADING, tmp_path) == {
        "raises": "OSError: libGL.so.1: cannot open shared object file",
        "dies": "its process was ended by SIGILL; it last wrote: illegal word",
        "hangs": "it did not end within 2 s",
    }


def test_what_runs_apart_is_given_back_to_its_end_or_fault(tmp_path):
    ended, raised = printed_by(ENDING, tmp_path)
    assert ended == ([0, 1], None)
    assert raised == ([0, 1, 2], "ValueError: three is enough")
    assert len(apart.said(ValueError("x" * 1000))) < 400


def test_a_broken_library_fails(monkeypatch):
    monkeypatch.setattr(libraries, "_broken", lambda names: {"cv2": "ImportError: libGL.so.1"})
    found = [line for line in libraries.check() if line.state is State.FAILED]
    assert len(found) == 1
    assert "cannot be loaded (ImportError: libGL.so.1)" in found[0].found
    assert found[0].mend.startswith(f"{extras.INSTALL} --force-reinstall")


def test_a_shadowing_folder_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(console, "NOTICED", [])
    assert [line.state for line in names_on_path.check()] == [State.OK]
    (tmp_path / "input_pipeline").mkdir()
    (tmp_path / "input_pipeline" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    (line,) = names_on_path.check()
    assert line.state is State.WARNING
    assert f"`python -m input_pipeline...` finds '{tmp_path / 'input_pipeline'}'" in line.found
    assert "ahmsa- scripts" in line.mend
    # Mended since, as a script does; told all the same.
    monkeypatch.setattr(console, "NOTICED", [tmp_path / "input_pipeline"])
    monkeypatch.chdir(ROOT)
    assert names_on_path.check() == [line]


def test_versions_name_project_python_system_and_variables(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("JAX_", "XLA_", "CUDA_", "CUBLAS_", "NVIDIA_")):
            monkeypatch.delenv(name)
    assert [line.state for line in versions.check()] == [State.OK] * 3
    monkeypatch.setenv("JAX_ENABLE_X64", "1")
    monkeypatch.setenv("SECRET_TOKEN", "abcdef")
    *_, variable = versions.check()
    assert variable.found == "the shell sets JAX_ENABLE_X64=1"
    assert "abcdef" not in str(versions.check())


def test_the_block_is_one_fence_without_people(monkeypatch):
    monkeypatch.setenv("HOME", "/people/ada")
    monkeypatch.setenv("LOGNAME", "ada")
    lines = [
        Line(State.OK, "runs, '/people/ada/runs', not /people/adamant"),
        Line(State.MISSING, "a\n```\nrow", "pip install /scratch/ada/x /scratch/adam"),
    ]
    written = block.text("title", {"part": lines})
    assert written.splitlines() == [
        "```text",
        "title",
        "",
        "part",
        "  ok       runs, '~/runs', not /people/adamant",
        "  missing  a ''' row",
        "           -> pip install /scratch/<user>/x /scratch/adam",
        "",
        "what is installed works: failed 0, warnings 0, missing 1",
        "```",
    ]
    assert not block.failed({"part": lines})
    assert block.failed({"part": lines, "other": [Line(State.FAILED, "x")]})
