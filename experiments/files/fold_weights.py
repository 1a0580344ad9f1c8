"""Final parameters of folds on disk: one safetensors file per seed and fold.

WORKDIR/weights/seed-0/casme2_sub01.safetensors holds the Flax parameters under their paths, joined
with '/', and in its header the network, its settings, the seed, the fold's key (of a held-out
subject, or kfold/0), the data set's hash and a SHA-256 of the values: safetensors itself does not
notice a flipped bit.
"""

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as as_bytes

from experiments.files import sealed
from experiments.run.prepared import Preparation
from experiments.run.workdir import canonical_json
from input_pipeline.core.clips import CLASS_NAMES
from input_pipeline.core.errors import InputError
from input_pipeline.core.files import write_whole

FOLDER = "weights"
SUFFIX = ".safetensors"
_HEADER = "fold"
_FACTS = {"model": str, "model_config": dict, "seed": int, "subject_key": str, "data_sha256": str}
# Stored only where they are not what the files of earlier versions are of.
_LATER: dict[str, Any] = {"split": "loso", "folds": None, "class_names": CLASS_NAMES}
_LATER |= {"preparation": {}}
_KINDS = {"split": str, "folds": int, "class_names": list, "preparation": dict}


@dataclasses.dataclass(frozen=True)
class FoldWeights:
    """One fold's parameters by path, and what they are of; the class names may be unknown."""

    params: dict[str, np.ndarray]
    model: str
    model_config: dict[str, Any]
    seed: int
    subject_key: str
    data_sha256: str
    split: str = "loso"
    folds: int | None = None
    class_names: tuple[str, ...] | None = None
    preparation: dict[str, Any] = dataclasses.field(
        default_factory=dict
    )  # as Preparation stores it


def file_name(subject_key: str) -> str:
    """The file of a fold: casme2/sub01 -> casme2_sub01.safetensors, kfold_0.safetensors."""
    return subject_key.replace("/", "_") + SUFFIX


def save(folder: pathlib.Path, weights: FoldWeights) -> None:
    """Write one fold's file under `folder`/seed-<seed>, whole or not at all."""
    facts = {name: getattr(weights, name) for name in _FACTS}
    later = {name: getattr(weights, name) for name in _LATER}
    facts |= {name: one for name, one in later.items() if one not in (None, _LATER[name])}
    header = {_HEADER: canonical_json(facts | {"sha256": sealed.digest(weights.params)})}
    target = folder / f"seed-{weights.seed}"
    target.mkdir(parents=True, exist_ok=True)
    whole = {name: np.ascontiguousarray(value) for name, value in weights.params.items()}
    write_whole(target / file_name(weights.subject_key), as_bytes(whole, metadata=header))


def load(path: pathlib.Path) -> FoldWeights:
    """Read one fold's file; raises InputError where it is none, cut, or changed since written."""
    try:
        # A pipe would be waited for without end.
        if not path.is_file():
            raise ValueError("it is no regular file")
        with safe_open(path, framework="numpy") as file:
            kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
            if odd := [name for name, kind in kinds.items() if kind != "F32"]:
                raise ValueError(f"{odd[0][:60]} holds {kinds[odd[0]]} values, not F32")
            params = {name: file.get_tensor(name) for name in kinds}
            facts = json.loads((file.metadata() or {})[_HEADER])
        if not isinstance(facts, dict):
            raise ValueError(f"its header's {_HEADER} is {type(facts).__name__}, not an object")
        if facts.pop("sha256") != sealed.digest(params):
            raise ValueError("its values have another SHA-256 than when they were written")
        for field, kind in _FACTS.items():
            if not isinstance(facts.get(field), kind):
                raise ValueError(f"its header's {field} is {facts.get(field)!a:.40}")
        for field, kind in _KINDS.items():
            if field in facts and not isinstance(facts[field], kind):
                raise ValueError(f"its header's {field} is {facts[field]!a:.40}")
        Preparation.from_json(facts.get("preparation", {}))
        if "class_names" in facts:
            facts["class_names"] = tuple(map(str, facts["class_names"]))
        return FoldWeights(params=params, **facts)
    except KeyError as error:
        raise InputError(
            f"'{path}' holds no weights of a fold (its header has no {error}); give the files that "
            "experiments.loso --save_weights wrote."
        ) from None
    except (SafetensorError, ValueError, TypeError, RecursionError) as error:
        raise InputError(
            f"'{path}' is damaged ({error}); run the fold again with --save_weights."
        ) from None


def data_sha256(path: pathlib.Path) -> str:
    """The hash of the data set that a file's fold was trained on, of a file that `load` takes."""
    with safe_open(path, framework="numpy") as file:
        return str(json.loads(file.metadata()[_HEADER])["data_sha256"])
