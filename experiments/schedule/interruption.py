"""Leaving on SIGTERM, SIGHUP and Ctrl-C: at once, or in training after a checkpoint, within 10 s.

Python runs a signal's handler on the main thread only, and not while that waits for a device or
for the compiler. So the work goes to a thread of its own, and the main thread waits for both.
"""

import concurrent.futures
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn, Self, TypeVar

from input_pipeline.core.command import StoppedError

# After the first signal, the work has so long to reach the end of its dispatch and to save; 10 s
# are promised.
LEAVE_SECONDS = 8.0
_POLL_SECONDS = 0.1
_SIGNALS = {signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP", signal.SIGINT: "Ctrl-C"}

Result = TypeVar("Result")


class Interruption:
    """Handlers of SIGTERM, SIGHUP and Ctrl-C, from entering to leaving the context.

    Outside `run`, a signal raises StoppedError. Inside, it sets `requested`, for the work to see.
    """

    def __init__(self, name: str) -> None:
        """`name` is the command's, for the line on stderr."""
        self.requested = False
        # Whether the work can save something if it is given the time.
        self.can_save = False
        # What an end at this moment would leave on the disk: folds, and of the chunk in training.
        self.finished = "nothing was trained yet"
        self.saved = ""
        self._name = name
        self._number: int = signal.SIGTERM
        self._deadline = float("inf")
        self._working = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Self:
        # Handlers belong to the main thread; a run started elsewhere does without.
        if threading.current_thread() is threading.main_thread():
            # What the process was started to ignore (nohup, a background job) stays ignored.
            heeded = [n for n in _SIGNALS if signal.getsignal(n) is not signal.SIG_IGN]
            self._previous = {number: signal.signal(number, self._receive) for number in heeded}
        return self

    def listen(self) -> None:
        """Take the signals back from a library that took them for itself."""
        for number in self._previous:
            signal.signal(number, self._receive)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    @property
    def kept(self) -> str:
        """What an end at this moment would leave on the disk."""
        return "; ".join(filter(None, (self.finished, self.saved)))

    def run(self, work: Callable[[], Result], *, can_save: bool = False) -> Result:
        """The result of `work`, called in another thread; its exceptions are raised here.

        Ends the process where a signal came and the work does not return in time.
        """
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            self.can_save = can_save
            self._working = True
            try:
                future = pool.submit(work)
                while not concurrent.futures.wait([future], _POLL_SECONDS).done:
                    if self.requested and (not self.can_save or time.monotonic() > self._deadline):
                        self._leave()
            finally:
                self._working = False
                self.can_save = False
            return future.result()

    def stopped(self) -> StoppedError:
        """The exception for the signal that came, with what is on the disk."""
        return StoppedError(self._number, self._line())

    def _receive(self, number: int, _: FrameType | None) -> None:
        if self.requested:
            # A second SIGTERM is a scheduler's reminder, a second Ctrl-C a person's impatience;
            # closing a terminal sends SIGHUP more than once.
            if number == signal.SIGINT:
                self._leave()
            return
        self._number = number
        if not self._working:
            raise self.stopped()
        self.requested = True
        self._deadline = time.monotonic() + LEAVE_SECONDS

    def _line(self) -> str:
        how = _SIGNALS[signal.Signals(self._number)]
        return f"stopped by {how}; {self.kept}; the same command goes on from there."

    def _leave(self) -> NoReturn:
        # The other thread cannot be ended while it waits for a device: the process goes.
        sys.stdout.flush()
        # A bar on a terminal leaves its line open; the stream itself may be in use.
        start = "\n" if os.isatty(2) else ""
        os.write(2, f"{start}{self._name}: {self._line()}\n".encode())
        os._exit(128 + self._number)
