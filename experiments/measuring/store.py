"""The folder of a measurement: what is measured, and finished shards of runs that are not whole.

A handful of small files, so that another machine can be given the folder and go on.
"""

import io
import json
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

from ahmsa_jax.config import ConfigError
from input_pipeline.core.files import read_text, write_whole

FILE = "measured.json"
SHARDS = "shards.zip"
FORMAT = 1
# A folder holds at most so many files, each below this size.
MOST_FILES, MOST_BYTES = 8, 16 * 2**20
# What the report of a whole run draws anew.
_DRAWN = {".png", ".pdf"}
# A part that failed so often is left out.
MOST_FAILURES = 2


class Store:
    """What was measured so far, in `folder`; every change is on the disk when it returns."""

    def __init__(self, folder: pathlib.Path, *, rehearsal: bool, data: Mapping[str, str]) -> None:
        """Read what is there; raises ConfigError where it is another measurement's.

        `data` names what is measured on: content hashes of the arrays by layout.
        """
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE
        about = {"format": FORMAT, "rehearsal": rehearsal, "data": dict(data)}
        empty: dict[str, Any] = {**about, "parts": {}, "failed": {}, "overran": {}, "shards": {}}
        self.facts = self._read() if self.path.exists() else empty
        for name, value in about.items():
            if self.facts.get(name) != value:
                raise ConfigError(
                    f"'{self.path}' was measured with {name}={self.facts.get(name)}, this call "
                    f"has {value}; name another --output."
                )

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(read_text(self.path, MOST_BYTES))
        except (ValueError, OSError) as error:
            raise ConfigError(
                f"'{self.path}' cannot be read ({error}); name another --output."
            ) from error
        kinds = ("parts", "failed", "overran", "shards")
        if not isinstance(found, dict) or not all(isinstance(found.get(k), dict) for k in kinds):
            raise ConfigError(f"'{self.path}' holds no measurement; name another --output.")
        return found

    @property
    def parts(self) -> dict[str, Any]:
        """Facts by part, of all that are done."""
        parts: dict[str, Any] = self.facts["parts"]
        return parts

    def is_settled(self, part: str) -> bool:
        """Whether nothing is to be done for it any more."""
        return part in self.parts or self.failures(part) >= MOST_FAILURES

    def failures(self, part: str) -> int:
        """How often it failed."""
        return int(self.facts["failed"].get(part, {}).get("times", 0))

    def add(self, part: str, facts: Mapping[str, Any]) -> None:
        """A part is done."""
        self.parts[part] = dict(facts)
        self.facts["failed"].pop(part, None)
        self._write()

    def give_up(self, part: str, message: str) -> None:
        """A part cannot be measured."""
        self.add_failure(part, message, times=MOST_FAILURES)

    def add_failure(self, part: str, message: str, times: int | None = None) -> None:
        """A part failed: for the reader of the file, and for trying it once more."""
        times = times or self.failures(part) + 1
        self.facts["failed"][part] = {"times": times, "message": message[-2000:]}
        self._write()

    def add_overrun(self, part: str, seconds: float) -> None:
        """A part was stopped after so long, because the call's time was over."""
        self.facts["overran"][part] = round(seconds, 1)
        self._write()

    def overran(self, part: str) -> float:
        """Seconds that did not suffice for the part; 0 where it was never stopped."""
        return float(self.facts["overran"].get(part, 0.0))

    def shards(self, run: str, default: int) -> int:
        """What a run is cut into."""
        return int(self.facts["shards"].get(run, default))

    def cut_finer(self, run: str, shards: int) -> None:
        """Cut a run into more shards; those of the coarser cut are dropped."""
        self.facts["shards"][run] = shards
        self.drop_shards(run)
        self._write()

    def finished_shards(self, run: str) -> int:
        """How many of the run's shards are kept: the first ones."""
        return len({name.split("/")[1] for name in self._kept() if name.startswith(f"{run}/")})

    def keep_shard(self, run: str, place: int, workdir: pathlib.Path) -> None:
        """Keep a shard's files, below the run's name, until the run is whole."""
        kept = self._kept()
        for path in sorted(path for path in workdir.rglob("*") if path.is_file()):
            if path.suffix not in _DRAWN and path.name != ".lock":
                kept[f"{run}/{place}/{path.relative_to(workdir)}"] = path.read_bytes()
        self._write_kept(kept)

    def unpack_shards(self, run: str, folder: pathlib.Path) -> list[pathlib.Path]:
        """Write the run's shards below a folder; returns their workdirs."""
        with zipfile.ZipFile(self.folder / SHARDS) as archive:
            names = [name for name in archive.namelist() if name.startswith(f"{run}/")]
            archive.extractall(folder, names)
        return [folder / run / str(place) for place in range(self.finished_shards(run))]

    def drop_shards(self, run: str) -> None:
        """Forget a run's shards."""
        kept = self._kept()
        self._write_kept({name: kept[name] for name in kept if not name.startswith(f"{run}/")})

    def _kept(self) -> dict[str, bytes]:
        path = self.folder / SHARDS
        if not path.exists():
            return {}
        try:
            with zipfile.ZipFile(path) as archive:
                return {name: archive.read(name) for name in archive.namelist()}
        except (zipfile.BadZipFile, OSError) as error:
            raise ConfigError(f"'{path}' cannot be read ({error}); remove it.") from error

    def _write_kept(self, kept: Mapping[str, bytes]) -> None:
        path = self.folder / SHARDS
        if not kept:
            path.unlink(missing_ok=True)
            return
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in sorted(kept):
                archive.writestr(name, kept[name])
        write_whole(path, buffer.getvalue())

    def _write(self) -> None:
        write_whole(self.path, json.dumps(self.facts, indent=1, sort_keys=True) + "\n")
