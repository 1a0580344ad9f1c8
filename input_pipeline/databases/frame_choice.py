"""Which pictures of each database to start from: `raw`, `cropped`, or one of them by database."""

from collections.abc import Sequence

from input_pipeline.core.errors import InputError

CHOICES = ("raw", "cropped")
DEFAULT = "raw"
EXAMPLE = "casme2:cropped,smic:cropped,samm:raw"


def by_database(text: str, databases: Sequence[str]) -> dict[str, str]:
    """The choice for each of these databases; raises InputError on another text.

    Allowed is one of CHOICES for all, or `database:choice` entries joined by commas; a database
    that is not named has DEFAULT.
    """
    if text in CHOICES:
        return dict.fromkeys(databases, text)
    rule = (
        f"allowed are {', '.join(CHOICES)}, or one of them for each database, as {EXAMPLE}, "
        f"with the databases {', '.join(databases)}"
    )
    chosen: dict[str, str] = {}
    for entry in text.split(","):
        database, _, choice = entry.partition(":")
        if choice not in CHOICES:
            raise InputError(f"unknown frames '{entry[:40]}' in --frames={text[:80]}; {rule}.")
        if database not in databases:
            raise InputError(
                f"--frames={text[:80]} names '{database[:40]}', which is no database of this data "
                f"set; {rule}."
            )
        if database in chosen:
            raise InputError(f"--frames={text[:80]} names {database} twice; name it once.")
        chosen[database] = choice
    return dict.fromkeys(databases, DEFAULT) | chosen
