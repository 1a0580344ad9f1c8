"""Published corrections of the annotation sheets (corrections.csv), applied cell by cell."""

import functools

from input_pipeline.databases import packaged_table
from input_pipeline.databases.rows import AppliedCorrection

_PROTOCOL = "protocol"


class Corrections:
    """The corrections of one database; `applied` lists those that met the value they correct.

    A copy of the sheet in which somebody has already changed the cell is left as it is.
    """

    def __init__(self, database: str) -> None:
        self._database = database
        self.applied: list[AppliedCorrection] = []

    def apply(self, subject: str, clip: str, field: str, value: str) -> str:
        """The cell's text, corrected where a correction names this clip, field and value."""
        row = _by_cell().get((self._database, subject, clip, field))
        if row is None or value != row["old"]:
            return value
        self.applied.append(
            AppliedCorrection(
                key=f"{self._database}/{subject}/{clip}",
                field=field,
                old=row["old"],
                new=row["new"],
                reason=row["reason"],
                source=row["source"],
            )
        )
        return row["new"]

    def in_protocol(self, subject: str, clip: str) -> bool:
        """False for a clip that the 3-class protocol leaves out by name; counted as applied."""
        return self.apply(subject, clip, _PROTOCOL, "in") == "in"


@functools.cache
def _by_cell() -> dict[tuple[str, str, str, str], dict[str, str]]:
    return {
        (row["database"], row["subject"], row["clip"], row["field"]): row
        for row in packaged_table.rows("corrections.csv")
    }
