"""All databases that can be read, and the data sets that are made of them.

A new database is a file with its reader and its value, an entry here, its classes in
class_maps.csv and its published counts in expected_counts.csv and class_set_counts.csv.
"""

from typing import NamedTuple

from input_pipeline.databases import casme2, casme3, composite, samm, smic
from input_pipeline.databases.database import Database


class DataSet(NamedTuple):
    """A stored data set: the databases whose clips it may hold, and where they are published."""

    databases: tuple[str, ...]
    publication: str
    doi: str


DATABASES: dict[str, Database] = {
    one.name: one for one in (casme2.DATABASE, samm.DATABASE, smic.DATABASE, casme3.DATABASE)
}
DATA_SETS = {
    **{one.name: DataSet((one.name,), one.publication, one.doi) for one in DATABASES.values()},
    "megc2019": DataSet(
        composite.DATABASES,
        "the composite of SMIC-HS, CASME II and SAMM (MEGC 2019)",
        "10.1109/FG.2019.8756611",
    ),
    "megc2018": DataSet(
        ("casme2", "samm"),
        "CASME II and SAMM in objective classes (MEGC 2018)",
        "10.1109/FG.2018.00106",
    ),
}
STORED_DATASETS = tuple(DATA_SETS)
# `synthetic` is made in memory.
DATASETS = ("synthetic", *STORED_DATASETS)
DATABASES_OF = {name: data_set.databases for name, data_set in DATA_SETS.items()}


def canonical_subject(database: str, subject: str) -> str:
    """The subject as Database.spelled has it; a database of one's own spells as it likes."""
    known = DATABASES.get(database)
    return known.spelled(subject) if known else subject


def database_of(subject: str) -> str | None:
    """The database whose subjects are spelled like this one, or None."""
    fitting = (one.name for one in DATABASES.values() if one.subject.fullmatch(subject))
    return next(fitting, None)
