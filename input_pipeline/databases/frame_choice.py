"""Which pictures of each database to start from: `raw`, `cropped`, or one of them by database."""

from collections.abc import Sequence

from input_pipeline.core.errors import InputError

CHOICES = ("raw", "cropped")
DEFAULT = "raw"
EXAMPLE = "casme2:cropped,smic:cropped,samm:raw"


def checked(text: str, databases: Sequence[str]) -> str:
    """The text unchanged; raises InputError unless it is a choice for these databases.

    Allowed is one of CHOICES for all, or `database:choice` entries joined by commas; a database
    that is not named has DEFAULT.
    """
    if text in CHOICES:
        return text
    rule = (
        f"allowed are {', '.join(CHOICES)}, or one of them for each database, as {EXAMPLE}, "
        f"with the databases {', '.join(databases)}"
    )
    seen: set[str] = set()
    for entry in text.split(","):
        database, colon, choice = entry.partition(":")
        if not colon or choice not in CHOICES:
            raise InputError(f"unknown frames '{entry[:40]}' in --frames={text[:80]}; {rule}.")
        if database not in databases:
            raise InputError(
                f"--frames={text[:80]} names '{database[:40]}', which is no database of this data "
                f"set; {rule}."
            )
        if database in seen:
            raise InputError(f"--frames={text[:80]} names {database} twice; name it once.")
        seen.add(database)
    return text


def of(text: str, database: str) -> str:
    """The choice for one database, from a text that was checked."""
    if text in CHOICES:
        return text
    chosen = dict(entry.split(":", 1) for entry in text.split(","))
    return chosen.get(database, DEFAULT)
