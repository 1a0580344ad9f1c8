"""Flags of every command that reads or writes stored data sets: where, and in which layout."""

import pathlib

from absl import flags

from input_pipeline.core.errors import InputError
from input_pipeline.core.map_form import CUTS

_DATA_DIR = flags.DEFINE_string(
    "data_dir", "~/tensorflow_datasets", "Folder of the stored data sets."
)
_LAYOUT = flags.DEFINE_enum(
    "layout",
    None,
    CUTS,
    f"How face regions make up the map, one of {', '.join(CUTS)}; by default the "
    "model's own, and five where no model is named.",
)


def data_dir() -> pathlib.Path:
    """The folder of the stored data sets; raises InputError on an empty name."""
    if not _DATA_DIR.value:
        raise InputError("--data_dir is empty; name a folder, such as ~/tensorflow_datasets.")
    return pathlib.Path(_DATA_DIR.value).expanduser()


def layout(default: str = "five") -> str:
    """The layout given, or `default` (the model's) where none was."""
    return _LAYOUT.value or default
