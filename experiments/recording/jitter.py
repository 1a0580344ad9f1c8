"""How scores fall when onset or apex is annotated some frames off: trained as annotated, shown off.

Letters in array names: N clips, Q held-out clips, K classes.
"""

import csv
import dataclasses
import io
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from ahmsa_jax.config import ConfigError
from ahmsa_jax.metrics import Scores, confusion_matrix, pooled_scores
from ahmsa_jax.training.protocols import loso_folds
from experiments.classical_methods.method import FoldTask, Places
from experiments.classical_methods.registry import METHODS
from experiments.scores import drawing
from input_pipeline.core.clips import COLUMNS, Clips, entitled
from input_pipeline.core.errors import InputError
from input_pipeline.core.files import read_text
from input_pipeline.core.map_form import MapForm
from input_pipeline.core.tables import Table, csv_text
from input_pipeline.databases.apex import wanted_apex
from input_pipeline.databases.rows import ClipRecord, ReadResult
from input_pipeline.flow import workers
from input_pipeline.flow.cache import MapCache
from input_pipeline.flow.clip_maps import MapSettings
from input_pipeline.maps import from_frames

FILE = "jitter.csv"
PICTURE = "jitter.png"
SHIFTS = tuple(range(-3, 4))
MOVED = ("apex", "onset")
TRIED = ("svm_maps", "kernel_flow")
LAYOUT = "whole"
_MOST_BYTES = 2**20


class Line(NamedTuple):
    """Scores of one method with one frame moved."""

    dataset: str
    data: str  # "PRETEND", or empty
    method: str
    moved: str
    shift: int
    clips: int
    subjects: int
    apart: float  # frames from onset to apex as annotated, median
    uf1: float
    uar: float


def moved(record: ClipRecord, which: str, shift: int) -> ClipRecord:
    """The clip with its apex or onset so many frames later.

    The onset stays before the apex and both on the clip's frames. Where no apex is annotated the
    offset serves, as in a build.
    """
    apex = _apex(record)
    first, last = record.frames[0][0], record.frames[-1][0]
    if which == "apex":
        later = min(max(apex + shift, record.onset + 1), last)
        return dataclasses.replace(record, apex=later)
    onset = max(min(record.onset + shift, apex - 1), first)
    return dataclasses.replace(record, onset=onset, apex=apex)


def _apex(record: ClipRecord) -> int:
    """The frame that serves as apex."""
    apex, _ = wanted_apex(record, "offset")
    if apex is None or apex <= record.onset:
        raise InputError(f"{record.key} has no apex after its onset, so nothing can be moved.")
    return apex


def measured(
    dataset: str, found: ReadResult, cache: MapCache, settings: MapSettings, processes: int
) -> list[Line]:
    """Scores of every method in TRIED with apex and onset moved by SHIFTS.

    A clip that cannot be used under one of the shifts is left out under all. Raises InputError
    where too few are left.
    """
    records = [record for record in found.clips if record.label >= 0]
    variants = {
        (which, shift): [moved(record, which, shift) for record in records]
        for which in MOVED
        for shift in SHIFTS
    }
    usable = {record.key for record in records}
    for each in variants.values():
        outcomes = workers.run(each, settings, cache, processes)
        usable &= {one.key for one in outcomes if one.quality is not None}
    if len({key.rpartition("/")[0] for key in usable}) < 2:
        raise InputError(f"{len(usable)} clips of {dataset} can be used; needed are 2 subjects.")
    clips = {
        key: _clips(dataset, [one for one in each if one.key in usable], cache, found)
        for key, each in variants.items()
    }
    kept = [record for record in records if record.key in usable]
    apart = float(np.median([_apex(one) - one.onset for one in kept]))
    lines = []
    for name in TRIED:
        for (which, shift), shown in clips.items():
            scores = shown_off(name, clips[which, 0], shown)
            facts = (len(shown), len(set(shown.subject_key_N)), apart)
            mark = "PRETEND" if found.pretend else ""
            lines.append(Line(dataset, mark, name, which, shift, *facts, scores.uf1, scores.uar))
    return lines


