"""Writes a data set's arrays to one .npz file, for machines without TensorFlow Datasets."""

import io
import json
import pathlib

import numpy as np
from absl import flags

from input_pipeline import command, data_flags, loader, whole_file
from input_pipeline.clips import DATASETS, Clips
from input_pipeline.errors import InputError

_DATASET = flags.DEFINE_enum(
    "dataset", "synthetic", DATASETS, f"Data set, one of {', '.join(DATASETS)}."
)
_OUTPUT = flags.DEFINE_string("output", None, "File to write; its name ends in .npz.")


def save_arrays(clips: Clips, path: pathlib.Path) -> None:
    """Write the clips for `loader.load_arrays`: plain arrays, no pickle, the same bytes each time.

    Raises OSError, naming the path and the bytes needed, where the disk does not suffice.
    """
    arrays = {
        "flow": clips.flow_NxHxWxC,
        "flow_whole": clips.flow_whole_NxHxWxC,
        "label": clips.label_N,
        "database": clips.database_N,
        "subject": clips.subject_N,
        "clip": clips.clip_N,
        "dataset": np.array(clips.dataset),
        "layout": np.array(clips.layout),
        "provenance": np.array(json.dumps(clips.provenance, sort_keys=True)),
        "content_hash": np.array(clips.content_hash()),
    }
    for name in sorted(clips.extras):
        arrays[loader.EXTRA_PREFIX + name] = clips.extras[name]
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    whole_file.write_whole(path, buffer.getvalue())


def main() -> int:
    """Export the data set that the flags name; returns the exit status."""
    output = _checked_output(_OUTPUT.value)
    clips = loader.load(
        _DATASET.value, data_flags.layout(), data_flags.data_dir(), data_flags.synthetic_size()
    )
    save_arrays(clips, output)
    print(
        f"{len(clips)} clips of {clips.dataset}/{clips.layout} written to {output}, "
        f"{output.stat().st_size:,} bytes, content hash {clips.content_hash()[:12]}"
    )
    return 0


def _checked_output(name: str | None) -> pathlib.Path:
    if not name or not name.endswith(".npz"):
        raise InputError(f"--output={name or ''} does not name a file that ends in .npz.")
    output = pathlib.Path(name).expanduser()
    if not output.parent.is_dir():
        raise InputError(f"the folder '{output.parent}' of --output does not exist; create it.")
    if output.is_dir():
        raise InputError(f"--output={name} is a folder; name a file that ends in .npz.")
    return output


if __name__ == "__main__":
    command.run(
        main,
        name="input_pipeline.export",
        purpose="Writes a data set's arrays to one .npz file for experiments.loso --arrays.",
    )
