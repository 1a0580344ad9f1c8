"""Flags that the commands of input_pipeline and experiments share."""

import pathlib

from absl import flags

from input_pipeline.clips import LAYOUTS
from input_pipeline.errors import InputError

_DATA_DIR = flags.DEFINE_string(
    "data_dir", "~/tensorflow_datasets", "Folder of the stored data sets."
)
_LAYOUT = flags.DEFINE_enum(
    "layout",
    None,
    LAYOUTS,
    f"How face regions make up the 28x28 map, one of {', '.join(LAYOUTS)}; by default the "
    "model's own, and five where no model is named.",
)
_SYNTHETIC_SIZE = flags.DEFINE_enum(
    "synthetic_size",
    "small",
    ("small", "composite"),
    "Size of the synthetic data set: small (24 subjects, 160 clips) or composite (68, 442).",
)


def data_dir() -> pathlib.Path:
    """The folder of the stored data sets; raises InputError on an empty name."""
    if not _DATA_DIR.value:
        raise InputError("--data_dir is empty; name a folder, such as ~/tensorflow_datasets.")
    return pathlib.Path(_DATA_DIR.value).expanduser()


def layout(default: str = "five") -> str:
    """The layout given, or `default` (the model's) where none was."""
    return _LAYOUT.value or default


def synthetic_size() -> str:
    """The size of the synthetic data set, `small` or `composite`."""
    return _SYNTHETIC_SIZE.value
