"""Published corrections of the annotation sheets (corrections.csv), applied cell by cell."""

import enum

from input_pipeline.databases import packaged_table
from input_pipeline.databases.rows import AppliedCorrection


class Part(enum.Enum):
    """What a clip is to the 3-class protocol, by its name alone; the values are the table's."""

    INSIDE = "in"
    OUTSIDE = "out"
    # An extra row of some copies of the sheet.
    NO_CLIP = "none"


class Corrections:
    """The corrections of one database; `applied` lists those that met the value they correct.

    A copy of the sheet in which somebody has already changed the cell is left as it is.
    """

    def __init__(self, database: str) -> None:
        self._database = database
        self.applied: list[AppliedCorrection] = []

    def apply(self, subject: str, clip: str, field: str, value: str) -> str:
        """The cell's text, corrected where a correction names this clip, field and value."""
        names = {"database": self._database, "subject": subject, "clip": clip}
        cell = names | {"field": field, "old": value}
        rows = packaged_table.rows("corrections.csv")
        row = next((row for row in rows if cell.items() <= row.items()), None)
        if row is None:
            return value
        facts = {name: row[name] for name in ("field", "old", "new", "reason", "source")}
        self.applied.append(AppliedCorrection(f"{self._database}/{subject}/{clip}", **facts))
        return row["new"]

    def part_of(self, subject: str, clip: str) -> Part:
        """What the table says of a clip by name; where it says something, counted as applied."""
        return Part(self.apply(subject, clip, "protocol", Part.INSIDE.value))
