"""The flags of a LOSO run, made from the settings' dataclasses, and the run they describe."""

import dataclasses
import os
import re
from typing import Any

from absl import flags

from ahmsa_jax.config import ConfigError, ModelConfig, TrainConfig
from experiments import slurm
from input_pipeline.clips import DATASETS

# Networks by the name after --model, with the layout of the maps that each was made for.
MODEL_LAYOUTS = {"ahmsa": "five"}
# What --dataset=synthetic brings, so that a newcomer's run takes a minute on a CPU.
SYNTHETIC_PRESET: dict[str, Any] = {"base_dim": 24, "epochs": 40, "learning_rate": 3e-4}
# A month: whoever wants none gives 0.
MAX_CHECKPOINT_MINUTES = 43_200
_FROM_DATA = ("image_size", "num_classes")


class IntegersParser(flags.ArgumentParser):
    """Parses 2,2,8 into a tuple of integers."""

    syntactic_help = "comma-separated integers"

    def parse(self, argument: Any) -> tuple[int, ...]:
        """Return the integers; raises ValueError where a part is none."""
        if isinstance(argument, tuple):
            return argument
        try:
            return tuple(int(part) for part in str(argument).split(","))
        except ValueError:
            raise ValueError("give integers separated by commas, such as 2,2,8") from None


class ShardParser(flags.ArgumentParser):
    """Parses i/n, the i-th of n parts of the folds, i from 0; `slurm` reads SLURM's variables."""

    syntactic_help = "i/n or slurm"

    def parse(self, argument: Any) -> tuple[int, int]:
        """Return (i, n); raises ValueError unless 0 <= i < n <= 10000."""
        if argument == "slurm":
            # The part itself is what settings and flags.txt then hold.
            argument = "{}/{}".format(*slurm.shard(os.environ))
        part, slash, parts = str(argument).partition("/")
        if not (slash and part.isdecimal() and parts.isdecimal()):
            raise ValueError("give a part and the number of parts, such as 0/4")
        if not 0 <= int(part) < int(parts) <= 10_000:
            raise ValueError(
                "the part counts from 0 and stays below the number of parts (0/4..3/4)"
            )
        return int(part), int(parts)


class ClusterParser(flags.ArgumentParser):
    """Parses `auto`, or HOST:PORT of a Ray cluster."""

    syntactic_help = "auto or HOST:PORT"

    def parse(self, argument: Any) -> str:
        """Return it as given; raises ValueError where it is neither."""
        text = str(argument)
        named = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+):(\d{1,5})", text, re.ASCII)
        if text != "auto" and not (named and 1 <= int(named[2]) <= 65_535):
            raise ValueError("give auto, or the address that 'ray start --head' says: HOST:PORT")
        return text


class _TupleSerializer(flags.ArgumentSerializer):
    def __init__(self, separator: str):
        self._separator = separator

    def serialize(self, value: tuple[int, ...]) -> str:
        return self._separator.join(map(str, value))


def _define_settings(config: type) -> None:
    for field in dataclasses.fields(config):
        default: Any = field.default
        help_text = field.metadata["help"]
        if field.name in _FROM_DATA:
            continue
        if field.name == "blocks":
            flags.DEFINE(
                IntegersParser(), field.name, default, help_text,
                serializer=_TupleSerializer(","),
            )  # fmt: skip
        elif field.name == "activation":
            flags.DEFINE_enum(field.name, default, ["gelu", "relu"], help_text)
        elif field.name == "precision":
            choices = ["float32", "tf32", "bfloat16"]
            flags.DEFINE_enum(field.name, default, choices, help_text)
        elif isinstance(default, bool):
            flags.DEFINE_bool(field.name, default, help_text)
        elif isinstance(default, int):
            flags.DEFINE_integer(field.name, default, help_text)
        else:
            flags.DEFINE_float(field.name, default, help_text)


