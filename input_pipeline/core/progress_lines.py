"""Progress of a loop: one redrawn bar on a terminal, a line every ten seconds in a file."""

import sys
from collections.abc import Collection, Iterator
from typing import Any, TextIO, TypeVar

from tqdm import tqdm

# In a file, a line this often, and none for what takes less; seconds.
PLAIN_INTERVAL = 10.0
_REDRAWN_INTERVAL = 0.2
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}, {elapsed} so far, {remaining} left"
_LINE = "{desc}: {n_fmt}/{total_fmt} done, {elapsed} so far, {remaining} left"

Item = TypeVar("Item")


class Lines:
    """Turns the redrawn line of a progress bar into lines of a log."""

    def __init__(self, out: TextIO):
        self._out = out
        self._last = ""

    def write(self, text: str) -> None:
        """Write the line as it is drawn, unless it is empty or was the last one."""
        line = text.strip("\r\n ")
        if line and line != self._last:
            self._out.write(line + "\n")
            self._last = line

    def flush(self) -> None:
        """Send what was written."""
        self._out.flush()


def bar(total: int, what: str, out: TextIO | None = None) -> "tqdm[Any]":
    """A bar over `total` things, advanced by its `update()`.

    Drawn on stderr where that is a terminal. In a log the lines go to stdout, among the command's
    other ones: on stderr a mistake stands alone.
    """
    out = out or (sys.stderr if sys.stderr.isatty() else sys.stdout)
    terminal = out.isatty() and out is not sys.stdout
    return tqdm(
        total=total,
        desc=what,
        file=out if terminal else Lines(out),
        mininterval=_REDRAWN_INTERVAL if terminal else PLAIN_INTERVAL,
        delay=0 if terminal else PLAIN_INTERVAL,
        # Every update is looked at: things take unequal times.
        miniters=1,
        dynamic_ncols=terminal,
        leave=False,
        bar_format=_BAR if terminal else _LINE,
    )


def over(items: Collection[Item], what: str, out: TextIO | None = None) -> Iterator[Item]:
    """The items one after the other, with their bar."""
    with bar(len(items), what, out) as progress:
        for item in items:
            yield item
            progress.update()
