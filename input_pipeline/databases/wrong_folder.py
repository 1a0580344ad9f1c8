"""Why a raw folder holds no database: archives still packed, or a folder one level off."""

import pathlib
import re
from collections.abc import Callable, Iterable, Sequence

from input_pipeline.databases import trees
from input_pipeline.databases.trees import OuterFolder

_ARCHIVE = re.compile(r".*\.(zip|z\d\d|rar|7z|tar|tgz|gz|bz2|xz|\d{3})", re.IGNORECASE)
# Beside the raw folder may lie a whole disk.
_MOST_BESIDE = 100
# From the frames of CAS(ME)^3 it is three folders up to that of its sheet.
_MOST_UP = 4


def archives(names: Iterable[str]) -> list[str]:
    """The names of archives among those of files."""
    return [name for name in names if _ARCHIVE.fullmatch(name)]


def some(names: Sequence[str]) -> str:
    """The first few names, and how many there are more."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def hint(
    raw_dir: pathlib.Path, folders: Sequence[OuterFolder], is_subject: Callable[[str], object]
) -> str:
    """What to do about a raw folder in which something is missing; empty where nothing tells."""
    packed = _unpack(name for folder in folders for name in folder.files)
    if packed:
        return packed
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


def sheet_above(raw_dir: pathlib.Path, is_sheet: Callable[[str], bool]) -> str:
    """Where above the raw folder a sheet lies, by its name; empty where there is none."""
    for parent in raw_dir.resolve().parents[:_MOST_UP]:
        for folder in (parent, *sorted(_folders_in(parent))[:_MOST_BESIDE]):
            found = list(filter(is_sheet, _listing(folder).files))
            if found:
                return (
                    f"'{found[0]}' lies in '{folder}': name '{parent}' with --raw_dir, or that "
                    "sheet with --annotations"
                )
    return ""


def composite_hint(raw_dir: pathlib.Path, databases: Sequence[str]) -> str:
    """What to do about a raw folder that lacks one of its databases' folders; may be empty."""
    packed = _unpack(_listing(raw_dir).files)
    if packed:
        return packed
    inside = sorted(_folders_in(raw_dir))[:_MOST_BESIDE]
    for folder in (raw_dir.resolve().parent, *inside):
        if {path.name.casefold() for path in _folders_in(folder)} >= set(databases):
            return f"they lie in '{folder}': name that folder with --raw_dir"
    return ""


def _unpack(names: Iterable[str]) -> str:
    packed = archives(names)
    shown = f"archives lie there that were not unpacked ({some(packed)}): unpack them first"
    return shown if packed else ""


def _folders_in(folder: pathlib.Path) -> list[pathlib.Path]:
    return [folder / name for name in _listing(folder).folders]


def _listing(folder: pathlib.Path) -> trees.Listing:
    try:
        return trees.listed(folder)
    except OSError:
        return trees.Listing((), (), ())
