"""What a run trains, as a value that is stored, hashed and compared; and how it is carried out."""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self

# "classical": a method without a network, which knows no epochs.
Kind = Literal["jax", "pytorch", "given", "classical"]
_FRAMEWORKS: tuple[Kind, ...] = ("pytorch", "classical")
# Stored by every run under their own names.
_AS_NAMED = ("dataset", "layout", "shuffled_labels", "data_sha256", "model", "eval_every", "shard")
# Stored only where they differ from what every earlier run did.
_LATER: dict[str, Any] = {"task": None, "split": "loso", "folds": None, "select": "last"}
_LATER |= {"average_seeds": False, "select_by": None, "inner_folds": None, "candidates": None}
_LATER |= {"train_share": 1.0}
_OF_JAX = ("folds_at_once", "parallel")
_MISSING = "absent"


class SplitWords(NamedTuple):
    """How a split is called: in a run's first lines, in a title, and behind a method's name.

    `warning` ends the title of each table where scores do not measure what they seem to.
    """

    header: str
    title: str
    method: str
    warning: str = ""


# Of experiments.fit: one training on everything.
ALL_CLIPS = "all_clips"
# {folds} is what --folds says.
_SPLIT_WORDS = {
    ALL_CLIPS: SplitWords(
        "training on all clips; nothing is held out",
        "trained on all clips",
        ", on the clips it was trained on",
        "scores on the clips trained on",
    ),
    "loso": SplitWords(
        "subjects; each fold holds one subject out and trains on all others",
        "leave one subject out",
        "",
    ),
    "holdout_database": SplitWords(
        "databases; each fold holds one database out and trains on the others",
        "leave one database out",
        ", leave one database out",
    ),
    "kfold": SplitWords(
        "parts of the subjects; each fold holds one part out and trains on the others",
        "{folds}-fold over subjects",
        ", {folds}-fold over subjects",
    ),
    "clip_kfold": SplitWords(
        "parts of the clips, subjects on both sides: what a fold is tested on looks like what it "
        "was trained on",
        "{folds}-fold over clips, subjects on both sides",
        ", {folds}-fold over clips, subjects on both sides",
        "subjects on both sides",
    ),
}


@dataclasses.dataclass(frozen=True)
class RunSpec:
    """Everything that decides a run's numbers, and nothing else.

    Settings of network and training are kept as stored in JSON, so that a run is read without its
    network. `to_json` gives what runs have always stored: a run keeps its hash and its folder.
    """

    # Trained by this engine, trained in PyTorch, evaluated with given weights, or no network.
    kind: Kind
    dataset: str
    layout: str
    data_sha256: str
    model: str
    network: Mapping[str, Any]
    training: Mapping[str, Any]
    seeds: tuple[int, ...]
    eval_every: int = 0
    subjects: tuple[str, ...] | None = None  # keys of --subjects; None: all
    shard: str | None = None
    shuffled_labels: bool = False
    save_weights: bool = False
    weights_sha256: str | None = None  # of the given weights
    folds_at_once: int = 0
    parallel: str = "folds"
    task: str | None = None  # class set; None: the data set's own
    split: str = "loso"
    folds: int | None = None  # of the splits into parts
    average_seeds: bool = False  # whether the seeds' averaged probabilities are a headline too
    select: str = "last"  # of choices.SELECTIONS: which epoch is a fold's result
    # Of inner selection: a name of selection.SELECT_BY, the parts, and the lines of --candidates.
    select_by: str | None = None
    inner_folds: int | None = None
    candidates: tuple[str, ...] | None = None
    train_share: float = 1.0  # of each fold's training subjects, drawn with the seed
    # Keys that this version does not know, of a run that another one wrote.
    others: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def is_trained(self) -> bool:
        """Whether the run trained a network itself, epoch by epoch."""
        return self.kind in ("jax", "pytorch")

    @property
    def epochs(self) -> int:
        """Epochs trained; 0 for given weights."""
        return int(self.training["epochs"])

    @property
    def split_words(self) -> SplitWords:
        """What people read of the split."""
        name = self.split
        words = _SPLIT_WORDS.get(name) or SplitWords(name, f"split {name}", f", split {name}")
        return SplitWords(*(text.format(folds=self.folds) for text in words))

    def to_json(self) -> dict[str, Any]:
        """The settings as stored in config.json."""
        stored: dict[str, Any] = {name: getattr(self, name) for name in _AS_NAMED} | {
            "model_config": dict(self.network),
            "train_config": dict(self.training),
            "seeds": list(self.seeds),
            "subjects": None if self.subjects is None else list(self.subjects),
        }
        if self.is_trained:
            stored["save_weights"] = self.save_weights
        if self.kind == "jax":
            stored |= {name: getattr(self, name) for name in _OF_JAX}
        elif self.kind in _FRAMEWORKS:
            stored["framework"] = self.kind
        else:
            stored["weights_sha256"] = self.weights_sha256
        for name, default in _LATER.items():
            if (value := getattr(self, name)) != default:
                stored[name] = list(value) if isinstance(value, tuple) else value
        return stored | dict(self.others)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The settings that a run stored; raises KeyError or TypeError where they are none."""
        kind: Kind = "jax"
        if "framework" in stored:
            kind = "classical" if stored["framework"] == "classical" else "pytorch"
        elif int(stored["train_config"]["epochs"]) == 0:
            kind = "given"
        renamed = {"network": "model_config", "training": "train_config"}
        fields = {
            field.name: stored[renamed.get(field.name, field.name)]
            for field in dataclasses.fields(cls)
            if renamed.get(field.name, field.name) in stored
        }
        known = {renamed.get(name, name) for name in fields} | {"framework"}
        fields["seeds"] = tuple(stored["seeds"])
        for name in ("subjects", "candidates"):
            if stored.get(name) is not None:
                fields[name] = tuple(stored[name])
        others = {name: value for name, value in stored.items() if name not in known}
        # Runs of the first version stored fewer keys; what they lack stays absent.
        return cls(kind=kind, others=others, **fields)


@dataclasses.dataclass(frozen=True)
class Execution:
    """How a run is carried out here: changes no number beyond float32 rounding."""

    workdir: pathlib.Path
    folds_at_once: int = 0  # 0: as memory allows
    parallel: str = "folds"
    cluster: str | None = None  # address of a Ray cluster
    checkpoint_minutes: float = 5.0  # 0: no checkpoints inside a chunk
    dry_run: bool = False
    compile_cache: str | None = None
    autotune_file: str | None = None
    target: str | None = None  # of a dry run: a GPU that is elsewhere
    tensorboard: bool = False  # whether event files are written


def config_hash(stored: Mapping[str, Any]) -> str:
    """First 8 hexadecimal digits of the SHA-256 of settings or facts as stored."""
    compact = json.dumps(stored, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(compact.encode()).hexdigest()[:8]


def differences(
    stored: Mapping[str, Any],
    wanted: Mapping[str, Any],
    names: tuple[str, str] = ("stored", "now"),
    prefix: str = "",
) -> list[str]:
    """Settings that differ, one `name: stored A, now B` each, nested names joined by a dot."""
    found = []
    for name in sorted({*stored, *wanted}):
        old, new = stored.get(name, _MISSING), wanted.get(name, _MISSING)
        if isinstance(old, dict) and isinstance(new, dict):
            found += differences(old, new, names, f"{prefix}{name}.")
        elif old != new:
            found.append(f"{prefix}{name}: {names[0]} {_short(old)}, {names[1]} {_short(new)}")
    return found


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
