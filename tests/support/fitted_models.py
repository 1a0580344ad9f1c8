"""A small fitted model and its leave-one-subject-out estimate, trained once for all tests."""

import pathlib

import made_once
from command_runner import run_command
from small_runs import SHALLOW

SETTINGS = ("--dataset=synthetic", *SHALLOW, "--epochs=2", "--num_seeds=2")


def folder() -> pathlib.Path:
    """A folder with `loso`, a whole run of two seeds, and `model`, fitted with it as estimate."""
    return made_once.folder("a fitted model", _make)


def _make(made: pathlib.Path) -> None:
    run = run_command("experiments.loso", *SETTINGS, f"--workdir={made / 'loso'}")
    assert run.status == 0, run.err
    fit = run_command(
        "experiments.fit",
        *SETTINGS,
        f"--estimate={made / 'loso'}",
        f"--output={made / 'model'}",
        pictures=True,
    )
    assert fit.status == 0, fit.err
    (made / "fit.txt").write_text(fit.out)
