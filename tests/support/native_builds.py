"""Builds of a data set from a pretend SMIC, and what they leave on the disk."""

import pathlib

import made_once
from command_runner import run_command

from input_pipeline.core.clips import Clips
from input_pipeline.pretend import database
from input_pipeline.storage import loader

NAME = "input_pipeline.build"


def pretend_database(name: str) -> pathlib.Path:
    """A pretend database, written once; not to be changed."""

    def write(folder: pathlib.Path) -> None:
        database.write_database(name, folder)

    return made_once.folder(f"pretend {name}", write)


def build(raw_dir: pathlib.Path, data_dir: pathlib.Path, *arguments: object, **options):
    return run_command(
        NAME,
        "--dataset=smic",
        f"--raw_dir={raw_dir}",
        f"--data_dir={data_dir}",
        # A third of the default's time; test_golden builds with that.
        "--flow=farneback",
        # Starting a worker takes as long as its share of ten clips.
        "--workers=1",
        *arguments,
        **options,
    )


def built_smic() -> pathlib.Path:
    """The data folder of a build of the pretend SMIC, built once; not to be changed."""

    def make(folder: pathlib.Path) -> None:
        finished = build(pretend_database("smic"), folder, "--workers=2")
        assert finished.status == 0, finished.err

    return made_once.folder("built smic", make)


def clips(data_dir: pathlib.Path, layout: str = "five") -> Clips:
    return loader.load("smic", layout, data_dir)


def records(data_dir: pathlib.Path) -> bytes:
    (path,) = (data_dir / "smic" / "five" / "1.0.0").glob("*array_record*")
    return path.read_bytes()
