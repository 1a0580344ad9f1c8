"""The folder of a fitted model: what it is of, its weights, and predictions with them.

model.json says everything but the weights' values, under a hash of its own; clips.csv names the
clips trained on; training/ is the run, with one safetensors file for each seed. Letters in array
names: S seeds, N clips, K classes.
"""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ahmsa_jax.config import ConfigError, NetworkConfig, from_plain
from ahmsa_jax.networks.registry import NETWORKS
from experiments.files import fold_weights, given_weights
from experiments.fitting import calibration
from experiments.run.prepared import Preparation
from experiments.run.spec import ALL_CLIPS
from experiments.run.workdir import canonical_json, config_hash
from experiments.schedule import prediction
from input_pipeline.core.clips import Clips
from input_pipeline.core.errors import InputError
from input_pipeline.core.files import read_text, write_whole

MODEL_FILE, CLIPS_FILE, CARD_FILE, RELIABILITY = (
    "model.json",
    "clips.csv",
    "model_card.md",
    "reliability",
)
TRAINING = "training"
FORMAT = 1
_HASH = "model_hash"
_MOST_BYTES = 16 * 2**20
# What model.json must hold, by type.
_KINDS: dict[str, type | tuple[type, ...]] = {
    "format": int,
    "model": str,
    "network": dict,
    "training": dict,
    "seeds": list,
    "dataset": str,
    "layout": str,
    "class_names": list,
    "data_sha256": str,
    "clips": int,
    "subjects": int,
    "pretend": bool,
    "shuffled_labels": bool,
    "maps": dict,
    "versions": dict,
    "temperature": (int, float),
}


@dataclasses.dataclass(frozen=True)
class Model:
    """A fitted model as read from its folder; `facts` is all that model.json says."""

    folder: pathlib.Path
    facts: Mapping[str, Any]
    config: NetworkConfig
    hash: str  # of what model.json says

    @property
    def name(self) -> str:
        """The network's name in the registry."""
        return str(self.facts["model"])

    @property
    def layout(self) -> str:
        """The layout of the maps it was trained on."""
        return str(self.facts["layout"])

    @property
    def class_names(self) -> tuple[str, ...]:
        """Its classes, in the order of the labels."""
        return tuple(self.facts["class_names"])

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds whose probabilities are averaged."""
        return tuple(self.facts["seeds"])

    @property
    def temperature(self) -> float:
        """What its log probabilities are divided by; 1 without an estimate."""
        return float(self.facts["temperature"])

    @functools.cached_property
    def weights(self) -> list[fold_weights.FoldWeights]:
        """The weights of each seed, checked; raises InputError with the first fault."""
        found = []
        for seed in self.seeds:
            path = weights_path(self.folder, seed)
            if not path.is_file():
                raise InputError(
                    f"'{path}' is missing, the weights of seed {seed}; copy the whole folder of "
                    "the model, or fit it again."
                )
            try:
                one = given_weights.checked(path, self.name, self.config, ALL_CLIPS, seed, None)
            except InputError as error:
                raise InputError(
                    str(error).replace("run the fold again with --save_weights", _MEND)
                ) from None
            if one.data_sha256 != self.facts["data_sha256"]:
                raise InputError(
                    f"'{path}' was trained on other clips than {MODEL_FILE} says; copy the "
                    "model's folder again."
                )
            found.append(one)
        return found

    def probabilities(self, clips: Clips) -> np.ndarray:
        """Class probabilities of clips in the model's layout under each seed, (S, N, K).

        As the networks give them: neither averaged nor calibrated. Raises InputError on clips in
        another layout.
        """
        if not isinstance(clips, Clips):
            raise InputError(f"{clips!r:.40} are no clips; make some with load, or clips_of.")
        if clips.layout != self.layout:
            raise InputError(
                f"the clips are in the layout {clips.layout}, the model was trained on "
                f"{self.layout}; load them with layout={self.layout!r}."
            )
        found = []
        for one in self.weights:
            views = Preparation.from_json(one.preparation).views(clips)
            found.append(np.mean([self._predict(one.params, view) for view in views], axis=0))
        return np.stack(found)

    def averaged(self, probability_SxNxK: np.ndarray) -> np.ndarray:
        """The seeds' mean under the model's temperature, (N, K)."""
        mean_NxK = probability_SxNxK.mean(axis=0, dtype=np.float64)
        return calibration.tempered(mean_NxK, self.temperature)

    @functools.cached_property
    def _predict(self) -> prediction.Predict:
        return prediction.predictor(self.config, _AT_ONCE)


_MEND = "copy the model's folder again, or fit it again"
# Clips predicted together.
_AT_ONCE = 16


def weights_path(folder: pathlib.Path, seed: int) -> pathlib.Path:
    """Where the weights of a seed lie in a model's folder."""
    name = fold_weights.file_name(ALL_CLIPS)
    return folder / TRAINING / fold_weights.FOLDER / f"seed-{seed}" / name


def write(folder: pathlib.Path, facts: Mapping[str, Any], keys: Sequence[tuple[str, str]]) -> None:
    """Write clips.csv, with each clip's key and class, and then model.json, which counts."""
    from_keys = "".join(f"{key},{name}\n" for key, name in keys)
    write_whole(folder / CLIPS_FILE, "clip,class\n" + from_keys)
    content = {"format": FORMAT, **facts}
    write_whole(folder / MODEL_FILE, canonical_json({**content, _HASH: config_hash(content)}))


def is_written(folder: pathlib.Path) -> bool:
    """Whether a model has been finished there."""
    return (folder / MODEL_FILE).is_file()


def load(folder: pathlib.Path) -> Model:
    """The model of a folder; raises InputError where it holds none, or a damaged one."""
    path = folder / MODEL_FILE
    try:
        facts = json.loads(read_text(path, _MOST_BYTES))
        stored = facts.pop(_HASH)
        if stored != config_hash(facts):
            raise ValueError("its hash does not fit its content")
        if facts["format"] != FORMAT:
            raise ValueError(f"its format is {facts['format']}; this version reads {FORMAT}")
        for name, kind in _KINDS.items():
            if not isinstance(facts[name], kind):
                raise ValueError(f"its {name} is {facts[name]!a:.40}")
        if facts["model"] not in NETWORKS:
            raise InputError(
                f"its network is {facts['model']}; known are {', '.join(NETWORKS)}: register it "
                "first."
            )
        config = from_plain(NETWORKS[facts["model"]].config, facts["network"])
        return Model(folder, facts, config, stored)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            f"'{folder}' is no model's folder: it holds no {MODEL_FILE}; name one that "
            "experiments.fit wrote."
        ) from None
    except (InputError, ConfigError) as error:
        raise InputError(f"'{path}' cannot be used: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(
            f"'{path}' is damaged ({what}); copy the model's folder again, or fit it again."
        ) from None
