"""The rows of the record: which run each one shows, and on what it was developed.

A new row is an entry here; it reads "not measured" until a run is kept under its name.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ahmsa_jax.config import ConfigError, TrainConfig
from ahmsa_jax.networks import own_recipe
from ahmsa_jax.networks.registry import NETWORKS
from experiments.classical_methods.registry import METHODS as CLASSICAL
from experiments.run.inner_selection import INNER, LAST
from experiments.run.recipes import FROM_DATA, presets
from experiments.run.spec import RunSpec
from experiments.scores.published import release_clips

DATASET, DATABASES = "megc2019", ("casme2", "samm", "smic")
SUBJECTS = 68
NOT_MEASURED = "not measured"
# Stands beside every figure of them.
DEVELOPED_HERE = own_recipe.DEVELOPED_ON
_NOTHING = "nothing was chosen"
_AS_PUBLISHED = "as published; nothing was chosen here"
_SHORTENED = "as published but for width, epochs and learning rate, which 2 cores allow"
_LOSO = "python -m experiments.loso --dataset=megc2019"
_CLASSICAL = "python -m experiments.classical --dataset=megc2019"
_REDUCED = {"base_dim": 24, "epochs": 60, "learning_rate": 1e-4}
_REDUCED_FLAGS = "--base_dim=24 --epochs=60 --learning_rate=1e-4"
_OURS = "ours"
# Networks that are trained narrow and at full size: model, its name, the flag that asks for it.
_HIERARCHIES = (("ahmsa", "AHMSA-Net", ""), ("htnet", "HTNet", " --model=htnet"))


@dataclasses.dataclass(frozen=True)
class Row:
    """One run of the record, that of a network or a method as it comes but for `changes`.

    `size` tells readers the size, `developed` on what clips its settings were tried before.
    """

    name: str
    method: str
    size: str
    developed: str
    command: str
    model: str
    recipe: str | None = None
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    split: str = "loso"
    select: str = LAST
    shuffled_labels: bool = False
    train_share: float = 1.0

    @property
    def title(self) -> str:
        """The method, with what it was developed on where that flatters it."""
        marked = self.developed.startswith(DEVELOPED_HERE)
        return f"{self.method} ({DEVELOPED_HERE})" if marked else self.method

    @property
    def settings(self) -> dict[str, Any]:
        """All settings of its run, and the layout of its maps."""
        if self.model in CLASSICAL:
            return {**vars(CLASSICAL[self.model].config()), **self.changes, "layout": "whole"}
        chosen = {**defaults_of(self.model), **presets(self.model, self.recipe), **self.changes}
        if chosen["shuffle"]:
            chosen["order"] = "data"
        return chosen


def defaults_of(model: str) -> dict[str, Any]:
    """Settings of a network or method and, of a network, its training, as they stand by default."""
    if model in CLASSICAL:
        return dict(vars(CLASSICAL[model].config()))
    network = {} if model not in NETWORKS else vars(NETWORKS[model].config())
    both = {**network, **vars(TrainConfig())}
    return {name: value for name, value in both.items() if name not in FROM_DATA}


def _networks() -> Sequence[Row]:
    reduced = f"{_REDUCED_FLAGS} --num_seeds=5"
    small = "14x14x3, one hidden layer of 128, 76,035 parameters; 40 epochs"
    return [
        *(
            Row(
                f"{model}-24",
                method,
                "width 24, 60 epochs, learning rate 1e-4",
                _SHORTENED,
                f"{_LOSO}{flag} {reduced}",
                model,
                changes=_REDUCED,
            )
            for model, method, flag in _HIERARCHIES
        ),
        Row(
            "ststnet",
            "STSTNet",
            "full size, 800 epochs, clips in the published order",
            _AS_PUBLISHED,
            f"{_LOSO} --model=ststnet",
            "ststnet",
        ),
        Row(
            "small-ours",
            "small network, recipe ours",
            small,
            DEVELOPED_HERE,
            f"{_LOSO} --model=small --recipe=ours --num_seeds=5",
            "small",
            _OURS,
        ),
        Row(
            "ahmsa-ours",
            "AHMSA-Net, recipe ours",
            "width 24, 20 epochs, pretrained on synthetic motion",
            DEVELOPED_HERE,
            f"{_LOSO} --recipe=ours --num_seeds=3",
            "ahmsa",
            _OURS,
        ),
        Row(
            "htnet-ours",
            "HTNet, recipe ours",
            "width 24, 60 epochs, learning rate 1e-4",
            DEVELOPED_HERE,
            f"{_LOSO} --model=htnet --recipe=ours {_REDUCED_FLAGS}",
            "htnet",
            _OURS,
            _REDUCED,
        ),
        Row(
            "ststnet-ours",
            "STSTNet, recipe ours",
            "full size, 60 epochs",
            DEVELOPED_HERE,
            f"{_LOSO} --model=ststnet --recipe=ours --epochs=60",
            "ststnet",
            _OURS,
            {"epochs": 60},
        ),
    ]


def _without_pretraining() -> Sequence[Row]:
    name, method, size = "ahmsa-ours-unpretrained", "AHMSA-Net, recipe ours", "without pretraining"
    command, changes = f"{_LOSO} --recipe=ours --pretrain=none", {"pretrain": "none"}
    return [Row(name, method, size, DEVELOPED_HERE, command, "ahmsa", _OURS, changes)]


def _full_networks() -> Sequence[Row]:
    size = "full size: width 256, 800 epochs"
    return [
        Row(f"{model}-256", method, size, _AS_PUBLISHED, f"{_LOSO}{flag}", model)
        for model, method, flag in _HIERARCHIES
    ]


def _methods() -> Sequence[Row]:
    of_maps = [
        ("majority", "the labels alone", _NOTHING),
        ("svm_maps", "C 1", DEVELOPED_HERE),
        ("kernel_flow", "ridge 0.3", DEVELOPED_HERE),
    ]
    return [
        Row(name, name, size, developed, f"{_CLASSICAL} --method={name}", name)
        for name, size, developed in of_maps
    ]


_ON_TWO_CORES = (*_methods(), *_networks())
METHODS = (*_ON_TWO_CORES, *_without_pretraining(), *_full_networks())
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
        for row in _ON_TWO_CORES
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


_CONTROLLED = ("svm_maps", "kernel_flow", "small-ours", "ahmsa-ours", "htnet-ours", "ststnet-ours")


def _controls() -> Sequence[Row]:
    return [
        dataclasses.replace(
            _BY_NAME[name],
            name=f"{name}-shuffled",
            developed=_NOTHING,
            command=f"{_of_one_seed(_BY_NAME[name])} --shuffle_labels --seed=0 (then 1 to 4, kept "
            "together)",
            shuffled_labels=True,
        )
        for name in _CONTROLLED
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
    """Raise ConfigError, naming what differs, where a run is not the one that a row stands for.

    With inner selection, what is chosen may be any, and so may the settings.
    """
    # What it is of first: of another network every setting differs.
    whole = ("model", "split", "select", "shuffled_labels", "train_share")
    wanted: dict[str, Any] = {name: getattr(row, name) for name in whole}
    found = {name: getattr(spec, name) for name in whole}
    wanted |= {"dataset": DATASET, "subjects": None}
    found |= {"dataset": spec.dataset, "subjects": spec.subjects}
    # A run leaves settings of later versions out of its files where they stand at their default.
    stored = {**defaults_of(spec.model), **spec.network, **spec.training, "layout": spec.layout}
    settings = {} if row.select == INNER else row.settings
    wanted |= settings
    found |= {name: stored.get(name) for name in settings}
    differing = [
        f"{name} is {_plain(found[name])}, not {_plain(value)}"
        for name, value in wanted.items()
        if _plain(found[name]) != _plain(value)
    ]
    if differing:
        raise ConfigError(
            f"the run is not what --name={row.name} stands for: {'; '.join(differing[:8])}. Keep "
            "it under the name of its own row."
        )


def _plain(value: Any) -> Any:
    """The value as JSON holds it."""
    return list(value) if isinstance(value, tuple) else value
