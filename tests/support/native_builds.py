"""Builds of a data set from a pretend SMIC, and what they leave on the disk."""

import pathlib

from command_runner import run_command

from input_pipeline.core.clips import Clips
from input_pipeline.storage import loader

NAME = "input_pipeline.build"


def build(raw_dir: pathlib.Path, data_dir: pathlib.Path, *arguments: object, **options):
    return run_command(
        NAME,
        "--dataset=smic",
        f"--raw_dir={raw_dir}",
        f"--data_dir={data_dir}",
        # A third of the default's time; test_golden builds with that.
        "--flow=farneback",
        *arguments,
        **options,
    )


def clips(data_dir: pathlib.Path, layout: str = "five") -> Clips:
    return loader.load("smic", layout, data_dir)


def records(data_dir: pathlib.Path) -> bytes:
    (path,) = (data_dir / "smic" / "five" / "1.0.0").glob("*array_record*")
    return path.read_bytes()