def define_run_flags() -> None:
    """Define the flags of a training run; call once, before parsing."""
    flags.DEFINE_string("dataset", "synthetic", f"Data set: {', '.join(DATASETS)}.")
    flags.DEFINE_string(
        "arrays", None, "File of input_pipeline.export to read instead of a stored data set."
    )
    flags.DEFINE_enum("model", "ahmsa", sorted(MODEL_LAYOUTS), "Network to train.")
    flags.DEFINE_string(
        "workdir", None, "Folder of the run; by default runs/<dataset>-<model>-<hash of settings>."
    )
    flags.DEFINE_integer("seed", 0, "First seed of parameters and batch orders.")
    flags.DEFINE_integer("num_seeds", 1, "Seeds to run: seed, seed + 1, ...")
    flags.DEFINE_integer(
        "eval_every",
        0,
        "Predict the held-out clips every so many epochs, for the curve and the optimistic figure; "
        "0: after the last epoch only.",
    )
    flags.DEFINE_integer(
        "folds_at_once", 0, "Folds trained together over all devices; 0: as memory allows."
    )
    flags.DEFINE_enum(
        "parallel", "folds", ["folds", "batch"],
        "What several devices share out: whole folds, or the batches of one fold at a time (for "
        "few folds or a wide network).",
    )  # fmt: skip
    flags.DEFINE_bool(
        "save_weights", False,
        "Keep each fold's final parameters as WORKDIR/weights/seed-<seed>/<database>_<subject>"
        ".safetensors, for experiments.evaluate.",
    )  # fmt: skip
    flags.DEFINE_list("subjects", None, "Only these folds: keys such as casme2/sub01,samm/006.")
    flags.DEFINE(
        ShardParser(), "shard", None,
        "Only part i of n of the folds, i from 0, for job arrays; merge with experiments.report. "
        "slurm: the part that SLURM's variables give this task.",
        serializer=_TupleSerializer("/"),
    )  # fmt: skip
    flags.DEFINE(
        ClusterParser(), "cluster", None,
        "Train the chunks as tasks of a Ray cluster: HOST:PORT of one that this machine belongs "
        "to, or auto: the one that runs here, else one of this machine alone. A lost chunk is "
        "trained again: there are no checkpoints inside chunks.",
        serializer=flags.ArgumentSerializer(),
    )  # fmt: skip
    flags.DEFINE_bool(
        "shuffle_labels", False,
        "Control run: labels permuted among the clips, from --seed; scores must fall to chance.",
    )  # fmt: skip
    flags.DEFINE_bool(
        "dry_run", False, "Print the plan, the estimated time and disk space, and stop."
    )
    flags.DEFINE_float(
        "checkpoint_minutes", 5.0,
        "Save the folds in training every so many minutes, and on SIGTERM and Ctrl-C; 0: never.",
    )  # fmt: skip
    _define_settings(ModelConfig)
    _define_settings(TrainConfig)


def settings_from_flags(
    dataset: str, image_size: int
) -> tuple[ModelConfig, TrainConfig, list[str]]:
    """Network and training settings; raises ConfigError where one is out of range.

    The list names the settings that the synthetic data set's preset replaced.
    """
    values = flags.FLAGS
    preset = SYNTHETIC_PRESET if dataset == "synthetic" else {}
    applied = [name for name in preset if not values[name].present]

    def value_of(name: str) -> Any:
        return preset[name] if name in applied else values[name].value

    def build(config: type) -> Any:
        names = [field.name for field in dataclasses.fields(config)]
        return config(**{name: value_of(name) for name in names if name not in _FROM_DATA})

    model_config = dataclasses.replace(build(ModelConfig), image_size=image_size)
    train_config = build(TrainConfig)
    model_config.validate()
    train_config.validate()
    return model_config, train_config, applied


def seeds_from_flags() -> list[int]:
    """The seeds to run; raises ConfigError where they leave 0..2^32-1."""
    first, count = _integer("seed"), _integer("num_seeds")
    if not 1 <= count <= 10_000:
        raise ConfigError(f"--num_seeds={count} is out of range; allowed are 1 to 10000.")
    if not 0 <= first <= 2**32 - count:
        raise ConfigError(f"--seed={first} is out of range; allowed are 0 to {2**32 - count}.")
    return list(range(first, first + count))


def check_run_flags() -> None:
    """Raise ConfigError on the first counting flag that is out of range."""
    for name, most in (("eval_every", 1_000_000), ("folds_at_once", 100_000)):
        value = _integer(name)
        if not 0 <= value <= most:
            raise ConfigError(f"--{name}={value} is out of range; allowed are 0 to {most}.")
    wanted = _integer("folds_at_once")
    if flags.FLAGS.parallel == "batch" and wanted > 1:
        raise ConfigError(
            f"--parallel=batch trains one fold at a time, --folds_at_once={wanted} asks for "
            "several; leave one of them out."
        )
    for name, given in (("parallel", "batch"), ("save_weights", True)):
        if flags.FLAGS.cluster and flags.FLAGS[name].value == given:
            raise ConfigError(
                f"--{name} and --cluster exclude each other: a worker trains whole chunks on one "
                "device and keeps no files; leave one of them out, or use --shard."
            )
    minutes: Any = flags.FLAGS["checkpoint_minutes"].value
    if not 0 <= minutes <= MAX_CHECKPOINT_MINUTES:
        raise ConfigError(
            f"--checkpoint_minutes={minutes:g} is out of range; allowed are 0 (never) to "
            f"{MAX_CHECKPOINT_MINUTES}."
        )


def _integer(name: str) -> int:
    value: Any = flags.FLAGS[name].value
    return int(value)


def as_flagfile(preset: list[str]) -> str:
    """The run's flags, one a line, usable with --flagfile; those of the preset written out."""
    lines = []
    for module, owned in flags.FLAGS.flags_by_module_dict().items():
        if not module.startswith(("input_pipeline", "experiments")):
            continue
        for flag in owned:
            if flag.name in preset:
                lines.append(f"--{flag.name}={SYNTHETIC_PRESET[flag.name]}")
            elif flag.value is not None and flag.name not in ("workdir", "dry_run", "help"):
                if flag.name == "dataset" and flags.FLAGS.arrays:
                    continue
                lines.append(flag.serialize())
    return "".join(f"{line}\n" for line in sorted(lines) if line)
