"""experiments.doctor as a command: exit statuses, faults of JAX, the trial.

The trial is experiments.health.trial, its training experiments.health.tiny_training.
"""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from command_runner import ROOT, assert_mistake, run_command

# experiments.health is looked at through the command: a trial forks, and JAX is not to run before.
NAME = "experiments.doctor"


def without_loading():
    """Other libraries are loaded in test_checks.py."""
    from experiments.health import libraries

    libraries._broken = lambda names: {}


def without_torch():
    without_loading()
    sys.modules["torch"] = None


def compile_raises():
    without_loading()
    from ahmsa_jax.training.engine import Engine

    def compile(*_):
        raise RuntimeError("ptxas is too old\nby years")

    Engine.compile = compile


def training_gives_no_number():
    without_loading()
    from ahmsa_jax.training.engine import Engine

    Engine.compile = lambda *_: 0
    Engine.run_epochs = lambda *_: np.full((2, 20), np.nan)
    Engine.predict = lambda *_: []


def jax_is_absent():
    without_loading()
    sys.modules["jax"] = None


def jax_dies():
    without_loading()
    from experiments.run import jax_settings

    jax_settings.local_devices = lambda programs: os.kill(os.getpid(), signal.SIGILL)


def no_such_platform():
    without_loading()
    import jax

    jax.config.update("jax_platforms", "no_such")


def model_is_damaged():
    without_loading()
    no_trial()
    from experiments.health import model_files

    model_files.MODEL_FILES = [model_files.MODEL_FILES[0]._replace(sha256="0" * 64)]


def no_trial():
    from experiments.health import trial

    trial.check = lambda: []


def a_check_cannot_be_imported():
    without_loading()
    no_trial()
    from experiments import health

    vars(health).pop("folders", None)
    sys.modules["experiments.health.folders"] = None


def block_of(finished):
    assert "Traceback" not in finished.err
    lines = finished.out.splitlines()
    assert lines[0] == "```text"
    assert lines[-1] == "```"
    assert finished.out.count("```") == 2
    assert finished.out.count("\n") == len(lines)
    return finished.out


def test_what_works_exits_0_and_a_missing_extra_is_a_line():
    finished = run_command(NAME, prepare=without_torch)
    told = block_of(finished)
    assert finished.status == 0, told
    assert "\nwhat is installed works: failed 0" in told
    assert "missing  extra baselines, to compare with PyTorch: torch not installed\n" in told
    assert "-> python -m pip install -c constraints.txt -e '.[baselines]'\n" in told
    for step in ("devices: 1 x cpu (cpu)", "compile: AHMSA-Net of width 12", "train: 20 epochs"):
        assert f"  ok       {step}" in told
    assert os.path.expanduser("~") + "/" not in told


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (compile_raises, "FAILED   compile: RuntimeError: ptxas is too old by years"),
        (training_gives_no_number, "FAILED   train: TrainingError: the loss is no number"),
        (jax_is_absent, "FAILED   devices: ModuleNotFoundError: import of jax halted"),
        (jax_dies, "FAILED   devices: its process was ended by SIGILL"),
        (no_such_platform, "FAILED   devices: ConfigError: JAX finds no device to run on"),
        (model_is_damaged, "FAILED   shape_predictor_68_face_landmarks.dat: SHA-256 fbdc2cb80eb9"),
        (a_check_cannot_be_imported, "FAILED   cannot be looked at: ModuleNotFoundError"),
    ],
)
def test_what_does_not_work_exits_3_and_the_rest_is_told(fault, line):
    finished = run_command(NAME, prepare=fault)
    told = block_of(finished)
    assert finished.status == 3, told
    assert f"  {line}" in told
    assert "\nsomething installed does not work: failed 1" in told
    assert "  ok       Python 3." in told


def test_mistakes_are_one_line():
    assert_mistake(run_command(NAME, "stray"), "unexpected argument 'stray'")
    assert_mistake(run_command(NAME, "--data_dir="), "--data_dir is empty")
    assert run_command(NAME, "--help").out.startswith(f"usage: python -m {NAME}")


def test_a_folder_called_input_pipeline_is_passed_by(tmp_path):
    (tmp_path / "input_pipeline").mkdir()
    (tmp_path / "input_pipeline" / "__init__.py").write_text("raise SystemExit('foreign')\n")
    done = subprocess.run(
        [sys.executable, "-m", NAME, "--data_dir="],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    # Reached, with our own input_pipeline.
    assert done.stderr.startswith(f"{NAME}: error: --data_dir is empty")
    assert done.returncode == 2


@pytest.mark.parametrize("library", ["absl", "numpy"])
def test_without_a_library_of_its_own_it_still_answers(tmp_path, library):
    # NumPy is the networks', absl reads the flags.
    (tmp_path / f"{library}.py").write_text("raise ImportError('broken on purpose')\n")
    done = subprocess.run(
        [sys.executable, "-m", NAME, *(["--help"] if library == "numpy" else [])],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
    if library == "numpy":
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 3
        assert "cannot start (broken on purpose); from the checkout run: python" in done.stderr
