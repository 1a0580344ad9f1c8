"""Writes a data set's arrays to one .npz file for experiments.loso --arrays."""

import dataclasses
import pathlib
import zipfile

from absl import flags

from input_pipeline.core import command, data_flags, face_frames, tasks
from input_pipeline.core.clips import entitled
from input_pipeline.core.errors import InputError
from input_pipeline.databases.registry import DATASETS
from input_pipeline.storage import arrays_file, loader

_DATASET = flags.DEFINE_string(
    "dataset", "synthetic", f"Data set: {', '.join(DATASETS)}, or one of your own."
)
_CLASSES = flags.DEFINE_enum(
    "classes",
    None,
    tasks.names(),
    "Only the clips of this class set; by default all clips, so that --arrays can choose.",
)
_WITH_FACES = flags.DEFINE_bool(
    "with_faces", False, "Allow --layout=rgb224, whose file holds faces: licensed material."
)
_OUTPUT = flags.DEFINE_string("output", None, "File to write; its name ends in .npz.")


def main() -> int:
    """Export the data set that the flags name; returns the exit status."""
    output = _checked_output(_OUTPUT.value)
    if data_flags.layout() == face_frames.LAYOUT and not _WITH_FACES.value:
        raise InputError(
            f"--layout={face_frames.LAYOUT} would write faces to '{output}': "
            f"{face_frames.LICENCE}; give --with_faces if the file may hold them."
        )
    source = (
        *(_DATASET.value, data_flags.layout(), data_flags.data_dir()),
        data_flags.synthetic_size(),
    )
    if _CLASSES.value is None:
        clips = loader.every_clip(*source)
    else:
        clips = dataclasses.replace(loader.load(*source, _CLASSES.value), every_clip=False)
    if output.exists() and not arrays_file.holds(output, clips):
        raise InputError(
            f"--output={output} holds an export of other clips or maps, which would be replaced; "
            "name another file, or remove that one."
        )
    arrays_file.save_arrays(clips, output)
    written = (
        f"{len(clips)} clips of {clips.dataset}/{clips.layout} written to {output}, "
        f"{output.stat().st_size:,} bytes, content hash {tasks.selected(clips).content_hash()[:12]}"
    )
    print(entitled(written, pretend=clips.pretend))
    return 0


def _checked_output(name: str | None) -> pathlib.Path:
    if not name or not name.endswith(".npz"):
        raise InputError(f"--output={name or ''} does not name a file that ends in .npz.")
    output = pathlib.Path(name).expanduser()
    if not output.parent.is_dir():
        raise InputError(f"the folder '{output.parent}' of --output does not exist; create it.")
    if output.is_dir():
        raise InputError(f"--output={name} is a folder; name a file that ends in .npz.")
    if output.exists() and not _is_export(output):
        raise InputError(
            f"--output={name} exists and is no export of this command, which would replace it; "
            "name another file."
        )
    return output


def _is_export(path: pathlib.Path) -> bool:
    """Whether a file holds the arrays that this command writes, as far as their names tell."""
    if not path.is_file():
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = {*archive.namelist()}
            return "content_hash.npy" in names and bool(names & {"flow.npy", "frames.npy"})
    except (zipfile.BadZipFile, OSError):
        return False


if __name__ == "__main__":
    command.run(main, name="input_pipeline.export", purpose=__doc__)
