"""Converts weights of folds between PyTorch state dicts and safetensors.

python -m experiments.convert_weights --model=ststnet --weights_dir=DIR --output=DIR
"""

import pathlib
import re
from typing import NamedTuple

from absl import flags

from ahmsa_jax.config import ConfigError, plain
from experiments.baselines import torch_extra
from experiments.files import fold_weights
from experiments.run import flags as run_flags
from input_pipeline.core import command, tasks
from input_pipeline.core.errors import InputError
from input_pipeline.databases.registry import DATASETS, canonical_subject, database_of

# As the files of folds are named that hold out other clips than a subject's.
_FOLD = re.compile(r"(clip_kfold|kfold|holdout_database)_(.+)", re.ASCII)


def main() -> int:
    """Convert every file of --weights_dir; nothing is written where one of them is faulty."""
    values = command.values()
    named = command.required(weights_dir="DIR", output="DIR")
    source, output = (pathlib.Path(folder).expanduser() for folder in named)
    if not source.is_dir():
        raise InputError(f"--weights_dir='{source}' is no folder; name the folder of the weights.")
    class_names = _class_names(values.dataset, values.classes)
    wanted = torch_extra.SUFFIXES if values.to == "safetensors" else (fold_weights.SUFFIX,)
    paths = sorted(path for path in source.iterdir() if path.suffix in wanted)
    if not paths:
        raise InputError(f"'{source}' holds no files ending in {' or '.join(wanted)}.")
    count = len(class_names)
    if values.to == "torch" and not (values.classes or values.dataset):
        told = fold_weights.load(paths[0]).model_config.get("num_classes", count)
        count = told if isinstance(told, int) else count
    config, _, _ = run_flags.settings(values, "", {"num_classes": count})
    # JAX takes a second to load; help and mistakes do without.
    from experiments.files import given_weights

    state_files = torch_extra.state_files()
    fold_of: dict[pathlib.Path, _Fold] = {}
    faults: list[str] = []
    for path in paths:
        try:
            fold_of[path] = _fold(path)
            given_weights.read_file(path, values.model, config)
        except InputError as error:
            faults.append(str(error))
    given_weights.raise_all(faults)
    where = output if values.to == "torch" else output / f"seed-{values.seed}"
    targets = [_target(fold, values.to) for fold in fold_of.values()]
    if taken := [name for name in targets if (where / name).exists()]:
        raise InputError(
            f"'{where / taken[0]}' exists ({len(taken)} such files) and would be replaced; name a "
            "new or empty --output."
        )
    # Read again, one at a time: all of a large network's files would not fit the memory.
    for path, fold in fold_of.items():
        params = given_weights.read_file(path, values.model, config)
        if values.to == "torch":
            state_files.write(output / _target(fold, values.to), config, params)
        else:
            # Of a state dict nobody knows on which maps it was trained.
            weights = fold_weights.FoldWeights(
                params=params,
                model=values.model,
                model_config=plain(config),
                seed=values.seed,
                subject_key=fold.key,
                data_sha256="",
                split=fold.split,
                class_names=class_names,
            )
            fold_weights.save(output, weights)
    print(f"converted {len(fold_of)} files; they lie in {where}")
    return 0


def _class_names(dataset: str | None, classes: str | None) -> tuple[str, ...]:
    """The classes that the weights tell apart; raises ConfigError where the flags leave it open."""
    if dataset is not None:
        return (tasks.named(dataset, classes) if classes else tasks.default(dataset)).classes
    found = {task.classes for task in tasks.TASKS.values() if task.name == (classes or "3")}
    if len(found) > 1:
        raise ConfigError(
            f"--classes={classes} are other classes in each data set; name it with --dataset."
        )
    return next(iter(found))


class _Fold(NamedTuple):
    key: str
    split: str


def _target(fold: _Fold, to: str) -> str:
    if to != "torch":
        return fold_weights.file_name(fold.key)
    # A part's number alone would name a subject of SAMM.
    name = fold.key.split("/")[1] if fold.split == "loso" else fold.key.replace("/", "_")
    return f"{name}.pth"


def _fold(path: pathlib.Path) -> _Fold:
    """The fold, from a safetensors file's header or a published name."""
    if path.suffix == fold_weights.SUFFIX:
        weights = fold_weights.load(path)
        return _Fold(weights.subject_key, weights.split)
    if found := _FOLD.fullmatch(path.stem):
        return _Fold(f"{found[1]}/{found[2]}", found[1])
    database = database_of(path.stem)
    if database is None:
        raise InputError(
            f"'{path}' is not named by a subject; names look like sub01.pth, 006.pth, s03.pth or "
            "spNO.1.pth, or kfold_0.pth."
        )
    return _Fold(f"{database}/{canonical_subject(database, path.stem)}", "loso")


if __name__ == "__main__":
    run_flags.define_model_flags()
    flags.DEFINE_enum(
        "classes", None, tasks.names(), "Class set of the weights; by default the data set's own."
    )
    flags.DEFINE_enum(
        "dataset", None, DATASETS, "Data set of the weights, where class sets differ between them."
    )
    flags.DEFINE_string("weights_dir", None, "Folder with one file per fold.")
    flags.DEFINE_string("output", None, "Folder for the converted files.")
    flags.DEFINE_enum("to", "safetensors", ["safetensors", "torch"], "The form to convert to.")
    flags.DEFINE_integer("seed", 0, "Seed under which safetensors files are filed.", lower_bound=0)
    command.run(
        main,
        name="experiments.convert_weights",
        purpose="Convert weights of folds between PyTorch state dicts and safetensors.",
        mistakes=(InputError, ConfigError),
    )
