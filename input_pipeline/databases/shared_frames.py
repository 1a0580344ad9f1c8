"""Finds clips whose onset and apex pictures are the same files' bytes under two keys."""

import collections
import contextlib
import hashlib
import pathlib
import stat
from collections.abc import Callable, Hashable, Iterable

from input_pipeline.databases import trees
from input_pipeline.databases.rows import ClipRecord

# Anything larger is refused by the reader of frames.
_MOST_BYTES = 64 << 20


def find(clips: Iterable[ClipRecord]) -> dict[str, str]:
    """For each clip that shares both pictures with another the other one, by their keys.

    The second picture is the offset where no apex is annotated. Files that cannot be read are
    left to the reader of frames.
    """
    pairs: dict[str, list[pathlib.Path]] = {}
    for clip in clips:
        numbers = (clip.onset, clip.offset if clip.apex is None else clip.apex)
        pairs[clip.key] = [trees.nearest(clip.frames, number)[1] for number in numbers]
    groups = [list(pairs)]
    # From cheap to dear: most clips differ in size, or in their onset.
    for number, of in ((0, _size), (1, _size), (0, _digest), (1, _digest)):
        groups = [part for group in groups for part in _parted(group, pairs, number, of)]
    return {key: next(k for k in group if k != key) for group in groups for key in group}


def _parted(
    keys: list[str],
    pairs: dict[str, list[pathlib.Path]],
    number: int,
    of: Callable[[pathlib.Path], Hashable],
) -> list[list[str]]:
    """The keys whose files agree, as groups of two and more."""
    parts: dict[Hashable, list[str]] = collections.defaultdict(list)
    for key in keys:
        with contextlib.suppress(OSError):
            parts[of(pairs[key][number])].append(key)
    # What has no size that fits.
    parts.pop(None, None)
    return [part for part in parts.values() if len(part) > 1]


def _size(path: pathlib.Path) -> int | None:
    status = path.stat()
    fits = stat.S_ISREG(status.st_mode) and 0 < status.st_size <= _MOST_BYTES
    return status.st_size if fits else None


def _digest(path: pathlib.Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
