"""Full-resolution maps of finished clips on disk: a build resumes, and layouts change freely.

The folder holds face crops and is licensed material like the database itself.
"""

import dataclasses
import hashlib
import io
import json
import pathlib
import zipfile
import zlib

import numpy as np

from input_pipeline.clip_maps import ClipMaps, MapSettings, Quality
from input_pipeline.clip_table import ClipRecord
from input_pipeline.whole_file import write_whole

_ARRAYS = ("flow_SxSxC", "landmarks_5x2", "landmarks_68x2", "onset_SxS", "apex_SxS")


class MapCache:
    """Maps by clip, frame files and settings: what changes any of these is computed again."""

    def __init__(self, folder: pathlib.Path, settings: MapSettings) -> None:
        """Use `folder`, made on the first `save`."""
        self._folder = folder
        self._provenance = json.dumps(settings.provenance(), sort_keys=True)

    def load(self, record: ClipRecord) -> ClipMaps | None:
        """The stored maps, or None where there are none or the file is damaged."""
        try:
            with np.load(self._path(record), allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in _ARRAYS}
                quality = json.loads(str(stored["quality"]))
        # The archive's checksums tell a damaged file; it is then made anew.
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            return None
        return ClipMaps(**arrays, quality=Quality(**{**quality, "rules": tuple(quality["rules"])}))

    def save(self, record: ClipRecord, maps: ClipMaps) -> None:
        """Store a clip's maps; raises OSError with path and bytes where that fails."""
        buffer = io.BytesIO()
        quality = json.dumps(dataclasses.asdict(maps.quality))
        arrays = {name: getattr(maps, name) for name in _ARRAYS}
        np.savez(buffer, quality=np.array(quality), **arrays)
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._path(record), buffer.getvalue())

    def _path(self, record: ClipRecord) -> pathlib.Path:
        digest = hashlib.sha256(self._provenance.encode())
        marks = [record.key, record.onset, record.apex, record.offset]
        digest.update(json.dumps(marks).encode())
        for number, path in record.frames:
            try:
                status = path.stat()
                told = (number, path.name, status.st_size, status.st_mtime_ns)
            except OSError:
                told = (number, path.name, -1, -1)
            digest.update(json.dumps(told).encode())
        # Named by hash: a clip's name never becomes a path.
        return self._folder / f"{digest.hexdigest()[:32]}.npz"
