"""Without the preprocess extra: one line with the command, or the Python, that is needed."""

import importlib
import importlib.util
import sys

import pytest
from command_runner import ROOT, assert_mistake, run_command

from input_pipeline.core import extras
from input_pipeline.core.errors import InputError


def without(monkeypatch, library, version=(3, 11, 9)):
    honest_spec, honest_import = importlib.util.find_spec, importlib.import_module

    def find_spec(name, package=None):
        return None if name == library else honest_spec(name, package)

    def import_module(name, package=None):
        if name.split(".")[0] == library:
            raise ModuleNotFoundError(f"No module named {library!r}", name=library)
        return honest_import(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    monkeypatch.setattr(importlib, "import_module", import_module)
    monkeypatch.setattr(sys, "version_info", version)


def test_all_libraries_are_there():
    extras.require()
    assert extras.library("openpyxl").__name__ == "openpyxl"


@pytest.mark.parametrize("library", ["openpyxl", "cv2", "mediapipe"])
def test_the_hint_is_the_readme_s_own_command(monkeypatch, library):
    without(monkeypatch, library)
    told = f"needs the library {library}, which is not installed; from the checkout run: python -m"
    for call in (extras.require, lambda: extras.library(library)):
        with pytest.raises(InputError, match=told) as caught:
            call()
        command = str(caught.value).split("run: ")[1]
        assert command in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("version", [(3, 13, 0), (3, 14, 2)])
@pytest.mark.parametrize("library", ["cv2", "mediapipe"])
def test_a_python_that_has_no_mediapipe_is_named_with_those_that_have(
    monkeypatch, library, version
):
    without(monkeypatch, library, version)
    told = rf"needs Python 3\.11 or 3\.12, for {library} .* fits Python 3\.{version[1]};"
    for call in (extras.require, lambda: extras.library(library)):
        with pytest.raises(InputError, match=told):
            call()


@pytest.mark.parametrize("version", [(3, 13, 0)])
def test_what_every_python_has_is_to_be_installed(monkeypatch, version):
    without(monkeypatch, "xlrd", version)
    with pytest.raises(InputError, match="needs the library xlrd"):
        extras.require()


def newer_python_without_mediapipe():
    honest = importlib.util.find_spec
    importlib.util.find_spec = lambda name, package=None: (
        None if name == "mediapipe" else honest(name, package)
    )
    from input_pipeline.core import extras

    extras._LAST_PYTHON = (3, 10)


def test_the_build_says_so_before_it_reads_anything(tmp_path):
    finished = run_command(
        "input_pipeline.build",
        "--dataset=smic",
        f"--raw_dir={tmp_path}",
        prepare=newer_python_without_mediapipe,
    )
    assert_mistake(finished, "preprocessing needs Python 3.11 or 3.10, for mediapipe has no")
