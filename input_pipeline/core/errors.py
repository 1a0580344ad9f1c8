"""The one exception for faults in data or in a command line that the user can mend."""


class InputError(ValueError):
    """A mistake in the user's data or flags: one full sentence, shown without a traceback.

    The message says what happened, the offending value, what is allowed and what to do.
    """


class Faults:
    """Collects the faults of a whole table or folder, so that one run names how many there are."""

    def __init__(self) -> None:
        self._messages: list[str] = []

    def add(self, message: str) -> None:
        """Note one fault, a sentence as for InputError."""
        self._messages.append(message)

    def raise_if_any(self) -> None:
        """Raise InputError with the first fault and the number of further ones."""
        if not self._messages:
            return
        first, further = self._messages[0], len(self._messages) - 1
        if further:
            first = f"{first.removesuffix('.')} (and {further} more faults)."
        raise InputError(first)
