"""One database's raw folder: what lies above its subjects, which trees and sheets were used."""

import dataclasses
import functools
import pathlib
import re
from collections.abc import Callable, Sequence

from input_pipeline import annotation_files, frame_files
from input_pipeline.clip_table import ReadResult
from input_pipeline.errors import InputError


class SourceFolder:
    """A raw folder as found; `is_subject` tells the subjects' folders by their name."""

    def __init__(self, raw_dir: pathlib.Path, is_subject: Callable[[str], object]) -> None:
        self.raw_dir = raw_dir
        self._is_subject = is_subject

    @functools.cached_property
    def folders(self) -> tuple[frame_files.OuterFolder, ...]:
        """The folders above and beside the subjects."""
        return frame_files.outer_folders(self.raw_dir, self._is_subject)

    @functools.cached_property
    def sheet_files(self) -> list[pathlib.Path]:
        """Files that may be annotation sheets."""
        return annotation_files.sheet_files(self.folders)

    def trees(self, frames: str, left_out: re.Pattern[str]) -> tuple[frame_files.OuterFolder, ...]:
        """The trees of the frames asked for, best first; raises InputError where there is none."""
        if frames not in frame_files.FRAME_CHOICES:
            raise InputError(
                f"unknown frames '{frames}'; allowed are {', '.join(frame_files.FRAME_CHOICES)}."
            )
        return frame_files.trees(self.folders, self.raw_dir, frames, left_out)

    def noted(
        self,
        result: ReadResult,
        sheets: Sequence[annotation_files.FoundSheet],
        trees: Sequence[frame_files.OuterFolder],
    ) -> ReadResult:
        """The result with notes on the sheets and trees it comes from and the sheets left aside."""
        notes = [f"annotation sheet: {sheet.path.name}" for sheet in sheets]
        used = {sheet.path for sheet in sheets}
        # The first sheet's reasons come last and stand.
        why = dict.fromkeys(self.sheet_files, "none is needed")
        why |= {path: reason for sheet in reversed(sheets) for path, reason in sheet.others}
        notes += [
            f"annotation sheet not used: {path.name} ({reason})"
            for path, reason in why.items()
            if path not in used
        ]
        notes += [f"frames: {self._shown(tree.path)}" for tree in trees]
        return dataclasses.replace(result, notes=(*result.notes, *notes))

    def _shown(self, path: pathlib.Path) -> str:
        return "/".join((self.raw_dir.name, *path.relative_to(self.raw_dir).parts))
