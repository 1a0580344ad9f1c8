"""The one exception for faults in data or in a command line that the user can mend."""

import contextlib
from collections.abc import Iterator


class InputError(ValueError):
    """A mistake in the user's data or flags: one full sentence, shown without a traceback.

    The message says what happened, the offending value, what is allowed and what to do.
    """


@contextlib.contextmanager
def at(where: str) -> Iterator[None]:
    """Put the place before the message of an InputError from within."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


class Faults:
    """Collects the faults of a whole table or folder, so that one run names how many there are."""

    def __init__(self) -> None:
        self._messages: list[str] = []

    def add(self, message: str) -> None:
        """Note one fault, a sentence as for InputError."""
        self._messages.append(message)

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Note an InputError from within and go on after it."""
        try:
            yield
        except InputError as error:
            self.add(str(error))

    def raise_if_any(self) -> None:
        """Raise InputError with the first fault and the number of further ones."""
        if not self._messages:
            return
        first, further = self._messages[0], len(self._messages) - 1
        if further:
            first = f"{first.removesuffix('.')} (and {further} more faults)."
        raise InputError(first)
