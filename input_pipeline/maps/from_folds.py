"""Reads published maps in the pre-split form: one folder per leave-one-subject-out fold.

`<subject>/u_train|u_test/<0|1|2>/<subject>_<clip>.png`, as the users of STSTNet and HTNet have
it; HTNet's copy has a blank before `.png`. Every fold repeats all clips, so that each is stored
as often as there are subjects: all copies must agree.
"""

import hashlib
import os
import pathlib
from typing import NamedTuple

from input_pipeline.core import identifiers, progress_lines
from input_pipeline.core.clips import CLASS_NAMES
from input_pipeline.core.errors import Faults, InputError, at
from input_pipeline.databases import registry
from input_pipeline.databases.registry import DATABASES_OF
from input_pipeline.maps import picture
from input_pipeline.maps.sample import MapSample

_PARTS = ("u_train", "u_test")
# What file managers and Python leave behind.
_STRAY = frozenset({"__pycache__", "Thumbs.db", "desktop.ini"})
_FORM = "<subject>/u_train|u_test/<0|1|2>/<subject>_<clip>.png"


# Database, subject and clip.
_Key = tuple[str, str, str]


class _Copy(NamedTuple):
    label: int
    digest: bytes
    path: pathlib.Path


def is_split(source: pathlib.Path) -> bool:
    """Whether any folder of `source` looks like a fold."""
    return any((source / name / part).is_dir() for name in _entries(source) for part in _PARTS)


def read_split(source: pathlib.Path, dataset: str) -> list[MapSample]:
    """The samples of a pre-split folder, each once, in key order.

    The database follows from the subject's form. Raises InputError where a fold is incomplete,
    holds a subject on both sides, or disagrees with another fold about a clip.
    """
    faults = Faults()
    root = source.resolve()
    copies: dict[_Key, _Copy] = {}
    folds: dict[str, set[_Key]] = {}
    for name in progress_lines.over(_entries(root), "folds"):
        with faults.noted():
            fold = _read_fold(root, name, dataset, faults)
            _compare(fold, copies, faults, root)
            folds[name] = set(fold)
    for name, keys in folds.items():
        missing = sorted(copies.keys() - keys)
        if missing:
            faults.add(
                f"the fold '{name}' lacks {len(missing)} of the {len(copies)} clips that other "
                f"folds hold, the first being {'/'.join(missing[0])}; every fold must hold the "
                "same clips."
            )
    if folds and not copies:
        faults.add(f"the source folder holds no maps; the form is {_FORM}.")
    faults.raise_if_any()
    samples = []
    for key, copy in sorted(copies.items()):
        with faults.noted(), at(f"'{copy.path.relative_to(root)}'"):
            map_HxWxC = picture.decode(picture.read_bytes(copy.path))
            samples.append(MapSample(*key, label=copy.label, map_HxWxC=map_HxWxC))
    faults.raise_if_any()
    return samples


def _entries(folder: pathlib.Path) -> list[str]:
    names = os.listdir(folder)
    return sorted(name for name in names if name not in _STRAY and not name.startswith("."))


def _read_fold(root: pathlib.Path, name: str, dataset: str, faults: Faults) -> dict[_Key, _Copy]:
    """All clips of one fold; complains about a clip on the wrong side or found twice."""
    database = registry.database_of(name)
    if database is None or not (root / name).is_dir():
        raise InputError(
            f"'{name}' is no fold of a subject; the form is {_FORM} with subjects like sub01, "
            "006, s03 or spNO.1; remove it from the source folder."
        )
    allowed = DATABASES_OF.get(dataset, (database,))
    if database not in allowed:
        raise InputError(
            f"the fold '{name}' belongs to {database}, which is not part of the data set "
            f"{dataset} ({', '.join(allowed)}); give another --dataset."
        )
    held_out = (database, registry.canonical_subject(database, name))
    fold: dict[_Key, _Copy] = {}
    for part in _PARTS:
        for label, path in _pictures(root, name, part):
            shown = path.relative_to(root)
            with at(f"'{shown}'"):
                key, copy = _key(path), _Copy(label, _digest(path), path)
            if (key[:2] == held_out) != (part == "u_test"):
                faults.add(
                    f"'{shown}' shows the subject {'/'.join(key[:2])} in {part} of the fold "
                    f"'{name}'; u_test holds exactly the fold's own subject; move or remove it."
                )
            if key in fold:
                twice = "/".join(key)
                faults.add(f"'{shown}': the fold '{name}' holds {twice} twice; remove one of them.")
            fold[key] = copy
    return fold


def _pictures(root: pathlib.Path, name: str, part: str) -> list[tuple[int, pathlib.Path]]:
    folder = root / name / part
    if not folder.is_dir():
        raise InputError(f"the fold '{name}' has no folder {part}; the form is {_FORM}.")
    pictures = []
    for class_name in _entries(folder):
        if class_name not in [str(label) for label in range(len(CLASS_NAMES))]:
            raise InputError(
                f"'{name}/{part}/{class_name}' is no class; allowed are the folders 0 (negative), "
                "1 (positive) and 2 (surprise)."
            )
        inner = folder / class_name
        if not inner.is_dir() or not inner.resolve().is_relative_to(root):
            raise InputError(f"'{name}/{part}/{class_name}' is no folder inside the source folder.")
        pictures += [(int(class_name), inner / entry) for entry in _entries(inner)]
    return pictures


def _key(path: pathlib.Path) -> _Key:
    subject, separator, clip = path.stem.rstrip(" ").partition("_")
    database = registry.database_of(subject)
    if path.suffix.lower() != ".png" or not separator or database is None:
        raise InputError(f"it is not named like a map; the form is {_FORM}; remove it.")
    identifiers.checked(clip, "clip")
    return database, registry.canonical_subject(database, subject), clip


def _digest(path: pathlib.Path) -> bytes:
    if path.is_symlink() and not path.resolve().is_relative_to(path.parents[3]):
        raise InputError("it leads out of the source folder; copy the map itself there.")
    return hashlib.sha256(picture.read_bytes(path)).digest()


def _compare(
    fold: dict[_Key, _Copy], copies: dict[_Key, _Copy], faults: Faults, root: pathlib.Path
) -> None:
    """Adds the fold's clips to `copies`, or complains where an earlier fold says otherwise."""
    for key, copy in fold.items():
        earlier = copies.setdefault(key, copy)
        if earlier.label != copy.label or earlier.digest != copy.digest:
            what = "class" if earlier.label != copy.label else "picture"
            faults.add(
                f"'{copy.path.relative_to(root)}' and '{earlier.path.relative_to(root)}' give "
                f"{'/'.join(key)} another {what}; all folds must agree; copy the folder again."
            )
