"""What came of one window of a clip: a prediction, or the reason why there is none.

Letters in array names: S seeds, K classes.
"""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from experiments.looking.seen_maps import SeenMaps
from experiments.predicting.asked import ClipAsked
from input_pipeline.core import escaping
from input_pipeline.core.tables import csv_text
from input_pipeline.own_clips.to_maps import Made
from input_pipeline.own_clips.windows import Window

OK, REFUSED = "ok", "refused"
FILE = "predictions.csv"
_COLUMNS = (
    *("file", "window", "status", "reason", "class"),
    *("first_frame", "last_frame", "onset", "apex", "apex_from"),
)
_QUALITY = ("detector_score", "flow_max_px", "rules", "note", "detail", "picture")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One row of predictions.csv, and what its picture shows.

    probability_K is the seeds' mean under the model's temperature, None where the window was
    refused; deviation_K the spread of single seeds under it, None of one seed too.
    """

    clip: ClipAsked
    number: int  # of the window in its clip, from 1
    window: Window | None = None
    made: Made | None = None
    probability_K: np.ndarray | None = None
    deviation_K: np.ndarray | None = None
    seen: SeenMaps | None = None  # where the network looks; None of networks of frames
    code: str = ""  # of clip_faults.REASONS
    detail: str = ""
    notes: tuple[str, ...] = ()
    windows: int = 1  # of its clip

    @property
    def status(self) -> str:
        """`ok` or `refused`."""
        return REFUSED if self.code else OK

    def class_of(self, class_names: Sequence[str]) -> str:
        """The class predicted, empty where the window was refused."""
        if self.probability_K is None:
            return ""
        return class_names[int(self.probability_K.argmax())]

    def line(self, class_names: Sequence[str]) -> str:
        """What the terminal says of it."""
        name = self._name()
        where = name if self.window is None else f"{name}, {self._frames()}"
        if self.probability_K is None:
            return f"{where}: refused, {self.code}: {self.detail}"
        best = int(self.probability_K.argmax())
        spread = "one seed"
        if self.deviation_K is not None:
            spread = f"± {self.deviation_K[best]:.2f} over seeds"
        return f"{where}: {class_names[best]} {self.probability_K[best]:.2f} ({spread})"

    def count_line(self) -> str:
        """What the terminal says of a clip of several windows, ahead of their lines."""
        return f"{self._name()}: {self.windows:,} windows"

    def _name(self) -> str:
        return self.clip.name if self.clip.name.isprintable() else ascii(self.clip.name)

    def _frames(self) -> str:
        assert self.window is not None
        if self.made is None:
            return f"frames {self.window.onset} to {self.window.last}"
        spotted = " (spotted)" if self.made.spotted else ""
        quality = self.made.maps.quality
        return f"onset {quality.onset_frame}, apex {quality.apex_frame}{spotted}"

    def cells(self, class_names: Sequence[str], picture: str) -> list[str]:
        """Its row of predictions.csv."""
        name = self.class_of(class_names)
        row = [self.clip.name, str(self.number), self.status, self.code, name]
        row += ["", ""] if self.window is None else [str(self.window.onset), str(self.window.last)]
        quality = self.made.maps.quality if self.made else None
        row += [str(quality.onset_frame), str(quality.apex_frame)] if quality else ["", ""]
        row.append(("spotted" if self.made.spotted else "given") if self.made else "")
        for values_K in (self.probability_K, self.deviation_K):
            row += [""] * len(class_names) if values_K is None else _written(values_K)
        row += [f"{one:.3f}" for one in quality[:2]] if quality else ["", ""]
        row += ["; ".join(quality.rules) if quality else "", "; ".join(self.notes), self.detail]
        return [escaping.csv_cell(cell) for cell in (*row, picture)]


def _written(values_K: np.ndarray) -> list[str]:
    return [f"{value:.6g}" for value in values_K]


def table(rows: Sequence[Sequence[str]], class_names: Sequence[str]) -> str:
    """The content of predictions.csv, from the outcomes' cells."""
    header = (
        *_COLUMNS,
        *(f"prob_{name}" for name in class_names),
        *(f"sd_{name}" for name in class_names),
        *_QUALITY,
    )
    return csv_text(header, rows)


def picture_name(place: int, outcome: Outcome) -> str:
    """The file of an outcome's picture: its place, its clip's name in ASCII, its window."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", outcome.clip.path.stem)[:60] or "clip"
    return f"{place:03d}_{stem}_{outcome.number}.png"
