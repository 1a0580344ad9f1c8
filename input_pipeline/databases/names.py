"""Databases and data sets as papers write them, in one order: for readers, not for programs."""

from collections.abc import Iterable

# The order of every table and picture: MEGC 2019's three, CAS(ME)^3, then others by name.
_NAMES = {
    "casme2": "CASME II",
    "samm": "SAMM",
    "smic": "SMIC",
    "casme3": "CAS(ME)^3",
    "megc2019": "MEGC 2019",
    "megc2018": "MEGC 2018",
}


def in_order(databases: Iterable[str]) -> list[str]:
    """Each database once, in the order of all tables and pictures."""
    return sorted(set(databases), key=place)


def place(database: str) -> tuple[int, str]:
    """Where a database stands in that order."""
    known = list(_NAMES)
    return known.index(database) if database in known else len(known), database


def in_words(name: str) -> str:
    """A database or data set as papers write it; one's own under its own name."""
    return _NAMES.get(name, name)


def in_picture(name: str) -> str:
    """The same for matplotlib, which takes what stands between dollar signs for a formula."""
    return picture_text(in_words(name)).replace("^3", "$^3$")


def picture_text(text: str) -> str:
    """Any text for matplotlib, without formulas."""
    return text.replace("$", r"\$")
