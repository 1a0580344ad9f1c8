"""Full-resolution maps of finished clips on disk: a build resumes, and layouts change freely.

The folder holds face crops and is licensed material like the database itself.
"""

import contextlib
import hashlib
import io
import itertools
import json
import pathlib
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from input_pipeline.core.files import write_whole
from input_pipeline.databases.rows import ClipRecord
from input_pipeline.flow.clip_maps import ClipMaps, MapSettings, Quality
from input_pipeline.flow.face_film import Film
from input_pipeline.flow.second_phase import SecondPhase

_ARRAYS = ("flow_SxSxC", "landmarks_5x2", "landmarks_68x2", "onset_SxS", "apex_SxS")
# Below the folder of the data sets.
FOLDER = "map_cache"
_UNMARKED = ""
# What marks the files that hold more of a clip than its maps.
_SECOND, _FILM = "apex to offset", "frames"
# What a damaged archive, or one that lacks a part, raises; its clip is then made anew.
UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


class MapCache:
    """Maps by clip, frame files and settings: what changes any of these is computed again.

    A file is named by these marks and holds them too, so that a copy of one under the name of
    another is known for what it is.
    """

    def __init__(self, folder: pathlib.Path, settings: MapSettings) -> None:
        """Use `folder`, made on the first `save`."""
        self._folder = folder
        self._provenance = settings.provenance()

    def load(self, record: ClipRecord) -> ClipMaps | None:
        """The stored maps, or None where there are none, or damaged or another clip's."""
        found = self._read(self._marks(record), _ARRAYS)
        if found is None:
            return None
        arrays, facts = found
        quality = Quality(**{**facts, "rules": tuple(facts["rules"])})
        return ClipMaps(**arrays, quality=quality, seconds={})

    def save(self, record: ClipRecord, maps: ClipMaps) -> None:
        """Store a clip's maps; raises OSError with path and bytes where that fails."""
        arrays = {name: getattr(maps, name) for name in _ARRAYS}
        self._write(self._marks(record), arrays, maps.quality._asdict())

    def load_second(self, record: ClipRecord) -> SecondPhase | None:
        """The stored flow from apex to offset, or None as `load`."""
        found = self._read(self._marks(record, phase=_SECOND), _ARRAYS[:1])
        if found is None:
            return None
        arrays, facts = found
        return SecondPhase(arrays["flow_SxSxC"], facts["offset_frame"], tuple(facts["rules"]))

    def save_second(self, record: ClipRecord, phase: SecondPhase) -> None:
        """Store a clip's flow from apex to offset; raises OSError as `save`."""
        facts = {"offset_frame": phase.offset_frame, "rules": phase.rules}
        marks = self._marks(record, phase=_SECOND)
        self._write(marks, {"flow_SxSxC": phase.flow_SxSxC}, facts)

    def load_film(self, record: ClipRecord) -> Film | None:
        """The stored frames in colour, or None as `load`."""
        found = self._read(self._marks(record, phase=_FILM), ("frames_FxSxSx3", "numbers_F"))
        if found is None:
            return None
        arrays, facts = found
        return Film(arrays["frames_FxSxSx3"], arrays["numbers_F"], tuple(facts["rules"]))

    def save_film(self, record: ClipRecord, film: Film) -> None:
        """Store a clip's frames in colour; raises OSError as `save`."""
        arrays = {"frames_FxSxSx3": film.frames_FxSxSx3, "numbers_F": film.numbers_F}
        self._write(self._marks(record, phase=_FILM), arrays, {"rules": film.rules})

    def _read(
        self, marks: str, names: tuple[str, ...]
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        try:
            with opened(self._path(marks)) as stored:
                if str(stored["marks"]) != marks:
                    return None
                return {name: stored[name] for name in names}, json.loads(str(stored["quality"]))
        except UNREADABLE:
            return None

    def _write(self, marks: str, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        buffer = io.BytesIO()
        np.savez(buffer, marks=np.array(marks), quality=np.array(json.dumps(facts)), **arrays)
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._path(marks), buffer.getvalue())

    def unusable(self, records: Iterable[ClipRecord]) -> list[str]:
        """A sentence for each kind of files in these clips' places that `load` does not take."""
        unmarked = foreign = 0
        for record in records:
            marks = self._marks(record)
            path = self._path(marks)
            if path.exists():
                found = marks_in(path)
                unmarked += found == _UNMARKED
                foreign += found not in (marks, _UNMARKED)
            else:
                unmarked += self._earlier_path(record).exists()
        sentences = (
            f"{unmarked} stored maps of an earlier version do not say whose they are and are "
            "computed again; with a whole database that takes hours.",
            f"{foreign} stored maps are those of another clip, of other settings or damaged, and "
            "are computed again.",
        )
        return list(itertools.compress(sentences, (unmarked, foreign)))

    def _marks(self, record: ClipRecord, **more: str) -> str:
        """All that a clip's maps depend on, as text."""
        return json.dumps(
            {
                "clip": record.key,
                "annotated": [record.onset, record.apex, record.offset],
                "frames": frame_marks(record),
                "settings": self._provenance,
                **more,
            },
            sort_keys=True,
        )

    def _path(self, marks: str) -> pathlib.Path:
        # Named by hash: a clip's name never becomes a path.
        return self._folder / f"{hashlib.sha256(marks.encode()).hexdigest()[:32]}.npz"

    def _earlier_path(self, record: ClipRecord) -> pathlib.Path:
        """Where the first version, whose files hold no marks, kept these maps."""
        # It knew no limit of the search for an apex.
        settings = {name: v for name, v in self._provenance.items() if name != "spot_seconds"}
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        annotated = [record.key, record.onset, record.apex, record.offset]
        digest.update(json.dumps(annotated).encode())
        for frame in frame_marks(record):
            digest.update(json.dumps(frame).encode())
        return self._folder / f"{digest.hexdigest()[:32]}.npz"


def frame_marks(record: ClipRecord) -> list[tuple[int, str, int, int]]:
    """Number, name, size and time of change of each frame's file."""
    marks = []
    for number, path in record.frames:
        try:
            status = path.stat()
            marks.append((number, path.name, status.st_size, status.st_mtime_ns))
        except OSError:
            marks.append((number, path.name, -1, -1))
    return marks


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[Any]:
    """The arrays of an .npz file; raises one of UNREADABLE where it is none."""
    # A pipe would wait for a writer; NumPy leaves a file that it cannot read open.
    if not path.is_file():
        raise FileNotFoundError(path)
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        yield stored


def marks_in(path: pathlib.Path) -> str | None:
    """The marks that a file of the cache holds: empty of an earlier version's, None of no file."""
    try:
        with opened(path) as stored:
            return str(stored["marks"]) if "marks" in stored.files else _UNMARKED
    except UNREADABLE:
        return None
