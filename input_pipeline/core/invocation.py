"""When and by which command a report was made."""

import datetime
import shlex
import sys


def command_line() -> str:
    """The command of this process, as it can be typed again in the same folder."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    program = ["python", "-m", spec.name] if spec else sys.argv[:1]
    # A path need be no text; what is no text shows as a code.
    words = (word.encode(errors="backslashreplace").decode() for word in sys.argv[1:])
    return shlex.join([*program, *words])


def now() -> str:
    """Date and time of day in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
