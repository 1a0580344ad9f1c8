"""The flags of a LOSO run, made from the settings' dataclasses, and the run they describe."""

import dataclasses
from typing import Any, get_args

from absl import flags

from ahmsa_jax.config import ConfigError, Order, TrainConfig
from experiments.run.flag_values import ClusterParser, IntegersParser, ShardParser, TupleSerializer
from experiments.run.recipes import FROM_DATA, MODELS, RECIPES, SETTINGS, SYNTHETIC_PRESET, presets
from input_pipeline.core import data_flags
from input_pipeline.databases.registry import DATASETS

# A month: whoever wants none gives 0.
MAX_CHECKPOINT_MINUTES = 43_200
_CHOICES = {
    "activation": ["gelu", "relu"],
    "precision": ["float32", "tf32", "bfloat16"],
    "channel_order": ["uvs", "svu"],
    "order": list(get_args(Order)),
}


def _define_settings(config: type) -> None:
    for field in dataclasses.fields(config):
        default: Any = field.default
        help_text = field.metadata["help"] + _whose(field.name)
        if field.name in FROM_DATA or field.name in flags.FLAGS:
            continue
        if field.name == "blocks":
            flags.DEFINE(
                IntegersParser(), field.name, default, help_text,
                serializer=TupleSerializer(","),
            )  # fmt: skip
        elif field.name in _CHOICES:
            flags.DEFINE_enum(field.name, default, _CHOICES[field.name], help_text)
        elif isinstance(default, bool):
            flags.DEFINE_bool(field.name, default, help_text)
        elif isinstance(default, int):
            flags.DEFINE_integer(field.name, default, help_text)
        else:
            flags.DEFINE_float(field.name, default, help_text)


def _whose(field: str) -> str:
    """The networks that have a setting, where AHMSA-Net is not among them."""
    names = [
        name
        for name, model in MODELS.items()
        if field in (one.name for one in dataclasses.fields(model.config))
    ]
    return "" if "ahmsa" in names or not names else f" ({' and '.join(names)} only.)"


def define_data_flags() -> None:
    """Define the flags that name the clips; call once, before parsing."""
    flags.DEFINE_string("dataset", "synthetic", f"Data set: {', '.join(DATASETS)}.")
    flags.DEFINE_string(
        "arrays", None, "File of input_pipeline.export to read instead of a stored data set."
    )


def define_model_flags() -> None:
    """Define the flags that choose a network and its settings; call once, before parsing."""
    flags.DEFINE_enum("model", "ahmsa", sorted(MODELS), "Network.")
    flags.DEFINE_enum(
        "recipe", None, RECIPES,
        "How to run htnet or ststnet: as its published code does (the default: channels as OpenCV "
        "reads them, no shuffling, HTNet's own region cut), or as its paper describes it (channels "
        "u, v, strain; shuffled; four regions by name). Single flags win.",
    )  # fmt: skip
    for model in MODELS.values():
        _define_settings(model.config)


def define_workdir_flags() -> None:
    """Define the flags that name a run's folder and folds; call once, before parsing."""
    flags.DEFINE_string(
        "workdir", None, "Folder of the run; by default runs/<dataset>-<model>-<hash of settings>."
    )
    flags.DEFINE_list("subjects", None, "Only these folds: keys such as casme2/sub01,samm/006.")


def define_training_flags() -> None:
    """Define the flags of any LOSO training; call once, before parsing."""
    define_data_flags()
    define_model_flags()
    define_workdir_flags()
    flags.DEFINE_integer("seed", 0, "First seed of parameters and batch orders.")
    flags.DEFINE_integer("num_seeds", 1, "Seeds to run: seed, seed + 1, ...")
    flags.DEFINE_integer(
        "eval_every",
        0,
        "Predict the held-out clips every so many epochs, for the curve and the optimistic figure; "
        "0: after the last epoch only.",
    )
    flags.DEFINE(
        ShardParser(), "shard", None,
        "Only part i of n of the folds, i from 0, for job arrays; merge with experiments.report. "
        "slurm: the part that SLURM's variables give this task.",
        serializer=TupleSerializer("/"),
    )  # fmt: skip
    flags.DEFINE_bool(
        "shuffle_labels", False,
        "Control run: labels permuted among the clips, from --seed; scores must fall to chance.",
    )  # fmt: skip
    flags.DEFINE_bool(
        "save_weights", False,
        "Keep each fold's final parameters under WORKDIR/weights/seed-<seed>, for "
        "experiments.evaluate.",
    )  # fmt: skip
    _define_settings(TrainConfig)


def define_run_flags() -> None:
    """Define the flags of experiments.loso; call once, before parsing."""
    define_training_flags()
    flags.DEFINE_integer(
        "folds_at_once", 0, "Folds trained together over all devices; 0: as memory allows."
    )
    flags.DEFINE_enum(
        "parallel", "folds", ["folds", "batch"],
        "What several devices share out: whole folds, or the batches of one fold at a time (for "
        "few folds or a wide network).",
    )  # fmt: skip
    flags.DEFINE(
        ClusterParser(), "cluster", None,
        "Train the chunks as tasks of a Ray cluster: HOST:PORT of one that this machine belongs "
        "to, or auto: the one that runs here, else one of this machine alone. A lost chunk is "
        "trained again: there are no checkpoints inside chunks.",
        serializer=flags.ArgumentSerializer(),
    )  # fmt: skip
    flags.DEFINE_bool(
        "dry_run", False, "Print the plan, the estimated time and disk space, and stop."
    )
    flags.DEFINE_float(
        "checkpoint_minutes", 5.0,
        "Save the folds in training every so many minutes, and on SIGTERM and Ctrl-C; 0: never.",
    )  # fmt: skip


