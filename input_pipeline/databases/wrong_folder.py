"""Why a raw folder holds no database: archives still packed, or a folder one level off."""

import os
import pathlib
import re
from collections.abc import Callable, Iterable, Sequence

from input_pipeline.databases.trees import OuterFolder, folders_by_name

_ARCHIVE = re.compile(r".*\.(zip|z\d\d|rar|7z|tar|tgz|gz|bz2|xz|\d{3})", re.IGNORECASE)
# Beside the raw folder may lie a whole disk.
_MOST_BESIDE = 100
# From the frames of CAS(ME)^3 it is three folders up to that of its sheet.
_MOST_UP = 4


def archives(folders: Iterable[OuterFolder]) -> list[str]:
    """The names of archives that lie in a database's outer folders."""
    return [name for folder in folders for name in folder.files if _ARCHIVE.fullmatch(name)]


def some(names: Sequence[str]) -> str:
    """The first few names, and how many there are more."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def hint(
    raw_dir: pathlib.Path, folders: Sequence[OuterFolder], is_subject: Callable[[str], object]
) -> str:
    """What to do about a raw folder in which something is missing; empty where nothing tells."""
    packed = archives(folders)
    if packed:
        return f"archives lie there that were not unpacked ({some(packed)}): unpack them first"
    resolved = raw_dir.resolve()
    for path in (resolved, *resolved.parents[:2]):
        if is_subject(path.name):
            return (
                f"'{raw_dir}' belongs to one subject, {path.name}: name the folder of the whole "
                f"database, such as '{path.parent}'"
            )
    if any(folder.subjects for folder in folders):
        return ""
    near = [resolved.parent, *sorted(_folders_in(resolved.parent))[:_MOST_BESIDE]]
    for folder in near:
        if any(is_subject(path.name) for path in _folders_in(folder)):
            return f"folders of subjects lie in '{folder}': name that folder or one above it"
    return ""


def sheet_above(raw_dir: pathlib.Path, names: Sequence[re.Pattern[str]]) -> str:
    """Where above the raw folder a sheet of one of these names lies; empty where there is none."""
    for parent in raw_dir.resolve().parents[:_MOST_UP]:
        for folder in (parent, *sorted(_folders_in(parent))[:_MOST_BESIDE]):
            found = [name for name in _files_in(folder) if any(n.fullmatch(name) for n in names)]
            if found:
                return (
                    f"'{found[0]}' lies in '{folder}': name '{parent}' with --raw_dir, or that "
                    "sheet with --annotations"
                )
    return ""


def composite_hint(raw_dir: pathlib.Path, databases: Sequence[str]) -> str:
    """What to do about a raw folder that lacks one of its databases' folders; may be empty."""
    packed = sorted(path.name for path in raw_dir.iterdir() if _ARCHIVE.fullmatch(path.name))
    if packed:
        return f"archives lie there that were not unpacked ({some(packed)}): unpack them first"
    inside = sorted(_folders_in(raw_dir))[:_MOST_BESIDE]
    for folder in (raw_dir.resolve().parent, *inside):
        if {path.name.casefold() for path in _folders_in(folder)} >= set(databases):
            return f"they lie in '{folder}': name that folder with --raw_dir"
    return ""


def _folders_in(folder: pathlib.Path) -> list[pathlib.Path]:
    try:
        return [path for paths in folders_by_name(folder).values() for path in paths]
    except OSError:
        return []


def _files_in(folder: pathlib.Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_file())
    except OSError:
        return []
