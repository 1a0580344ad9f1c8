"""Weights of a folder, one file per fold: found, matched with folds, checked, read.

Two forms: PyTorch state dicts named by the subject as published (`006.pth`, `s01.pth`,
`sub01.pth`), and what experiments.loso --save_weights or experiments.convert_weights write
(`samm_006.safetensors`, in folders seed-0, seed-1, ... where there are several seeds). Folds of
other splits are named by their key (`kfold_0.pth`, `holdout_database_casme2.safetensors`).
"""

import dataclasses
import hashlib
import pathlib
import re
from collections.abc import Sequence

import numpy as np

from ahmsa_jax.config import NetworkConfig, complete, plain
from experiments.baselines import state_dicts, torch_extra
from experiments.files import fold_weights
from experiments.files.fold_weights import FoldWeights
from experiments.run.prepared import Preparation
from input_pipeline.core.errors import Faults, InputError


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What weights are to be of: the folds of a split of these clips, and their classes."""

    split: str
    folds: int | None
    class_names: tuple[str, ...]
    data_sha256: str


@dataclasses.dataclass(frozen=True)
class GivenWeights:
    """The file of each fold, by seed and the fold's key."""

    model: str
    config: NetworkConfig
    path_of: dict[tuple[int, str], pathlib.Path]
    wanted: Wanted | None = None

    @property
    def seeds(self) -> list[int]:
        """Seeds of the folders; 0 where there is one folder only."""
        return sorted({seed for seed, _ in self.path_of})

    def sha256(self) -> str:
        """Hash over the files' names and bytes."""
        digest = hashlib.sha256()
        for (seed, key), path in sorted(self.path_of.items()):
            data = path.read_bytes()
            digest.update(f"{seed} {key} {path.suffix} {len(data)}\n".encode() + data)
        return digest.hexdigest()

    def notes(self, data_sha256: str) -> list[str]:
        """A sentence where files say that they were trained on another data set than this."""
        ours = [path for path in self.path_of.values() if path.suffix == fold_weights.SUFFIX]
        count = sum(fold_weights.data_sha256(path) not in ("", data_sha256) for path in ours)
        text = (
            f"{count} of {len(self.path_of)} weights were trained on another data set or layout "
            "than these clips; whether they have seen a held-out subject there cannot be told."
        )
        return [text] if count else []

    def read(self, seed: int, subject_key: str) -> dict[str, np.ndarray]:
        """Parameters of a fold by path; raises InputError with the file's first fault."""
        return self.read_with_preparation(seed, subject_key)[0]

    def read_with_preparation(
        self, seed: int, subject_key: str
    ) -> tuple[dict[str, np.ndarray], Preparation]:
        """The same, and how its maps are prepared; state dicts say nothing of that."""
        path = self.path_of[seed, subject_key]
        # Weights of one seed under two names would show no spread between seeds.
        named = seed if path.parent.name == f"seed-{seed}" else None
        if path.suffix in torch_extra.SUFFIXES:
            return torch_extra.state_files().read(path, self.config), Preparation()
        weights = checked(path, self.model, self.config, subject_key, named, self.wanted)
        return weights.params, Preparation.from_json(weights.preparation)


def find(
    folder: pathlib.Path,
    model: str,
    config: NetworkConfig,
    requested: Sequence[str],
    known: Sequence[str],
    wanted: Wanted | None = None,
) -> GivenWeights:
    """Match the folder's files with the folds; raises InputError naming missing and surplus ones.

    `known` are the keys of all folds of the data set, `requested` those to be evaluated: a file of
    another known fold is left alone, one of an unknown fold is a fault.
    """
    if not folder.is_dir():
        raise InputError(f"--weights_dir='{folder}' is no folder; name the folder of the weights.")
    seeds = {
        int(found[1]): path
        for path in sorted(folder.iterdir())
        if path.is_dir() and (found := re.fullmatch(r"seed-(\d{1,10})", path.name))
    } or {0: folder}
    faults: list[str] = []
    path_of: dict[tuple[int, str], pathlib.Path] = {}
    for seed, place in seeds.items():
        is_loso = wanted is None or wanted.split == "loso"
        by_key = _files_by_key(place, known, faults, is_loso=is_loso)
        faults += [
            f"no weights of {key} in '{place}': there is neither {_bare(key)}.pth nor "
            f"{fold_weights.file_name(key)}."
            for key in requested
            if key not in by_key
        ]
        path_of |= {(seed, key): by_key[key] for key in requested if key in by_key}
    raise_all(faults)
    return GivenWeights(model, config, path_of, wanted)


