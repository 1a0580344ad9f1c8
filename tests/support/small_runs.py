"""Arguments of the small LOSO runs that several tests share, and readers of their files."""

import csv
import pathlib
from typing import Any

from command_runner import Finished, run_command

# Six subjects of three pretend databases, two chunks of three folds, two epochs.
SUBJECTS = ("a05", "a08", "b04", "b08", "c05", "c08")
KEYS = tuple(f"synthetic-{name[0]}/{name}" for name in SUBJECTS)
SMALL = (
    "--dataset=synthetic",
    "--base_dim=6",
    "--blocks=0,0,1",
    "--epochs=2",
    "--folds_at_once=3",
    f"--subjects={','.join(KEYS)}",
)


def loso(workdir: pathlib.Path, *arguments: object, **options: Any) -> Finished:
    """Run experiments.loso on the small setting in `workdir`; options as run_command's."""
    return run_command("experiments.loso", *SMALL, f"--workdir={workdir}", *arguments, **options)


def rows(path: pathlib.Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
