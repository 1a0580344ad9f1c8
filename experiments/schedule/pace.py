"""How long the rest of a training takes, at the pace of what this start has trained."""

import time


class Pace:
    """Counts seconds of training, compiling left out, and the epochs of folds trained in them."""

    def __init__(self) -> None:
        self._seconds, self._trained = 0.0, 0
        self._since: float | None = None

    def stop(self) -> None:
        """What follows is no training."""
        if self._since is not None:
            self._seconds += time.monotonic() - self._since
            self._since = None

    def restart(self) -> None:
        """Training begins or goes on."""
        if self._since is None:
            self._since = time.monotonic()

    def add(self, epochs: int) -> None:
        """So many epochs of folds more are trained."""
        self._trained += epochs

    def left(self, missing: int) -> float | None:
        """Seconds that so many epochs of folds take; None before any is trained."""
        if not self._trained:
            return None
        running = time.monotonic() - self._since if self._since is not None else 0.0
        return missing * (self._seconds + running) / self._trained
