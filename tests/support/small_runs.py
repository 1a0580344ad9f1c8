"""Arguments of the small LOSO runs that several tests share, and readers of their files."""

import csv
import pathlib
import pickle
import shutil
from typing import Any

import made_once
from command_runner import Finished, run_command

# Six subjects of three pretend databases, two chunks of three folds, two epochs.
SUBJECTS = ("a05", "a08", "b04", "b08", "c05", "c08")
KEYS = tuple(f"synthetic-{name[0]}/{name}" for name in SUBJECTS)
# One level, no block: the smallest programs, most of whose time is compiling and tracing.
SHALLOW = ("--base_dim=6", "--blocks=0")
SMALL = (
    "--dataset=synthetic",
    *SHALLOW,
    "--epochs=2",
    "--folds_at_once=3",
    f"--subjects={','.join(KEYS)}",
)


def loso(workdir: pathlib.Path, *arguments: object, **options: Any) -> Finished:
    """Run experiments.loso on the small setting in `workdir`; options as run_command's."""
    return run_command("experiments.loso", *SMALL, f"--workdir={workdir}", *arguments, **options)


def trained(workdir: pathlib.Path, *arguments: str, **options: Any) -> Finished:
    """As `loso`, for a run that tests need but do not try: trained once, copied to `workdir`.

    What it said names the folder in which it was trained.
    """

    def train(made: pathlib.Path) -> None:
        finished = loso(made / "run", *arguments, **options)
        (made / "finished").write_bytes(pickle.dumps(finished))

    prepare = options.get("prepare")
    fault = prepare.__qualname__ if prepare else ""
    made = made_once.folder(repr(("loso", arguments, fault)), train)
    shutil.copytree(made / "run", workdir, dirs_exist_ok=True)
    found: Finished = pickle.loads((made / "finished").read_bytes())
    return found


def rows(path: pathlib.Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
