"""The doctor's lines as one fenced text to paste into an issue, without names of people."""

import getpass
import os
import pathlib
import re
from collections.abc import Mapping, Sequence

from experiments.health.lines import Line, State

_WIDTH = max(len(state.value) for state in State)


def text(title: str, parts: Mapping[str, Sequence[Line]]) -> str:
    """The block: the title, every part with its lines, and what it comes to."""
    rows = [title]
    for part, lines in parts.items():
        rows += ["", part]
        for line in lines:
            rows.append(f"  {line.state.value:{_WIDTH}}  {_one_row(line.found)}")
            if line.mend:
                rows.append(f"  {'':{_WIDTH}}  -> {_one_row(line.mend)}")
    rows += ["", _verdict(parts)]
    # No row may end the fence.
    inside = "\n".join(rows).replace("```", "'''")
    return f"```text\n{without_people(inside)}\n```"


def failed(parts: Mapping[str, Sequence[Line]]) -> bool:
    """Whether an installed part does not work."""
    return any(line.state is State.FAILED for lines in parts.values() for line in lines)


def without_people(written: str) -> str:
    """The text with ~ for the user's home folder, and <user> where a path holds the user's name."""
    homes = {os.path.expanduser("~")}
    homes |= {os.path.realpath(home) for home in homes}
    for home in sorted(homes, key=len, reverse=True):
        if pathlib.Path(home).is_absolute() and home != "/":
            written = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", written)
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        return written
    return re.sub(rf"(?<=/){re.escape(user)}(?![\w.-])", "<user>", written)


def _one_row(words: str) -> str:
    return " ".join(words.split())


def _verdict(parts: Mapping[str, Sequence[Line]]) -> str:
    states = [line.state for lines in parts.values() for line in lines]
    counts = {state: states.count(state) for state in State}
    first = "something installed does not work" if failed(parts) else "what is installed works"
    return (
        f"{first}: failed {counts[State.FAILED]}, warnings {counts[State.WARNING]}, "
        f"missing {counts[State.MISSING]}"
    )
