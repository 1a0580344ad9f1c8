"""The progress line: folds done, epoch, loss with its range, clips per second, time left."""

import sys
import time
from typing import TextIO

import numpy as np
from tqdm import tqdm

# Where output is no terminal, a new line this often instead of one that is redrawn; seconds.
PLAIN_INTERVAL = 10.0


class _Lines:
    """Turns the redrawn line of a progress bar into lines of a log."""

    def __init__(self, out: TextIO):
        self._out = out
        self._last = ""

    def write(self, text: str) -> None:
        line = text.strip("\r\n ")
        if line and line != self._last:
            self._out.write(line + "\n")
            self._last = line

    def flush(self) -> None:
        self._out.flush()


class Progress:
    """One bar over all epochs of all folds; compiling is not counted in its time left."""

    def __init__(self, jobs: int, epochs: int, done_jobs: int = 0, out: TextIO | None = None):
        """Start the bar; `done_jobs` are finished already, from an earlier start."""
        out = out or sys.stderr
        terminal = out.isatty()
        self._out = out
        self._jobs = jobs
        self._epochs = epochs
        self._done = done_jobs
        # Epochs of folds that the bar counts for the chunk in training.
        self._in_chunk = 0
        self._stopped: float | None = None
        self._bar = tqdm(
            total=jobs * epochs,
            initial=done_jobs * epochs,
            file=out if terminal else _Lines(out),
            mininterval=0.2 if terminal else PLAIN_INTERVAL,
            maxinterval=10.0 if terminal else 10 * PLAIN_INTERVAL,
            smoothing=0.1,
            dynamic_ncols=terminal,
            desc=f"folds {done_jobs}/{jobs}, epoch 0/{epochs}:",
            bar_format="{desc} {percentage:.0f}%, {elapsed} so far, {remaining} left{postfix}",
        )

    def note(self, text: str) -> None:
        """Print a line of its own above the bar."""
        tqdm.write(text, file=self._out)

    def stop_clock(self) -> None:
        """What follows is compiling and reading; it counts for no time left."""
        if self._stopped is None:
            self._stopped = time.time()

    def restart_clock(self) -> None:
        """Training begins or goes on."""
        if self._stopped is not None:
            passed = time.time() - self._stopped
            self._bar.start_t += passed
            self._bar.last_print_t += passed
            self._stopped = None

    def resume_chunk(self, jobs: int, epoch: int) -> None:
        """Report that the current folds stand at `epoch` already, from an earlier start."""
        self._pass(jobs * epoch)
        self._in_chunk = jobs * epoch
        self._describe(epoch)
        self._bar.refresh()

    def fall_back(self) -> None:
        """Report that the current folds start anew: what they had trained is lost."""
        self._pass(-self._in_chunk)
        self._in_chunk = 0

    def advance(self, epochs: int, epoch: int, loss_S: np.ndarray, clips_per_second: float) -> None:
        """Report that the current folds have trained further `epochs`, up to `epoch`."""
        self._describe(epoch)
        low, high = float(np.min(loss_S)), float(np.max(loss_S))
        self._bar.set_postfix_str(
            f"loss {float(np.mean(loss_S)):.3f} ({low:.3f}..{high:.3f}), "
            f"{clips_per_second:,.0f} clips/s",
            refresh=False,
        )
        self._in_chunk += epochs * len(loss_S)
        self._bar.update(epochs * len(loss_S))

    def finish_chunk(self, jobs: int) -> None:
        """Report that the current folds are done."""
        self._done += jobs
        self._in_chunk = 0
        self._describe(self._epochs)

    def close(self) -> None:
        """End the line."""
        self._bar.refresh()
        self._bar.close()

    def _pass(self, count: int) -> None:
        # Moves the bar without counting that as work of this start.
        for name in ("initial", "n", "last_print_n"):
            setattr(self._bar, name, getattr(self._bar, name) + count)

    def _describe(self, epoch: int) -> None:
        self._bar.set_description_str(
            f"folds {self._done}/{self._jobs}, epoch {epoch}/{self._epochs}:", refresh=False
        )
