"""Finds the trees, clip folders and numbered frames of a database as it was unzipped.

Roots and subjects may be doubled (X/X/...), folders differ in upper and lower case, numbers have
any padding and stray files lie about. Names from a sheet are only compared with what a folder
lists, never joined to a path. Symbolic links are followed, each folder once.
"""

import functools
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.core.errors import InputError

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
# Folders above the subjects: a handful in every release.
_MOST_OUTER_FOLDERS = 2000
_DEEPEST = 8
# A missing frame is replaced by the nearest one up to this many frame numbers away.
NEAREST = 2

Frames = tuple[tuple[int, pathlib.Path], ...]


class FrameName(NamedTuple):
    """How frames are named: `pattern` without the suffix, digits in its group, and an example.

    Case does not count, and digits are those of ASCII.
    """

    pattern: str
    example: str
    suffixes: tuple[str, ...] = _SUFFIXES


class OuterFolder(NamedTuple):
    """A folder above or beside the subjects: what it lists, subjects apart from the rest.

    `below` is its path from the raw folder; `unfollowed` are links that lead nowhere or to a
    folder above the raw one.
    """

    path: pathlib.Path
    below: str
    subjects: tuple[str, ...]
    files: tuple[str, ...]
    unfollowed: tuple[str, ...] = ()


class Listing(NamedTuple):
    """What lies in a folder by its kind, the names sorted."""

    folders: tuple[str, ...]
    files: tuple[str, ...]
    broken: tuple[str, ...]


def outer_folders(
    raw_dir: pathlib.Path, is_subject: Callable[[str], object]
) -> tuple[OuterFolder, ...]:
    """Every folder from `raw_dir` downwards that does not lie inside a subject's folder.

    In the order of depth, then name; what only links lead to comes last. No folder is entered
    twice, so that links cannot lead in circles. Raises InputError where `raw_dir` is no folder or
    holds too many folders to be a database.
    """
    if not raw_dir.is_dir():
        raise InputError(f"the raw folder '{raw_dir}' does not exist; check --raw_dir.")
    seen = {raw_dir.resolve(), *raw_dir.resolve().parents}
    found: list[OuterFolder] = []
    level, links = [raw_dir], list[pathlib.Path]()
    for _ in range(2 * _DEEPEST):
        if not level:
            # What lies here by itself is known; a link to it would show it a second time.
            level, links = _unseen(links, seen), []
        deeper: list[pathlib.Path] = []
        for folder in level:
            names, files, broken = listed(folder)
            subjects = tuple(name for name in names if is_subject(name))
            others = [folder / name for name in names if name not in subjects]
            linked = [path for path in others if path.is_symlink()]
            up = [path.name for path in linked if path.resolve() in raw_dir.resolve().parents]
            below = folder.relative_to(raw_dir).as_posix()
            found.append(OuterFolder(folder, below, subjects, files, (*broken, *up)))
            links += linked
            deeper += _unseen([path for path in others if path not in linked], seen)
        if len(found) + len(deeper) > _MOST_OUTER_FOLDERS:
            raise InputError(
                f"'{raw_dir}' holds more than {_MOST_OUTER_FOLDERS} folders that belong to no "
                "subject; name the folder of one database with --raw_dir."
            )
        level = deeper
    return tuple(found)


def _unseen(folders: Iterable[pathlib.Path], seen: set[pathlib.Path]) -> list[pathlib.Path]:
    """The folders that were not met under any name; they are met now."""
    new = []
    for folder in folders:
        resolved = folder.resolve()
        if resolved not in seen:
            seen.add(resolved)
            new.append(folder)
    return new


def kind_of(below: str, raw_name: str) -> str:
    """`raw`, `selected` (raw frames from onset to offset) or `cropped`, by the folders' names."""
    # The raw folder's own name counts where nothing below it says so.
    for names in (below, raw_name):
        for word, kind in (("crop", "cropped"), ("select", "selected"), ("raw", "raw")):
            if word in names.casefold():
                return kind
    return "raw"


def trees(
    folders: Iterable[OuterFolder], raw_dir: pathlib.Path, frames: str, left_out: re.Pattern[str]
) -> tuple[OuterFolder, ...]:
    """The folders that hold subjects in the frames asked for (raw or cropped), best first.

    `left_out` matches, in the path below the raw folder, what no clip is read from. Whole
    recordings come before selected frames.
    """
    fitting = [f for f in folders if f.subjects and not left_out.search(f.below)]
    wanted = ("raw", "selected") if frames == "raw" else ("cropped",)
    kinds = [kind_of(folder.below, raw_dir.name) for folder in fitting]
    return tuple(
        folder
        for each in wanted
        for folder, kind in zip(fitting, kinds, strict=True)
        if kind == each
    )