def layout_from_flags() -> str:
    """The layout of the maps: the one given, or the network's under its recipe."""
    values = flags.FLAGS
    return data_flags.layout(presets(values.model, values.recipe)["layout"])


def settings_from_flags(dataset: str, image_size: int) -> tuple[Any, TrainConfig, list[str]]:
    """Network and training settings; raises ConfigError where one is out of range.

    What the command line gives wins over the synthetic data set's preset, that over the network's
    and its recipe's, and that over the defaults. The list names what the first of these replaced.
    """
    values = flags.FLAGS
    model = MODELS[values.model]
    _refuse_foreign(values.model)
    chosen = presets(values.model, values.recipe)
    preset = SYNTHETIC_PRESET if dataset == "synthetic" else {}
    applied: list[str] = []

    def value_of(field: dataclasses.Field[Any]) -> Any:
        if field.name in values and values[field.name].present:
            return values[field.name].value
        if field.name in preset:
            applied.append(field.name)
        return preset.get(field.name, chosen.get(field.name, field.default))

    def build(config: type) -> Any:
        fields = [field for field in dataclasses.fields(config) if field.name not in FROM_DATA]
        return config(**{field.name: value_of(field) for field in fields})

    model_config = dataclasses.replace(build(model.config), image_size=image_size)
    train_config = build(TrainConfig)
    if train_config.shuffle and not ("order" in values and values["order"].present):
        # A recipe's order goes with its epochs without shuffling.
        train_config = dataclasses.replace(train_config, order="data")
    model_config.validate()
    train_config.validate()
    return model_config, train_config, applied


def _refuse_foreign(name: str) -> None:
    """Raise ConfigError where a setting is given that the network does not have."""
    own = {field.name for config in (MODELS[name].config, TrainConfig)
           for field in dataclasses.fields(config)}  # fmt: skip
    for setting in SETTINGS:
        if setting not in own and setting in flags.FLAGS and flags.FLAGS[setting].present:
            raise ConfigError(
                f"--{setting} is no setting of --model={name}; its own are "
                f"{', '.join(other for other in SETTINGS if other in own)}."
            )


def seeds_from_flags() -> list[int]:
    """The seeds to run; raises ConfigError where they leave 0..2^32-1."""
    first, count = _integer("seed"), _integer("num_seeds")
    if not 1 <= count <= 10_000:
        raise ConfigError(f"--num_seeds={count} is out of range; allowed are 1 to 10000.")
    if not 0 <= first <= 2**32 - count:
        raise ConfigError(f"--seed={first} is out of range; allowed are 0 to {2**32 - count}.")
    return list(range(first, first + count))


def check_run_flags() -> None:
    """Raise ConfigError on the first flag of experiments.loso that is out of range."""
    check_count("eval_every", 1_000_000)
    check_count("folds_at_once", 100_000)
    wanted = _integer("folds_at_once")
    if flags.FLAGS.parallel == "batch" and wanted > 1:
        raise ConfigError(
            f"--parallel=batch trains one fold at a time, --folds_at_once={wanted} asks for "
            "several; leave one of them out."
        )
    if flags.FLAGS.parallel == "batch" and MODELS[flags.FLAGS.model].config.batch_coupled:
        raise ConfigError(
            f"--parallel=batch cannot be with --model={flags.FLAGS.model}: the clips of a batch "
            "share their statistics; use --parallel=folds."
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


def check_count(name: str, most: int) -> None:
    """Raise ConfigError where a counting flag is not in 0..most."""
    value = _integer(name)
    if not 0 <= value <= most:
        raise ConfigError(f"--{name}={value} is out of range; allowed are 0 to {most}.")


def _integer(name: str) -> int:
    value: Any = flags.FLAGS[name].value
    return int(value)


def as_flagfile(model_config: Any, train_config: Any) -> str:
    """The run's flags, one a line, usable with --flagfile; settings as they came to be."""
    settings = {**vars(model_config), **vars(train_config)}
    lines = [
        f"--{name}={_as_text(settings[name])}"
        for name in SETTINGS
        if name in settings and name in flags.FLAGS
    ]
    for module, owned in flags.FLAGS.flags_by_module_dict().items():
        if not module.startswith(("input_pipeline", "experiments")):
            continue
        for flag in owned:
            if flag.value is None or flag.name in (*SETTINGS, "workdir", "dry_run", "help"):
                continue
            if flag.name == "dataset" and flags.FLAGS.arrays:
                continue
            lines.append(flag.serialize())
    return "".join(f"{line}\n" for line in sorted(lines) if line)


def _as_text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
