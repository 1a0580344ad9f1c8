"""What there is to know of a database: one value for each, in the file of its reader."""

import dataclasses
import pathlib
import re
from collections.abc import Callable

from input_pipeline.core.errors import InputError
from input_pipeline.databases.expected_counts import NamesOf
from input_pipeline.databases.rows import ReadResult
from input_pipeline.databases.sheet_files import GivenSheets, SheetForm
from input_pipeline.databases.source_folder import NOTHING_LEFT_OUT, LeftOut
from input_pipeline.databases.trees import FrameName


@dataclasses.dataclass(frozen=True)
class Database:
    """A database as its authors deliver it.

    `subject` matches a subject as written, its number in the group, and `spelling` formats that
    number as the composite list spells it. `frame_names` says how frames are named in each tree
    (raw, cropped). `read` takes the raw folder, the sheets given and the tree's name, and raises
    InputError where sheet or frames are not to be found.
    """

    name: str
    doi: str
    publication: str
    subject: re.Pattern[str]
    spelling: str
    frame_names: dict[str, FrameName]
    frames_per_second: int
    read: Callable[[pathlib.Path, GivenSheets, str], ReadResult]
    sheet_forms: tuple[SheetForm, ...] = ()
    has_apex: bool = True
    left_out: LeftOut = NOTHING_LEFT_OUT
    # Key and class of every clip, where names follow from the counts.
    clips_by_counts: NamesOf | None = None

    def spelled(self, subject: str) -> str:
        """The subject in the composite list's spelling: SAMM's `6` becomes `006`, `SUB1` `sub01`.

        Raises InputError on an unknown spelling: it might name a person twice.
        """
        found = self.subject.fullmatch(subject)
        if not found:
            raise InputError(
                f"the subject {subject!a} is not spelled like one of {self.name}, whose subjects "
                f"look like {self.spelling.format(3)}; correct it."
            )
        return self.spelling.format(int(found[1]))
