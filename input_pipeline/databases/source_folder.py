"""One database's raw folder: what lies above its subjects, which trees and sheets were used."""

import dataclasses
import functools
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from input_pipeline.core.errors import InputError
from input_pipeline.databases import sheet_files, trees, wrong_folder
from input_pipeline.databases.rows import ReadResult
from input_pipeline.databases.sheet_files import FoundSheet, GivenSheets, SheetForm
from input_pipeline.databases.trees import OuterFolder


class LeftOut(NamedTuple):
    """Trees that no clip is read from: what their path below the raw folder matches, and why."""

    pattern: re.Pattern[str]
    why: str


NOTHING_LEFT_OUT = LeftOut(re.compile(r"(?!)"), "")


class SourceFolder:
    """A raw folder as found; `is_subject` tells the subjects' folders by their name."""

    def __init__(
        self,
        raw_dir: pathlib.Path,
        is_subject: Callable[[str], object],
        left_out: LeftOut = NOTHING_LEFT_OUT,
    ) -> None:
        self.raw_dir = raw_dir
        self._is_subject = is_subject
        self._left_out = left_out

    @functools.cached_property
    def folders(self) -> tuple[OuterFolder, ...]:
        """The folders above and beside the subjects."""
        return trees.outer_folders(self.raw_dir, self._is_subject)

    @functools.cached_property
    def possible_sheets(self) -> list[pathlib.Path]:
        """Files that may be annotation sheets."""
        return sheet_files.sheet_files(self.folders)

    def sheet(self, form: SheetForm, given: GivenSheets) -> FoundSheet:
        """The sheet to read; raises InputError where there is none, or a damaged one."""
        try:
            return sheet_files.required(form, given, self.possible_sheets)
        except sheet_files.SheetNotFoundError as error:
            above = wrong_folder.sheet_above(
                self.raw_dir, lambda name: form.rank(name) < len(form.names)
            )
            raise self._with_hint(error, above) from error

    def trees(self, frames: str) -> tuple[OuterFolder, ...]:
        """The trees of the frames asked for, best first; raises InputError where there is none."""
        found = trees.trees(self.folders, self.raw_dir, frames, self._left_out.pattern)
        if found:
            return found
        others = [folder for folder in self.folders if folder.subjects]
        left = [folder.below for folder in others if self._is_left_out(folder)]
        rest = [folder.below for folder in others if not self._is_left_out(folder)]
        seen = f"found only {', '.join(rest[:5])}" if rest else "no folder of a subject is there"
        if left and not rest:
            seen = f"{', '.join(left[:5])}: left out on purpose, for these are {self._left_out.why}"
        other = "cropped" if frames == "raw" else "raw"
        advice = f", or give --frames={other} if those are wanted" if rest else ""
        message = f"'{self.raw_dir}' holds no {frames} frames ({seen}); check --raw_dir{advice}."
        raise self._with_hint(InputError(message))

    def noted(
        self,
        result: ReadResult,
        sheets: Sequence[FoundSheet],
        found_trees: Sequence[OuterFolder],
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
            f"frames left out on purpose: {self._shown(folder.path)} ({self._left_out.why})"
            for folder in self.folders
            if folder.subjects and self._is_left_out(folder)
        ]
        notes += [
            f"link not followed: {self._shown(folder.path)}/{name} (it leads nowhere, or to a "
            "folder above the raw one)"
            for folder in self.folders
            for name in folder.unfollowed
        ]
        archives = wrong_folder.archives(n for folder in self.folders for n in folder.files)
        if archives:
            notes.append(f"not unpacked: {wrong_folder.some(archives)}")
        return dataclasses.replace(result, notes=(*result.notes, *notes))

    def _is_left_out(self, folder: OuterFolder) -> bool:
        return bool(self._left_out.pattern.search(folder.below))

    def _with_hint(self, error: InputError, other: str = "") -> InputError:
        hint = wrong_folder.hint(self.raw_dir, self.folders, self._is_subject) or other
        return InputError(f"{str(error).removesuffix('.')}; {hint}.") if hint else error

    def _shown(self, path: pathlib.Path) -> str:
        return "/".join((self.raw_dir.name, *path.relative_to(self.raw_dir).parts))
