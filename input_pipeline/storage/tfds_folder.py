"""Where a stored data set lies, and how a build gets there whole or not at all.

`<data_dir>/<dataset>/<layout>/1.0.0` is what TensorFlow Datasets expects. A build happens in a
folder beside it and is renamed into place, under a lock that dies with its process.
"""

import contextlib
import json
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from input_pipeline.core import face_frames, lock_file
from input_pipeline.core.clips import is_data_set_name
from input_pipeline.core.errors import InputError
from input_pipeline.core.map_form import FORMS
from input_pipeline.databases.registry import DATASETS

VERSION = "1.0.0"
# TensorFlow Datasets ignores folders with this prefix.
_UNFINISHED = "incomplete."
_REPLACED = f"{_UNFINISHED}replaced_{VERSION}"
# Files of a data set as TensorFlow Datasets and flow_dataset write them.
_BUILT = re.compile(
    r".*\.array_record-\d+-of-\d+|(dataset_info|features|metadata)\.json|.*\.labels\.txt"
    r"|\.metadata\.json\.[a-z0-9_]{8}"
)


def folder_name(dataset: str, layout: str) -> str:
    """The data set's name as its folder and TensorFlow Datasets have it."""
    return dataset + (face_frames.SUFFIX if layout == face_frames.LAYOUT else "")


def dataset_path(data_dir: pathlib.Path, dataset: str, layout: str) -> pathlib.Path:
    """The folder that holds a built data set's records and metadata."""
    return data_dir / folder_name(dataset, layout) / layout / VERSION


def own_data_sets(data_dir: pathlib.Path) -> tuple[str, ...]:
    """The data sets under names of one's own that lie in data_dir, sorted."""
    built = [path.parent for path in data_dir.glob(f"*/*/{VERSION}")]
    names = {layout.parent.name for layout in built if layout.name in FORMS} - {*DATASETS}
    return tuple(sorted(filter(is_data_set_name, names)))


def stored_metadata(path: pathlib.Path) -> dict[str, Any]:
    """What the build stored about itself (content hash, provenance); empty if unreadable."""
    try:
        found = json.loads((path / "metadata.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@contextlib.contextmanager
def build_lock(path: pathlib.Path) -> Iterator[None]:
    """Hold the one right to build the data set at `path`; the lock ends with its process.

    Raises InputError if another process is building it. Clears away what killed builds left.
    """
    lock = path.parent / "build.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with lock_file.held(lock):
            _sweep(path)
            yield
    except lock_file.HeldError as owner:
        raise InputError(
            f"'{path}' is being built by another process ({owner}); wait for it to end and run the "
            "same command again."
        ) from None
    except lock_file.ForeignError as what:
        raise InputError(
            f"'{lock}' is {what}, not the lock of a build; move it away or choose another "
            "--data_dir."
        ) from None


def _sweep(path: pathlib.Path) -> None:
    """Remove unfinished builds; whoever holds the lock knows that their owners are dead."""
    replaced = path.parent / _REPLACED
    # Killed between the two renames of `publish`: the old data set is the only whole one.
    if replaced.exists() and not path.exists():
        replaced.rename(path)
    for leftover in path.parent.glob(f"{_UNFINISHED}*"):
        # Only what `staging_folder` and `publish` make: another thing of that name is somebody's.
        made_here = leftover == replaced or re.fullmatch(r"incomplete\.[a-z0-9_]{8}", leftover.name)
        if made_here and leftover.is_dir() and not foreign_files(leftover):
            _remove(leftover)


def foreign_files(folder: pathlib.Path) -> list[str]:
    """Names below a data set's folder that no build writes, sorted."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not (path.is_dir() or _BUILT.fullmatch(path.name))
    )


def _remove(folder: pathlib.Path) -> None:
    """Remove a data set's folder; of a link to one the link alone."""
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder)


@contextlib.contextmanager
def staging_folder(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A fresh folder on the same file system as `path`, removed at the end."""
    with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=path.parent) as name:
        yield pathlib.Path(name)


def publish(finished: pathlib.Path, path: pathlib.Path) -> None:
    """Rename a finished build to `path`; what stood there goes only once the new one is in.

    Raises InputError where files that no build writes would go with it.
    """
    if path.exists() and (foreign := foreign_files(path)):
        raise InputError(
            f"'{path}' holds '{foreign[0]}' beside the data set ({len(foreign)} such files); move "
            "them elsewhere before it is overwritten."
        )
    replaced = path.parent / _REPLACED
    if path.exists():
        path.rename(replaced)
    try:
        finished.rename(path)
    except OSError:
        if replaced.exists():
            replaced.rename(path)
        raise
    if replaced.exists():
        _remove(replaced)
