"""One database's raw folder: its trees and sheets, and why it may be the wrong folder.

It may hold archives that are still packed, or lie one level off.
"""

import dataclasses
import functools
import pathlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from input_pipeline.core.errors import InputError
from input_pipeline.databases import sheet_files, trees
from input_pipeline.databases.rows import ReadResult
from input_pipeline.databases.sheet_files import FoundSheet, GivenSheets, SheetForm
from input_pipeline.databases.trees import OuterFolder

_ARCHIVE = re.compile(r".*\.(zip|z\d\d|rar|7z|tar|tgz|gz|bz2|xz|\d{3})", re.IGNORECASE)
# Beside the raw folder may lie a whole disk.
_MOST_BESIDE = 100
# From the frames of CAS(ME)^3 it is three folders up to that of its sheet.
_MOST_UP = 4


class LeftOut(NamedTuple):
    """Trees that no clip is read from: what their path below the raw folder matches, and why."""

    pattern: re.Pattern[str]
    why: str


NOTHING_LEFT_OUT = LeftOut(re.compile(r"(?!)"), "")


@dataclasses.dataclass
class SourceFolder:
    """A raw folder as found; `is_subject` tells the subjects' folders by their name."""

    raw_dir: pathlib.Path
    is_subject: Callable[[str], object]
    left_out: LeftOut = NOTHING_LEFT_OUT

    @functools.cached_property
    def folders(self) -> tuple[OuterFolder, ...]:
        """The folders above and beside the subjects."""
        return trees.outer_folders(self.raw_dir, self.is_subject)

    @functools.cached_property
    def possible_sheets(self) -> list[pathlib.Path]:
        """Files that may be annotation sheets."""
        return sheet_files.sheet_files(self.folders)

    def sheet(self, form: SheetForm, given: GivenSheets) -> FoundSheet:
        """The sheet to read; raises InputError where there is none, or a damaged one."""
        found = [*self.possible_sheets, *given.above]
        sheet = sheet_files.best(form, given.named, found)
        if sheet:
            return sheet
        raise self._error(
            sheet_files.missing(form, found),
            sheet_above(self.raw_dir, lambda name: form.rank(name) < len(form.names)),
        )

    def trees(self, frames: str) -> tuple[OuterFolder, ...]:
        """The trees of the frames asked for, best first; raises InputError where there is none."""
        found = trees.trees(self.folders, self.raw_dir, frames, self.left_out.pattern)
        if found:
            return found
        others = [folder for folder in self.folders if folder.subjects]
        left = [folder.below for folder in others if self._is_left_out(folder)]
        rest = [folder.below for folder in others if not self._is_left_out(folder)]
        seen = f"found only {', '.join(rest[:5])}" if rest else "no folder of a subject is there"
        if left and not rest:
            seen = f"{', '.join(left[:5])}: left out on purpose, for these are {self.left_out.why}"
        other = "cropped" if frames == "raw" else "raw"
        advice = f", or give --frames={other} if those are wanted" if rest else ""
        raise self._error(
            f"'{self.raw_dir}' holds no {frames} frames ({seen}); check --raw_dir{advice}"
        )

    def noted(
        self, result: ReadResult, sheets: Sequence[FoundSheet], found_trees: Sequence[OuterFolder]
    ) -> ReadResult:
        """The result with notes on what it comes from, and on all that was left aside."""
        notes = [f"annotation sheet: {sheet.path.name}" for sheet in sheets]
        used = {sheet.path for sheet in sheets}
        # The first sheet's reasons come last and stand.
        why = dict.fromkeys(self.possible_sheets, "none is needed")
        why |= {path: reason for sheet in reversed(sheets) for path, reason in sheet.others}
        notes += [
            f"annotation sheet not used: {path.name} ({reason})"
            for path, reason in why.items()
            if path not in used
        ]
        notes += [f"frames: {self._shown(tree.path)}" for tree in found_trees]
        notes += [
            f"frames left out on purpose: {self._shown(folder.path)} ({self.left_out.why})"
            for folder in self.folders
            if folder.subjects and self._is_left_out(folder)
        ]
        notes += [
            f"link not followed: {self._shown(folder.path)}/{name} (it leads nowhere, or to a "
            "folder above the raw one)"
            for folder in self.folders
            for name in folder.unfollowed
        ]
        packed = _packed(name for folder in self.folders for name in folder.files)
        notes += [f"not unpacked: {packed}"] if packed else []
        return dataclasses.replace(result, notes=(*result.notes, *notes))

    def _is_left_out(self, folder: OuterFolder) -> bool:
        return bool(self.left_out.pattern.search(folder.below))

    def _error(self, message: str, other_hint: str = "") -> InputError:
        advice = hint(self.raw_dir, self.folders, self.is_subject) or other_hint
        return InputError(f"{message}; {advice}." if advice else f"{message}.")

    def _shown(self, path: pathlib.Path) -> str:
        return "/".join((self.raw_dir.name, *path.relative_to(self.raw_dir).parts))


def _packed(names: Iterable[str]) -> str:
    """The first few archives among the names of files, and how many there are more."""
    found = [name for name in names if _ARCHIVE.fullmatch(name)]
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(found[:3]) + more


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
    packed = _packed(names)
    return f"archives lie there that were not unpacked ({packed}): unpack them" if packed else ""


def _folders_in(folder: pathlib.Path) -> list[pathlib.Path]:
    return [folder / name for name in _listing(folder).folders]


def _listing(folder: pathlib.Path) -> trees.Listing:
    try:
        return trees.listed(folder)
    except OSError:
        return trees.Listing((), (), ())