def _files_by_key(
    folder: pathlib.Path, known: Sequence[str], faults: list[str], *, is_loso: bool
) -> dict[str, pathlib.Path]:
    """The files of one folder by the fold's key; faults for files of no fold and for doubles."""
    name_of: dict[str, list[str]] = {}
    for key in known:
        for name in (key.replace("/", "_"), _bare(key)):
            name_of.setdefault(name, []).append(key)
    found: dict[str, pathlib.Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix not in (*torch_extra.SUFFIXES, fold_weights.SUFFIX) or not path.is_file():
            continue
        keys = name_of.get(path.stem, [])
        if not keys:
            whose = "subject of the data set" if is_loso else "fold of the split"
            faults.append(f"'{path}' is of no {whose}; move it elsewhere.")
        elif len(keys) > 1:
            faults.append(
                f"'{path}' could be of {' or '.join(keys)}; name it {keys[0].replace('/', '_')}"
                f"{path.suffix} or the like."
            )
        elif keys[0] in found:
            faults.append(f"'{path}' and '{found[keys[0]]}' are both of {keys[0]}; keep one.")
        else:
            found[keys[0]] = path
    return found


def read_file(
    path: pathlib.Path,
    model: str,
    config: NetworkConfig,
    subject_key: str | None = None,
    seed: int | None = None,
    wanted: Wanted | None = None,
) -> dict[str, np.ndarray]:
    """Parameters by path of one file of either form; raises InputError with its first fault."""
    if path.suffix in torch_extra.SUFFIXES:
        return torch_extra.state_files().read(path, config)
    return checked(path, model, config, subject_key, seed, wanted).params


def checked(
    path: pathlib.Path,
    model: str,
    config: NetworkConfig,
    subject_key: str | None,
    seed: int | None,
    wanted: Wanted | None,
) -> FoldWeights:
    """One file that a run wrote; raises InputError with its first fault.

    Under another fold's name a file that knows its own would be tested on clips it has seen, and
    so would a part of other parts.
    """
    weights = fold_weights.load(path)
    if weights.model != model:
        raise InputError(f"'{path}' holds weights of {weights.model}, --model is {model}.")
    if subject_key not in (None, weights.subject_key):
        raise InputError(
            f"'{path}' holds the weights of the fold of {weights.subject_key}, which have seen the "
            f"clips of {subject_key}; give each file its own subject's name."
        )
    if wanted is not None:
        _refuse_other_origin(path, weights, wanted)
    if seed not in (None, weights.seed):
        raise InputError(
            f"'{path}' holds the weights of seed {weights.seed}, not {seed}; give each folder its "
            "own seed's files."
        )
    given, usual = complete(config), type(config)()
    # Settings of later versions that a file does not name are at their default.
    later = {name: value for name, value in complete(usual).items() if name not in plain(usual)}
    stored = given | later | weights.model_config
    if differing := [name for name in given if stored[name] != given[name]]:
        name = differing[0]
        raise InputError(
            f"'{path}' is of a network with {name} {stored[name]}, not "
            f"{given[name]}; give --{'classes' if name == 'num_classes' else name} accordingly."
        )
    shapes = {name: value.shape for name, value in weights.params.items()}
    state_dicts.refuse_other_network(path, shapes, state_dicts.flax_shapes(config))
    for name, value in weights.params.items():
        if value.dtype != np.float32 or not np.isfinite(value).all():
            raise InputError(f"'{path}' has values in {name} that are no finite float32 numbers.")
    return weights


def _refuse_other_origin(path: pathlib.Path, weights: FoldWeights, wanted: Wanted) -> None:
    """Raise InputError on weights of another split, other classes, or parts of other clips."""
    # Of weights that came as state dicts nobody knows in how many parts their clips were split.
    theirs = _flags(weights.split, weights.folds)
    ours = _flags(wanted.split, wanted.folds if weights.folds else None)
    if theirs != ours:
        raise InputError(
            f"'{path}' holds the weights of a fold of {theirs}, not of {ours}, and has seen clips "
            f"that are held out there; give {theirs}."
        )
    if weights.class_names not in (None, wanted.class_names):
        raise InputError(
            f"'{path}' tells apart {', '.join(weights.class_names or ())}, not "
            f"{', '.join(wanted.class_names)}; give --classes accordingly."
        )
    if wanted.folds and weights.data_sha256 not in ("", wanted.data_sha256):
        raise InputError(
            f"'{path}' was trained on other clips, classes or maps, whose parts are not these: it "
            "has seen clips that are held out here; give the data set, --classes and --layout that "
            "it was trained with."
        )


def _flags(split: str, folds: int | None) -> str:
    return f"--split={split}" + (f" --folds={folds}" if folds else "")


def raise_all(faults: list[str]) -> None:
    """Print every fault on a line of its own where there are several, and raise InputError."""
    collected = Faults()
    for fault in faults:
        if len(faults) > 1:
            print(f"fault: {fault}", flush=True)
        collected.add(fault)
    collected.raise_if_any()


def _bare(key: str) -> str:
    return key.rpartition("/")[2]
