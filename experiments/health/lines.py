"""A line of the doctor's block: what was found, and the command that mends it."""

import enum
from typing import NamedTuple

# As README has it: the project is installed from a checkout, it is in no package index.
INSTALL = "python -m pip install -c constraints.txt -e ."


def install(extra: str) -> str:
    """The command that installs an extra from the checkout."""
    return f"python -m pip install -c constraints.txt -e '.[{extra}]'"


class State(enum.Enum):
    """How it stands with a part; FAILED alone makes the command's exit status 3."""

    OK = "ok"
    MISSING = "missing"
    WARNING = "warning"
    FAILED = "FAILED"


class Line(NamedTuple):
    """A part's state, what was found, and what to do about it, where something is to be done."""

    state: State
    found: str
    mend: str = ""
