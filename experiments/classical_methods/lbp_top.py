"""LBP-TOP: local binary patterns of a clip's frames in three planes, in blocks of the face.

Zhao and Pietikainen, IEEE Trans. PAMI 29 (2007), doi:10.1109/TPAMI.2007.1110; for
micro-expressions with blocks as in Pfister et al., ICCV 2011, doi:10.1109/ICCV.2011.6126401. All
frames from onset to offset, aligned by the build's code. Declared here: 4x4 blocks, radii 1, 1, 4
along x, y and time, 8 neighbours with bilinear values between pixels, 59 bins of uniform patterns;
a film of fewer than 9 frames has the radius (frames - 1) // 2 in time; each histogram sums to 1 and
its root is taken; the training clips' mean is subtracted and their root mean square length about it
is the unit, since what all faces share is most of a histogram; linear kernel, C = 1, classes
weighed alike.

Letters in array names: F frames, H rows, W columns, B blocks a side.
"""

import hashlib
import itertools
import json
import pathlib

import numpy as np

from experiments.classical_methods.machines import about_training_mean, linear_svm_probabilities
from experiments.classical_methods.method import FoldTask, Places
from experiments.classical_methods.settings import LbpTopConfig
from input_pipeline.core import extras, progress_lines
from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.core.clips import Clips
from input_pipeline.core.errors import InputError
from input_pipeline.core.files import write_whole
from input_pipeline.databases import reading
from input_pipeline.databases.registry import STORED_DATASETS
from input_pipeline.databases.rows import ClipRecord
from input_pipeline.faces import detection
from input_pipeline.flow.aligned_film import aligned_film
from input_pipeline.flow.cache import frame_marks

BLOCKS, NEIGHBOURS = 4, 8
RADII = (1, 1, 4)  # along x, y and time
CACHE_FOLDER = "lbp_top_cache"
_VERSION = 1
_PLANES = {"xy": (2, 1), "xt": (2, 0), "yt": (1, 0)}  # axes of (F, H, W)
# Grey values between pixels are rounded; neighbours within this are equal.
_EQUAL = 1e-3


def describe(clips: Clips, settings: LbpTopConfig, places: Places) -> np.ndarray:
    """Roots of the histograms of each clip (N, 3 * 16 * 59); raises InputError without frames.

    A clip's histograms are kept in the folder lbp_top_cache of the data sets.
    """
    assert places.data_dir is not None
    assert places.raw_dir is not None
    records = _records(clips, places.raw_dir)
    folder = places.data_dir / CACHE_FOLDER
    counts, left_out = [], []
    for record in progress_lines.over(records, "clips"):
        found, faults = _histograms(record, folder)
        counts.append(found)
        left_out += faults
    if left_out:
        print(f"{len(left_out)} frames cannot be read and are left out, first {left_out[0]}")
    histogram = np.stack(counts).astype(np.float64)
    share = histogram / histogram.sum(axis=-1, keepdims=True)
    return np.sqrt(share).reshape(len(clips), -1)


def predict(features_NxP: np.ndarray, task: FoldTask, settings: LbpTopConfig) -> np.ndarray:
    """Probabilities (held-out clips, K)."""
    train_TxP, test_QxP = about_training_mean(
        features_NxP[task.train_index], features_NxP[task.test_index]
    )
    return linear_svm_probabilities(
        train_TxP, task.label_T, test_QxP, task.num_classes, settings.svm_c
    )


def _records(clips: Clips, raw_dir: pathlib.Path) -> list[ClipRecord]:
    """The clips as found below the folder of the database, in their order."""
    if clips.dataset not in STORED_DATASETS or "frames" not in clips.provenance:
        raise InputError(
            f"--method=lbp_top reads frames, and {clips.dataset}/{clips.layout} was not made of "
            "any: build it from its database with python -m input_pipeline.build --raw_dir=DIR."
        )
    extras.require()
    result = reading.read_databases(clips.dataset, raw_dir, (), clips.provenance["frames"])
    record_of = {record.key: record for record in result.clips}
    missing = [key for key in clips.clip_key_N if key not in record_of]
    if missing:
        raise InputError(
            f"'{raw_dir}' lacks the frames of {len(missing)} of {len(clips)} clips of the data "
            f"set, first {missing[0]}; give the folder from which python -m input_pipeline.build "
            "built it."
        )
    return [record_of[key] for key in clips.clip_key_N]


