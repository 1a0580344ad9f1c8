"""Finds the trees, clip folders and numbered frames of a database as it was unzipped.

Roots may be doubled (X/X/...), folders differ in upper and lower case, numbers have any padding
and stray files lie about. Names from a sheet are only compared with what a folder lists, never
joined to a path, and links that leave the raw folder are refused.
"""

import functools
import os
import pathlib
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from input_pipeline.clip_faults import ClipFault
from input_pipeline.errors import InputError

FRAME_CHOICES = ("raw", "cropped")
_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
# Folders above the subjects: a handful in every release.
_MOST_OUTER_FOLDERS = 2000
_DEEPEST = 8

Frames = tuple[tuple[int, pathlib.Path], ...]


class FrameName(NamedTuple):
    """How frames are named: `pattern` without the suffix, digits in its group, and an example."""

    pattern: re.Pattern[str]
    example: str
    suffixes: tuple[str, ...] = _SUFFIXES


class OuterFolder(NamedTuple):
    """A folder above or beside the subjects: what it lists, subjects apart from the rest."""

    path: pathlib.Path
    subjects: tuple[str, ...]
    files: tuple[str, ...]


def outer_folders(
    raw_dir: pathlib.Path, is_subject: Callable[[str], object]
) -> tuple[OuterFolder, ...]:
    """Every folder from `raw_dir` downwards that does not lie inside a subject's folder.

    In the order of depth, then name. Raises InputError where `raw_dir` is no folder or holds too
    many folders to be a database.
    """
    if not raw_dir.is_dir():
        raise InputError(f"the raw folder '{raw_dir}' does not exist; check --raw_dir.")
    limit = raw_dir.resolve()
    found: list[OuterFolder] = []
    level = [raw_dir]
    for _ in range(_DEEPEST):
        deeper: list[pathlib.Path] = []
        for folder in level:
            names, files = _listed(folder)
            subjects = tuple(name for name in names if is_subject(name))
            found.append(OuterFolder(folder, subjects, files))
            others = (folder / name for name in names if name not in subjects)
            deeper += [path for path in others if _is_inside(path, limit)]
        if len(found) + len(deeper) > _MOST_OUTER_FOLDERS:
            raise InputError(
                f"'{raw_dir}' holds more than {_MOST_OUTER_FOLDERS} folders that belong to no "
                "subject; name the folder of one database with --raw_dir."
            )
        level = deeper
    return tuple(found)


def kind_of(path: pathlib.Path, raw_dir: pathlib.Path) -> str:
    """`raw`, `selected` (raw frames from onset to offset) or `cropped`, by the folders' names."""
    # The raw folder's own name counts where nothing below it tells.
    for names in ("/".join(_below(path, raw_dir)), raw_dir.name):
        for word, kind in (("crop", "cropped"), ("select", "selected"), ("raw", "raw")):
            if word in names.casefold():
                return kind
    return "raw"


def trees(
    folders: Iterable[OuterFolder], raw_dir: pathlib.Path, frames: str, left_out: re.Pattern[str]
) -> tuple[OuterFolder, ...]:
    """The folders that hold subjects in the frames asked for (FRAME_CHOICES), best first.

    `left_out` matches, in the path below the raw folder, what no clip is read from: depth
    pictures, other recordings. Whole recordings come before selected frames. Raises
    InputError where there is none.
    """
    with_subjects = [folder for folder in folders if folder.subjects]
    fitting = [f for f in with_subjects if not left_out.search("/".join(_below(f.path, raw_dir)))]
    kinds = {folder.path: kind_of(folder.path, raw_dir) for folder in fitting}
    wanted = ("raw", "selected") if frames == "raw" else ("cropped",)
    chosen = [folder for folder in fitting if kinds[folder.path] in wanted]
    if not chosen:
        others = sorted({"/".join(_below(f.path, raw_dir)) or "." for f in with_subjects})
        seen = (
            f"found only {', '.join(others[:5])}" if others else "no folder of a subject is there"
        )
        other = "cropped" if frames == "raw" else "raw"
        raise InputError(
            f"'{raw_dir}' holds no {frames} frames ({seen}); check --raw_dir, or give "
            f"--frames={other} if those are wanted."
        )
    return tuple(sorted(chosen, key=lambda folder: wanted.index(kinds[folder.path])))


