"""The rows of the record: which run each one shows, and on what it was developed.

A new row is an entry here; it reads "not measured" until a run is kept under its name.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ahmsa_jax.config import ConfigError, TrainConfig
from experiments.run.inner_selection import INNER, LAST
from experiments.run.spec import RunSpec
from experiments.scores.published import release_clips

DATASET, DATABASES = "megc2019", ("casme2", "samm", "smic")
SUBJECTS = 68
NOT_MEASURED = "not measured"
# Stands beside every figure of them.
DEVELOPED_HERE = "developed on these 442 clips"
_NOTHING = "nothing was chosen"
_AS_PUBLISHED = "as published; nothing was chosen here"
_SHORTENED = "as published but for its size, which 2 cores allow; nothing was chosen here"

_LOSO = "python -m experiments.loso --dataset=megc2019"
_CLASSICAL = "python -m experiments.classical --dataset=megc2019"
_REDUCED = {"base_dim": 24, "epochs": 60, "learning_rate": 1e-4, "input_norm": "none"}
_REDUCED_FLAGS = "--base_dim=24 --epochs=60 --learning_rate=1e-4"
_OURS = {"input_norm": "robust", "optimizer": "adamw", "class_weights": True, "test_mirror": True}
_OURS_SMALL = _OURS | {"epochs": 40, "learning_rate": 2e-3, "batch_size": 64}
_OURS_AHMSA = _OURS | {"epochs": 20, "learning_rate": 1e-3, "pretrain": "synthetic", "base_dim": 24}
_SMALL_SIZE = "14x14x3, one hidden layer of 128, 76,035 parameters; 40 epochs"
_AHMSA_SIZE = "width 24, 20 epochs, pretrained on synthetic motion"


@dataclasses.dataclass(frozen=True)
class Row:
    """One run of the record; `settings` are those that a run must have to be kept under the name.

    They are named as in config.json; those not named may be any. `size` tells readers the size.
    """

    name: str
    method: str
    size: str
    developed: str
    command: str
    model: str
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    split: str = "loso"
    select: str = LAST
    shuffled_labels: bool = False
    train_share: float = 1.0

    @property
    def title(self) -> str:
        """The method, with what it was developed on where that flatters it."""
        marked = self.developed.startswith(DEVELOPED_HERE)
        return f"{self.method} ({DEVELOPED_HERE})" if marked else self.method


def _networks() -> Sequence[Row]:
    as_published = {"epochs": 800, "learning_rate": 5e-5, "input_norm": "none"}
    peers = [
        Row(
            "ahmsa-24",
            "AHMSA-Net",
            "width 24, 60 epochs",
            _SHORTENED,
            f"{_LOSO} {_REDUCED_FLAGS} --num_seeds=5",
            "ahmsa",
            _REDUCED,
        ),
        Row(
            "htnet-24",
            "HTNet",
            "width 24, 60 epochs",
            _SHORTENED,
            f"{_LOSO} --model=htnet {_REDUCED_FLAGS} --num_seeds=5",
            "htnet",
            _REDUCED,
        ),
        Row(
            "ststnet",
            "STSTNet",
            "full size, 800 epochs, clips in the published order",
            _AS_PUBLISHED,
            f"{_LOSO} --model=ststnet",
            "ststnet",
            as_published | {"order": "class_021"},
        ),
        Row(
            "small-ours",
            "small network, recipe ours",
            _SMALL_SIZE,
            DEVELOPED_HERE,
            f"{_LOSO} --model=small --recipe=ours --num_seeds=5",
            "small",
            _OURS_SMALL,
        ),
        Row(
            "ahmsa-ours",
            "AHMSA-Net, recipe ours",
            _AHMSA_SIZE,
            DEVELOPED_HERE,
            f"{_LOSO} --recipe=ours --num_seeds=3",
            "ahmsa",
            _OURS_AHMSA,
        ),
    ]
    full = [
        Row(
            "ahmsa-256",
            "AHMSA-Net",
            "full size: width 256, 800 epochs",
            _AS_PUBLISHED,
            _LOSO,
            "ahmsa",
            {"base_dim": 256, "epochs": 800, "learning_rate": 5e-6, "input_norm": "none"},
        ),
        Row(
            "htnet-256",
            "HTNet",
            "full size: width 256, 800 epochs",
            _AS_PUBLISHED,
            f"{_LOSO} --model=htnet",
            "htnet",
            as_published | {"base_dim": 256},
        ),
    ]
    return [*peers, *full]


def _methods() -> Sequence[Row]:
    of_maps = [
        ("majority", "majority", "the labels alone", _NOTHING, {}),
        ("svm_maps", "svm_maps", "C 1", DEVELOPED_HERE, {"svm_c": 1.0}),
        ("kernel_flow", "kernel_flow", "ridge 0.3", DEVELOPED_HERE, {"kernel_ridge": 0.3}),
    ]
    return [
        Row(name, method, size, developed, f"{_CLASSICAL} --method={name}", name, settings)
        for name, method, size, developed, settings in of_maps
    ]


METHODS = (*_methods(), *_networks())
_BY_NAME = {row.name: row for row in METHODS}


def _of_one_seed(row: Row) -> str:
    return row.command.partition(" --num_seeds")[0]


def _nested() -> Sequence[Row]:
    found = []
    for name in ("svm_maps", "kernel_flow", "small-ours", "ahmsa-ours"):
        row = _BY_NAME[name]
        file = f"experiments/candidates/{row.model}.txt"
        nested = dataclasses.replace(
            row,
            name=f"{name}-nested",
            size=f"lines of candidates/{row.model}.txt",
            developed=f"{DEVELOPED_HERE}: the candidates, not their choice",
            command=f"{_of_one_seed(row)} --select=inner --candidates={file}",
            select=INNER,
        )
        found.append(nested)
    return found


def _held_out_databases() -> Sequence[Row]:
    return [
        dataclasses.replace(
            row,
            name=f"{row.name}-databases",
            command=f"{row.command} --split=holdout_database",
            split="holdout_database",
        )
        for row in METHODS
        if not row.size.startswith("full size:")
    ]


# Shares of the training subjects, and the methods of the learning curve.
SHARES = (0.25, 0.5, 0.75)
CURVES = ("svm_maps", "kernel_flow", "small-ours")


def _learning_curve() -> Sequence[Row]:
    return [
        dataclasses.replace(
            _BY_NAME[name],
            name=share_name(name, share),
            command=f"{_of_one_seed(_BY_NAME[name])} --train_share={share:g} --seed=0 (then 1 to "
            "4, kept together)",
            train_share=share,
        )
        for name in CURVES
        for share in SHARES
    ]


def share_name(name: str, share: float) -> str:
    """The name of a point of the learning curve; the whole is the row itself."""
    return name if share == 1 else f"{name}-{100 * share:.0f}"


def _controls() -> Sequence[Row]:
    return [
        dataclasses.replace(
            _BY_NAME[name],
            name=f"{name}-shuffled",
            developed=_NOTHING,
            command=f"{_BY_NAME[name].command} --shuffle_labels --seed=0 (then 1 to 4, kept "
            "together)",
            shuffled_labels=True,
        )
        for name in ("svm_maps", "kernel_flow")
    ]


NESTED, CONTROLS = tuple(_nested()), tuple(_controls())
HELD_OUT_DATABASES, LEARNING_CURVE = tuple(_held_out_databases()), tuple(_learning_curve())
ROWS: dict[str, Row] = {
    row.name: row for row in (*METHODS, *NESTED, *HELD_OUT_DATABASES, *LEARNING_CURVE, *CONTROLS)
}
# A clip is hard where all of these get it wrong.
HARD = ("svm_maps", "kernel_flow", "small-ours", "ahmsa-ours")


def clip_count() -> int:
    """Clips of the composite."""
    return sum(map(release_clips, DATABASES))


def named(name: str) -> Row:
    """The row of a name; raises ConfigError where there is none."""
    if name not in ROWS:
        raise ConfigError(
            f"--name={name} is no row of the record; its rows are {', '.join(ROWS)} (a new one is "
            "an entry of experiments/recording/rows.py)."
        )
    return ROWS[name]


def refuse_other(row: Row, spec: RunSpec) -> None:
    """Raise ConfigError, naming what differs, where a run is not the one that a row stands for."""
    # A run leaves later settings at their defaults out of its files.
    found: dict[str, Any] = {**vars(TrainConfig()), **spec.network, **spec.training}
    wanted = dict(row.settings)
    for name in ("model", "split", "select", "shuffled_labels", "train_share"):
        wanted[name], found[name] = getattr(row, name), getattr(spec, name)
    wanted["dataset"], found["dataset"] = DATASET, spec.dataset
    wanted["subjects"], found["subjects"] = None, spec.subjects
    differing = [
        f"{name} is {found.get(name)}, not {value}"
        for name, value in wanted.items()
        if found.get(name) != value
    ]
    if row.select == INNER:
        # What is chosen may be any.
        differing = [text for text in differing if text.split()[0] not in row.settings]
    if differing:
        raise ConfigError(
            f"the run is not what --name={row.name} stands for: {'; '.join(differing)}. Keep it "
            "under the name of its own row."
        )