def _histograms(record: ClipRecord, folder: pathlib.Path) -> tuple[np.ndarray, list[str]]:
    """A clip's counts (3, B * B, 59), from the cache where it is there, and frames left out."""
    marks = json.dumps(
        {
            "clip": record.key,
            "range": [record.onset, record.offset],
            "frames": frame_marks(record),
            "method": [_VERSION, BLOCKS, NEIGHBOURS, RADII, detection.FACE_SIZE],
            "opencv": extras.opencv().__version__,
            "dlib": extras.library("dlib").__version__,
        },
        sort_keys=True,
    )
    path = folder / f"{hashlib.sha256(marks.encode()).hexdigest()[:32]}.json"
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["marks"] == marks:
            return np.array(stored["counts"], np.int64), stored["left_out"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    try:
        film_FxHxW, left_out = aligned_film(record)
    except ClipFault as fault:
        raise InputError(f"{record.key} cannot be aligned ({fault.code}): {fault.detail}") from None
    counts = lbp_top(film_FxHxW)
    folder.mkdir(parents=True, exist_ok=True)
    content = {"marks": marks, "counts": counts.tolist(), "left_out": left_out}
    write_whole(path, json.dumps(content))
    return counts, left_out


def lbp_top(film_FxHxW: np.ndarray) -> np.ndarray:
    """Counts of uniform patterns (3 planes xy, xt, yt; B * B blocks; 59) of a grey film.

    Pixels nearer to the film's border than a radius have no pattern.
    """
    film_FxHxW = film_FxHxW.astype(np.float32)
    frames, height, width = film_FxHxW.shape
    radius_of = {0: min(RADII[2], (frames - 1) // 2), 1: RADII[1], 2: RADII[0]}
    inner = tuple(
        slice(radius_of[axis], size - radius_of[axis]) for axis, size in enumerate(film_FxHxW.shape)
    )
    rows, columns = (np.arange(size) * BLOCKS // size for size in (height, width))
    block_HxW = rows[:, None] * BLOCKS + columns
    block_FxHxW = np.broadcast_to(block_HxW, film_FxHxW.shape)[inner].ravel()
    bins = len(_UNIFORM_ORDER) + 1
    counts = []
    for axes in _PLANES.values():
        pattern_FxHxW = _patterns(film_FxHxW, axes, radius_of, inner)
        place = block_FxHxW * bins + UNIFORM[pattern_FxHxW.ravel()]
        counts.append(np.bincount(place, minlength=BLOCKS**2 * bins).reshape(BLOCKS**2, bins))
    return np.stack(counts)


def _patterns(
    film_FxHxW: np.ndarray,
    axes: tuple[int, int],
    radius_of: dict[int, int],
    inner: tuple[slice, ...],
) -> np.ndarray:
    """The pattern (0..255) of each inner pixel in the plane of two axes."""
    centre = film_FxHxW[inner]
    pattern = np.zeros(centre.shape, np.uint8)
    for number in range(NEIGHBOURS):
        angle = 2 * np.pi * number / NEIGHBOURS
        # Rounded, so that whole steps are whole.
        steps = (
            round(radius_of[axes[0]] * float(np.cos(angle)), 9),
            round(-radius_of[axes[1]] * float(np.sin(angle)), 9),
        )
        value = _between(film_FxHxW, dict(zip(axes, steps, strict=True)), inner)
        pattern += np.where(value >= centre - _EQUAL, 1 << number, 0).astype(np.uint8)
    return pattern


def _between(
    film_FxHxW: np.ndarray, step_of: dict[int, float], inner: tuple[slice, ...]
) -> np.ndarray:
    """The film moved by steps along two axes, bilinear between pixels, at the inner pixels."""
    corners = []
    for axis, step in step_of.items():
        low = int(np.floor(step))
        share = step - low
        corners.append([(axis, low, 1 - share), *([(axis, low + 1, share)] if share else [])])
    total = np.zeros([part.stop - part.start for part in inner], np.float32)
    for first, second in itertools.product(*corners):
        moved = list(inner)
        for axis, step, _ in (first, second):
            moved[axis] = slice(inner[axis].start + step, inner[axis].stop + step)
        total += np.float32(first[2] * second[2]) * film_FxHxW[tuple(moved)]
    return total


def _changes(pattern: int) -> int:
    """How often neighbouring bits differ, round the circle."""
    turned = (pattern >> 1) | ((pattern & 1) << (NEIGHBOURS - 1))
    return (pattern ^ turned).bit_count()


_UNIFORM_ORDER = [pattern for pattern in range(2**NEIGHBOURS) if _changes(pattern) <= 2]
# The bin of each pattern: one for each with at most two changes, the last for all others.
UNIFORM = np.full(2**NEIGHBOURS, len(_UNIFORM_ORDER))
UNIFORM[_UNIFORM_ORDER] = np.arange(len(_UNIFORM_ORDER))
