"""Converts weights of held-out subjects between PyTorch state dicts and safetensors.

python -m experiments.convert_weights --model=ststnet --weights_dir=DIR --output=DIR
"""

import pathlib

from absl import flags

from ahmsa_jax.config import ConfigError, plain
from experiments.baselines import torch_extra
from experiments.files import fold_weights
from experiments.run import flags as run_flags
from input_pipeline.core import command
from input_pipeline.core.errors import InputError
from input_pipeline.databases.registry import canonical_subject, database_of


def main() -> int:
    """Convert every file of --weights_dir; nothing is written where one of them is faulty."""
    values = command.values()
    named = command.required(weights_dir="DIR", output="DIR")
    source, output = (pathlib.Path(folder).expanduser() for folder in named)
    if not source.is_dir():
        raise InputError(f"--weights_dir='{source}' is no folder; name the folder of the weights.")
    config, _, _ = run_flags.settings(values, "", {})
    wanted = torch_extra.SUFFIXES if values.to == "safetensors" else (fold_weights.SUFFIX,)
    paths = sorted(path for path in source.iterdir() if path.suffix in wanted)
    if not paths:
        raise InputError(f"'{source}' holds no files ending in {' or '.join(wanted)}.")
    # JAX takes a second to load; help and mistakes do without.
    from experiments.files import given_weights

    state_files = torch_extra.state_files()
    key_of: dict[pathlib.Path, str] = {}
    faults: list[str] = []
    for path in paths:
        try:
            key_of[path] = _subject_key(path)
            given_weights.read_file(path, values.model, config)
        except InputError as error:
            faults.append(str(error))
    given_weights.raise_all(faults)
    where = output if values.to == "torch" else output / f"seed-{values.seed}"
    targets = [_target(key, values.to) for key in key_of.values()]
    if taken := [name for name in targets if (where / name).exists()]:
        raise InputError(
            f"'{where / taken[0]}' exists ({len(taken)} such files) and would be replaced; name a "
            "new or empty --output."
        )
    # Read again, one at a time: all of a large network's files would not fit the memory.
    for path, key in key_of.items():
        params = given_weights.read_file(path, values.model, config)
        if values.to == "torch":
            state_files.write(output / _target(key, values.to), config, params)
        else:
            # Of a state dict nobody knows on which maps it was trained.
            weights = fold_weights.FoldWeights(
                params, values.model, plain(config), values.seed, key, data_sha256=""
            )
            fold_weights.save(output, weights)
    print(f"converted {len(key_of)} files; they lie in {where}")
    return 0


def _target(key: str, to: str) -> str:
    return f"{key.split('/')[1]}.pth" if to == "torch" else fold_weights.file_name(key)


def _subject_key(path: pathlib.Path) -> str:
    """The held-out subject's key, from a safetensors file's header or a published name."""
    if path.suffix == fold_weights.SUFFIX:
        return fold_weights.load(path).subject_key
    database = database_of(path.stem)
    if database is None:
        raise InputError(
            f"'{path}' is not named by a subject; names look like sub01.pth, 006.pth, s03.pth or "
            "spNO.1.pth."
        )
    return f"{database}/{canonical_subject(database, path.stem)}"


if __name__ == "__main__":
    run_flags.define_model_flags()
    flags.DEFINE_string("weights_dir", None, "Folder with one file per held-out subject.")
    flags.DEFINE_string("output", None, "Folder for the converted files.")
    flags.DEFINE_enum("to", "safetensors", ["safetensors", "torch"], "The form to convert to.")
    flags.DEFINE_integer("seed", 0, "Seed under which safetensors files are filed.", lower_bound=0)
    command.run(
        main,
        name="experiments.convert_weights",
        purpose="Convert weights of held-out subjects between PyTorch state dicts and safetensors.",
        mistakes=(InputError, ConfigError),
    )