def subject_folders(
    tree: pathlib.Path, name: str, spelling: Callable[[str], str] = str.casefold
) -> Iterator[pathlib.Path]:
    """The folders of a subject in a tree, and in each the one of the same name.

    An archive of one subject, unpacked into a folder of its own, doubles it: sub01/sub01/EP02_01f.
    """
    for subject in folders_named(tree, name, spelling):
        yield subject
        yield from folders_named(subject, name, spelling)


def folders_named(
    parent: pathlib.Path, name: str, spelling: Callable[[str], str] = str.casefold
) -> tuple[pathlib.Path, ...]:
    """The folders in `parent` whose names equal `name` once both are spelled alike.

    Several where a copy was unzipped beside another that is spelled otherwise.
    """
    return _folders_by_name(parent, spelling).get(spelling(name), ())


@functools.lru_cache(maxsize=512)
def _folders_by_name(
    parent: pathlib.Path, spelling: Callable[[str], str]
) -> dict[str, tuple[pathlib.Path, ...]]:
    found: dict[str, tuple[pathlib.Path, ...]] = {}
    for name in listed(parent).folders:
        found[spelling(name)] = (*found.get(spelling(name), ()), parent / name)
    return found


def numbered_frames(
    folder: pathlib.Path, name: FrameName, numbers: tuple[int, int] | None = None
) -> Frames:
    """The frames of a folder, ascending by number: (number, file).

    `numbers` limits them (both ends included). Files of other names are stray and ignored;
    whether a frame is readable is for its reader to say. Raises ClipFault (no_frames,
    duplicate_frame).
    """
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
        frames.append((number, folder / files[0]))
    return tuple(frames)


def nearest(frames: Frames, number: int) -> tuple[int, pathlib.Path]:
    """The frame of that number or else the nearest, the earlier of two."""
    return min(frames, key=lambda frame: (abs(frame[0] - number), frame[0]))


def near(frames: Frames, number: int, role: str) -> tuple[int, pathlib.Path]:
    """The nearest frame, which may be NEAREST numbers away; `role` is onset, apex or offset.

    Raises ClipFault (no_frames, frame_missing).
    """
    if not frames:
        raise ClipFault(
            "no_frames", f"the {role} is frame {number}; no frame of the clip is on the disk."
        )
    found = nearest(frames, number)
    if abs(found[0] - number) > NEAREST:
        raise ClipFault(
            "frame_missing",
            f"the {role} frame {number} is missing and the nearest on disk is {found[0]}; allowed "
            f"are {NEAREST} frames of distance.",
        )
    return found


# Long recordings hold many clips and thousands of frames; the sheet's rows come video by video.
@functools.lru_cache(maxsize=4)
def _numbered(folder: pathlib.Path, frame_name: FrameName) -> dict[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = {}
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        stem, suffix = os.path.splitext(name)
        match = re.fullmatch(frame_name.pattern, stem, re.ASCII | re.IGNORECASE)
        if match and suffix.lower() in frame_name.suffixes:
            number = int(match[1])
            found[number] = (*found.get(number, ()), name)
    return found


def forget_listings() -> None:
    """Read folders anew: a later build in the same process may meet other files."""
    _numbered.cache_clear()
    _folders_by_name.cache_clear()


def _what_is_there(folder: pathlib.Path, name: FrameName) -> str:
    names = sorted(os.listdir(folder))
    if not names:
        return f"the folder '{folder.name}' is empty."
    return (
        f"the folder '{folder.name}' holds {len(names)} files, such as {names[0][:40]!a}, but no "
        f"frame named like '{name.example}'."
    )


def listed(folder: pathlib.Path) -> Listing:
    """Names of the folders, the files and the broken links in a folder, hidden ones apart."""
    kinds: dict[str, list[str]] = {"folder": [], "file": [], "broken": []}
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith((".", "__MACOSX")):
                kinds.setdefault(_kind(entry), []).append(entry.name)
    return Listing(*(tuple(sorted(kinds[kind])) for kind in ("folder", "file", "broken")))


def _kind(entry: "os.DirEntry[str]") -> str:
    try:
        if entry.is_dir():
            return "folder"
        if entry.is_file():
            return "file"
    except OSError:
        # A link to itself.
        return "broken"
    return "broken" if entry.is_symlink() else "other"
