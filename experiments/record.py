"""Keeps finished runs, and writes the project's record, docs/record.md, from those kept.

python -m experiments.record --keep=DIR[,DIR...] --name=NAME
python -m experiments.record
"""

import pathlib

from absl import flags

from ahmsa_jax.config import ConfigError
from experiments.run import flags as run_flags
from experiments.run.output_folder import named_folders
from experiments.run.request import clips_in
from input_pipeline.core import command, data_flags
from input_pipeline.core.errors import InputError

_CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
KEPT = _CHECKOUT / "experiments" / "results" / "record"
DOCS = _CHECKOUT / "docs"
# What is kept under this name is a table of experiments.jitter instead of a run.
JITTER = "jitter"

# What reads runs is imported where used: help and mistakes answer at once.


def main() -> int:
    """Keep a run, if one is named; then write the page, or the hard clips' maps."""
    given = command.values()
    root, docs = (_folder(name) for name in ("kept", "docs"))
    from experiments.recording import kept, page, rows

    if given.keep is not None or given.name is not None:
        workdirs = named_folders(given.keep)
        (name,) = command.required(name="NAME")
        if not workdirs:
            raise ConfigError("--keep is missing; name the folder of a finished run.")
        if name == JITTER:
            where = _keep_jitter(workdirs[0], root)
        else:
            where = kept.keep(workdirs, rows.named(name), root, replace=given.replace)
        print(f"kept: {where}")
    if given.hard_maps is not None:
        return _draw_hard_maps(root)
    print(f"written: {page.write(root, docs)}")
    return 0


def _folder(flag: str) -> pathlib.Path:
    path = pathlib.Path(str(command.values()[flag].value)).expanduser()
    if not path.is_dir():
        raise ConfigError(f"--{flag}='{path}' is no folder; name one that is there.")
    return path


def _keep_jitter(workdir: pathlib.Path, root: pathlib.Path) -> pathlib.Path:
    from experiments.recording import jitter
    from input_pipeline.core.files import write_whole

    lines = jitter.read(workdir)
    if not lines:
        raise ConfigError(f"'{workdir}' holds no {jitter.FILE} of experiments.jitter.")
    path, text = root / jitter.FILE, jitter.text(lines)
    if path.exists() and path.read_text(encoding="utf-8") != text and not command.values().replace:
        raise ConfigError(f"'{path}' keeps another table; give --replace to put this one there.")
    write_whole(path, text)
    return path


def _draw_hard_maps(root: pathlib.Path) -> int:
    given = command.values()
    if not given.hard_maps:
        raise ConfigError("--hard_maps is empty; name the folder for the pictures.")
    from experiments.recording import hard_clips, kept
    from experiments.recording.rows import ROWS

    runs = kept.read_all(ROWS, root)
    if absent := hard_clips.missing(runs):
        raise ConfigError(f"the runs {', '.join(absent)} are not kept yet; keep them first.")
    clips = clips_in(given, data_flags.layout("whole"), "--hard_maps")
    folder = pathlib.Path(given.hard_maps).expanduser()
    for path in hard_clips.draw_maps(hard_clips.found(runs), runs, clips, folder):
        print(f"written: {path} (maps are licensed material)")
    return 0


if __name__ == "__main__":
    run_flags.define_data_flags()
    flags.DEFINE_list("keep", None, "Folders of a finished run, or of its seeds, with commas.")
    flags.DEFINE_string(
        "name", None, "With --keep: the row that the run stands for, such as svm_maps."
    )
    flags.DEFINE_bool("replace", False, "With --keep: put it in the place of another run.")
    flags.DEFINE_string(
        "hard_maps",
        None,
        "Draw the maps of the clips that all methods get wrong into this folder; they are the "
        "databases' owners' and not to be published.",
    )
    flags.DEFINE_string("kept", str(KEPT), "Folder of the kept runs.")
    flags.DEFINE_string("docs", str(DOCS), "Folder of the page.")
    command.run(
        main,
        name="experiments.record",
        purpose="Keep finished runs, and write the record of all figures from those kept.",
        mistakes=(InputError, ConfigError),
    )
