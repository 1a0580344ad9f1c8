"""Event files, which TensorBoard shows: scalars by epoch, and pictures; of the tensorboard extra.

Each start writes a file of its own, whole in itself; its first event tells TensorBoard that those
of earlier starts in the folder no longer count.
"""

import contextlib
import importlib.util
import pathlib
import sys
import time
from typing import Any

from PIL import Image

from input_pipeline.core.errors import InputError

FOLDER = "tensorboard"
# Of a report, where drawn, and what ends the name of the event file that holds them.
_PICTURES = ("confusion_matrix", "curves", "subjects", "choices")
_PICTURES_SUFFIX = ".pictures"


def require() -> None:
    """Raise InputError with the command that installs the writer where it is missing."""
    try:
        found = importlib.util.find_spec("tensorboardX")
    except ValueError:
        found = None
    if found is None:
        raise InputError(
            "--tensorboard needs the library tensorboardX, which is not installed; from the "
            "checkout run: python -m pip install -c constraints.txt -e '.[tensorboard]'"
        )


def are_there(workdir: pathlib.Path) -> bool:
    """Whether a start has written event files."""
    return any((workdir / FOLDER).glob("*.tfevents.*"))


class Writer:
    """Writes one event file; every method raises OSError where the disk is full."""

    def __init__(self, workdir: pathlib.Path, suffix: str = "") -> None:
        """Begin a file in the run's folder for event files, which is made."""
        # Loads PyTorch where that is installed: not before it is asked for.
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2, summary_pb2

        self._events, self._summaries = event_pb2, summary_pb2
        folder = workdir / FOLDER
        folder.mkdir(exist_ok=True)
        self._writer = EventsWriter(str(folder / "events"), filename_suffix=suffix)

    def restart(self) -> None:
        """Say that what earlier files of the folder hold does not count."""
        log = self._events.SessionLog(status=self._events.SessionLog.START)
        self._write(0, session_log=log)
        self.flush()

    def scalar(self, tag: str, step: int, value: float) -> None:
        """Add a value to a curve; steps of a tag must rise."""
        one = self._summaries.Summary.Value(tag=tag, simple_value=value)
        self._write(step, summary=self._summaries.Summary(value=[one]))

    def picture(self, tag: str, step: int, path: pathlib.Path) -> None:
        """Add a PNG as it is."""
        with Image.open(path) as opened:
            width, height = opened.size
        image = self._summaries.Summary.Image(
            width=width, height=height, colorspace=3, encoded_image_string=path.read_bytes()
        )
        one = self._summaries.Summary.Value(tag=tag, image=image)
        self._write(step, summary=self._summaries.Summary(value=[one]))

    def flush(self) -> None:
        """Bring what was written to the disk."""
        self._writer.flush()

    def close(self) -> None:
        """Bring the rest to the disk and end the file."""
        self._writer.close()

    def abandon(self) -> None:
        """End the file without another word, after a failure."""
        with contextlib.suppress(OSError):
            self._writer.close()

    def _write(self, step: int, **content: Any) -> None:
        self._writer.write_event(self._events.Event(wall_time=time.time(), step=step, **content))


def add_pictures(workdir: pathlib.Path, step: int) -> None:
    """Write the pictures of the run's report into an event file; says on stderr if it cannot."""
    writer = None
    try:
        writer = Writer(workdir, _PICTURES_SUFFIX)
        for name in _PICTURES:
            if (path := workdir / f"{name}.png").is_file():
                writer.picture(name, step, path)
        writer.close()
    except OSError as error:
        if writer is not None:
            writer.abandon()
        print(
            f"'{workdir / FOLDER}' cannot be written ({error.strerror or error}); the run's own "
            "files are whole",
            file=sys.stderr,
            flush=True,
        )