def folders_named(
    parent: pathlib.Path, name: str, spelling: Callable[[str], str] = str.casefold
) -> tuple[pathlib.Path, ...]:
    """The folders in `parent` whose names equal `name` once both are spelled alike.

    Several where a copy was unzipped beside another that is spelled otherwise.
    """
    return folders_by_name(parent, spelling).get(spelling(name), ())


@functools.lru_cache(maxsize=512)
def folders_by_name(
    parent: pathlib.Path, spelling: Callable[[str], str] = str.casefold
) -> dict[str, tuple[pathlib.Path, ...]]:
    """The folders in `parent` by their name as `spelling` writes it."""
    found: dict[str, tuple[pathlib.Path, ...]] = {}
    for name in _listed(parent)[0]:
        found[spelling(name)] = (*found.get(spelling(name), ()), parent / name)
    return found


def numbered_frames(
    folder: pathlib.Path,
    name: FrameName,
    raw_dir: pathlib.Path,
    numbers: tuple[int, int] | None = None,
) -> Frames:
    """The frames of a folder, ascending by number: (number, file).

    `numbers` limits them (both ends included). Files of other names are stray and ignored;
    whether a frame is readable is for its reader to say. Raises ClipFault (no_frames,
    duplicate_frame, outside_raw_dir).
    """
    limit = raw_dir.resolve()
    if not _is_inside(folder, limit):
        raise ClipFault(
            "outside_raw_dir", f"the folder '{folder.name}' is a link that leaves the raw folder."
        )
    by_number = _numbered(folder, name)
    if not by_number:
        raise ClipFault("no_frames", _what_is_there(folder, name))
    low, high = numbers or (min(by_number), max(by_number))
    frames = []
    for number in sorted(n for n in by_number if low <= n <= high):
        files = by_number[number]
        if len(files) > 1:
            raise ClipFault(
                "duplicate_frame", f"'{files[0]}' and '{files[1]}' are both frame {number}."
            )
        path = folder / files[0]
        if path.is_symlink() and not _is_inside(path, limit):
            raise ClipFault(
                "outside_raw_dir", f"the frame '{files[0]}' is a link that leaves the raw folder."
            )
        frames.append((number, path))
    return tuple(frames)


def nearest(frames: Frames, number: int) -> tuple[int, pathlib.Path] | None:
    """The frame of that number or else the nearest, the earlier of two; None without frames."""
    return min(frames, key=lambda frame: (abs(frame[0] - number), frame[0]), default=None)


# Long recordings hold many clips and thousands of frames; the sheet's rows come video by video.
@functools.lru_cache(maxsize=4)
def _numbered(folder: pathlib.Path, frame_name: FrameName) -> dict[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = {}
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        stem, suffix = os.path.splitext(name)
        fits = suffix.lower() in frame_name.suffixes
        match = frame_name.pattern.fullmatch(stem) if fits else None
        if match:
            number = int(match[1])
            found[number] = (*found.get(number, ()), name)
    return found


def forget_listings() -> None:
    """Read folders anew: a later build in the same process may meet other files."""
    _numbered.cache_clear()
    folders_by_name.cache_clear()


def _what_is_there(folder: pathlib.Path, name: FrameName) -> str:
    names = sorted(os.listdir(folder))
    if not names:
        return f"the folder '{folder.name}' is empty."
    return (
        f"the folder '{folder.name}' holds {len(names)} files, such as {names[0][:40]!a}, but no "
        f"frame named like '{name.example}'."
    )


def _listed(folder: pathlib.Path) -> tuple[list[str], tuple[str, ...]]:
    """Names of the folders and of the files in a folder, hidden ones apart, sorted."""
    with os.scandir(folder) as entries:
        shown = [entry for entry in entries if not entry.name.startswith((".", "__MACOSX"))]
        inner = sorted(entry.name for entry in shown if entry.is_dir())
        return inner, tuple(sorted(entry.name for entry in shown if entry.is_file()))


def _is_inside(path: pathlib.Path, limit: pathlib.Path) -> bool:
    try:
        return path.resolve().is_relative_to(limit)
    # A loop of links.
    except (OSError, RuntimeError):
        return False


def _below(path: pathlib.Path, raw_dir: pathlib.Path) -> tuple[str, ...]:
    return path.relative_to(raw_dir).parts
