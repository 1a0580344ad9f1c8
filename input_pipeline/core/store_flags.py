"""Flags of every command that reads or writes stored data sets: where, and in which layout."""

import pathlib

from absl import flags

from input_pipeline.core import face_frames
from input_pipeline.core.errors import InputError
from input_pipeline.core.map_form import CUTS

_DATA_DIR = flags.DEFINE_string(
    "data_dir", "~/tensorflow_datasets", "Folder of the stored data sets."
)
_LAYOUT = flags.DEFINE_enum(
    "layout",
    None,
    (*CUTS, face_frames.LAYOUT),
    f"How face regions make up the map, one of {', '.join(CUTS)}, or {face_frames.LAYOUT}, frames "
    "instead of maps; by default the model's own, and five where no model is named.",
)


def data_dir() -> pathlib.Path:
    """The folder of the stored data sets; raises InputError on an empty name."""
    if not _DATA_DIR.value:
        raise InputError("--data_dir is empty; name a folder, such as ~/tensorflow_datasets.")
    return pathlib.Path(_DATA_DIR.value).expanduser()


def layout(default: str = "five") -> str:
    """The layout given, or `default` (the model's) where none was."""
    return _LAYOUT.value or default


def cut(default: str = "five") -> str:
    """The same where maps are made; raises InputError on the layout of frames."""
    found = layout(default)
    if found == face_frames.LAYOUT:
        raise InputError(
            f"--layout={found} is no way to cut maps; allowed are {', '.join(CUTS)}. Frames are "
            "stored by python -m input_pipeline.build --faces, beside the maps."
        )
    return found
