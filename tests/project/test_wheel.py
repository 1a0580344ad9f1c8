"""The package as users install it: a wheel in a fresh environment, used from an empty folder."""

import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig

import golden
import numpy as np
import pytest
from command_runner import ROOT
from test_golden import assert_same_bytes, probabilities

from ahmsa_jax import console

COMMANDS = sorted(
    f"{package}.{path.stem}"
    for package in ("input_pipeline", "experiments")
    for path in (ROOT / package).glob("*.py")
    if "command.run(" in path.read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A function that runs `python -m ...` with the wheel installed, in an empty folder."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("ahmsa_jax", "input_pipeline", "experiments"):
        shutil.copytree(
            ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "results")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
    building = ("wheel", "--no-deps", "--no-build-isolation", "-w", folder, source)
    subprocess.run([*pip, *building], check=True)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    packages = pathlib.Path(
        sysconfig.get_path("purelib", vars={"base": str(environment)}, scheme="venv")
    )
    # The dependencies are those of this environment; its checkout of the packages is not seen.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    installing = ("--python", python, "install", "--no-deps", "--no-index", wheel)
    subprocess.run([*pip, *installing], check=True)
    empty = folder / "empty"
    empty.mkdir()
    # Compiled as outside the tests; see conftest.
    variables = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}

    def run(*words: object) -> subprocess.CompletedProcess:
        return subprocess.run(
            [python, *map(str, words)],
            cwd=empty,
            env=variables,
            capture_output=True,
            text=True,
            timeout=600,
        )

    where = run("-c", "import ahmsa_jax, experiments; print(ahmsa_jax.__file__)")
    assert str(environment) in where.stdout, where
    return run


def test_the_main_job_and_its_report(installed, tmp_path):
    done = installed("-m", "experiments.loso", f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    keys, now_NxK = probabilities(tmp_path / "run" / "predictions.csv")
    stored_keys, stored_NxK = probabilities(golden.FOLDER / "main_job.csv")
    assert keys == stored_keys
    assert now_NxK.shape == stored_NxK.shape == (160, 3)
    assert np.isfinite(now_NxK).all()
    assert_same_bytes("main_job", golden.hashes(tmp_path / "run"))
    report = installed(
        "-m",
        "experiments.report",
        f"--workdir={tmp_path / 'run'}",
        f"--output={tmp_path / 'report'}",
    )
    assert report.returncode == 0, report.stderr
    assert "UF1" in (tmp_path / "report" / "summary.md").read_text()


def test_every_command_has_its_help(installed):
    assert {"experiments.loso", "input_pipeline.build"} <= set(COMMANDS)
    for name in COMMANDS:
        done = installed("-m", name, "--help")
        assert done.returncode == 0, (name, done.stderr)
        assert f"usage: python -m {name}" in done.stdout


def test_console_scripts_are_installed(installed):
    # The folder of the environment's python, which knows its scripts by their entry points.
    shown = installed("-c", "import sys; print(sys.prefix)")
    folder = pathlib.Path(shown.stdout.strip()) / "bin"
    assert {path.name for path in folder.glob("ahmsa-*")} == set(console.SCRIPTS)
    done = installed(folder / "ahmsa-report", "--help")
    assert "usage: python -m experiments.report" in done.stdout, done.stderr


def test_a_pretend_database_is_written_and_built(installed, tmp_path):
    raw, data = tmp_path / "raw", tmp_path / "data"
    written = installed("-m", "input_pipeline.fake_database", "--database=smic", f"--output={raw}")
    assert written.returncode == 0, written.stderr
    built = installed(
        "-m",
        "input_pipeline.build",
        "--dataset=smic",
        f"--raw_dir={raw}",
        f"--data_dir={data}",
    )
    assert built.returncode == 0, built.stderr
    assert (data / "smic" / "five" / "1.0.0" / "dataset_info.json").is_file()