def shown_off(name: str, trained: Clips, shown: Clips) -> Scores:
    """Pooled scores over leave-one-subject-out folds, trained on the first, tested on the second.

    Both hold the same clips in the same order.
    """
    method, count = METHODS[name], len(trained)
    settings = method.config()
    described = method.described(_joined(trained, shown), settings, Places())
    classes = len(trained.class_names)
    counts_KxK = np.zeros((classes, classes), np.int64)
    for fold in loso_folds(trained.subject_key_N):
        train = np.flatnonzero(fold.train_N)
        task = FoldTask(train, trained.label_N[train], count + fold.test_index, classes)
        said_Q = method.predicted(described, task, settings).argmax(axis=1)
        counts_KxK += confusion_matrix(trained.label_N[fold.test_index], said_Q, classes)
    return pooled_scores(counts_KxK)


def _joined(first: Clips, second: Clips) -> Clips:
    columns = {
        COLUMNS[name]: np.concatenate([column, second.columns[name]])
        for name, column in first.columns.items()
    }
    return dataclasses.replace(first, extras={}, **columns)


def _clips(
    dataset: str, records: Sequence[ClipRecord], cache: MapCache, found: ReadResult
) -> Clips:
    return from_frames.in_form(
        records,
        cache,
        MapForm(LAYOUT),
        where=f"{dataset} with moved frames",
        dataset=dataset,
        provenance={},
        pretend=found.pretend,
        class_names=found.class_names,
    )


def text(lines: Sequence[Line]) -> str:
    """The lines as the file that is kept."""
    return csv_text(Line._fields, lines)


def read(folder: pathlib.Path) -> list[Line]:
    """The lines of a folder's file, none where it has none; raises ConfigError on a damaged one."""
    path = folder / FILE
    try:
        rows = list(csv.reader(io.StringIO(read_text(path, _MOST_BYTES), newline="")))
        if not rows or tuple(rows[0]) != Line._fields:
            raise ValueError(f"its header is not {','.join(Line._fields)}")
        return [_line(row) for row in rows[1:]]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, csv.Error) as error:
        raise ConfigError(f"'{path}' is damaged ({error}); measure again.") from None


def _line(row: Sequence[str]) -> Line:
    dataset, data, method, which, shift, clips, subjects, *numbers = row
    apart, uf1, uar = map(float, numbers)
    counts = (int(shift), int(clips), int(subjects))
    return Line(dataset, data, method, which, *counts, apart, uf1, uar)


def table(lines: Sequence[Line]) -> Table:
    """UF1 / UAR by shift, one row a method and moved frame."""
    cells: Mapping[tuple[str, str, int], str] = {
        (one.method, one.moved, one.shift): f"{one.uf1:.4f} / {one.uar:.4f}" for one in lines
    }
    keys = dict.fromkeys((one.method, one.moved) for one in lines)
    rows = [
        (method, which, *(cells.get((method, which, shift), "") for shift in SHIFTS))
        for method, which in keys
    ]
    columns = ("method", "moved", *(f"{shift:+d}" if shift else "as annotated" for shift in SHIFTS))
    title = "Held-out clips with apex or onset moved by so many frames (UF1 / UAR)"
    return Table(title, columns, rows, pretend=any(one.data for one in lines))


def draw(lines: Sequence[Line]) -> Figure:
    """UF1 over the shift, a panel for each moved frame."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    panels = figure.subplots(1, len(MOVED), sharey=True, squeeze=False)[0]
    for panel, which in zip(panels, MOVED, strict=True):
        for name, colour in zip(TRIED, drawing.ALL, strict=False):
            own = [one for one in lines if (one.method, one.moved) == (name, which)]
            panel.plot(
                [one.shift for one in own],
                [one.uf1 for one in own],
                marker="o",
                color=colour,
                label=name,
            )
        panel.set_xlabel(f"frames by which the {which} is moved")
        panel.set_ylim(0, 1.05)
    panels[0].set_ylabel("UF1")
    panels[0].legend()
    figure.suptitle(entitled("moved frames of held-out clips", pretend=any(o.data for o in lines)))
    return figure
