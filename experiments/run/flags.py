"""The flags of the experiments, made from the settings' dataclasses, and what they say.

No other file of this package reads flags: commands pass `command.values()` on.
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

from absl import flags

from ahmsa_jax.config import ConfigError, NetworkConfig, Settings, TrainConfig
from ahmsa_jax.networks.registry import NETWORKS
from ahmsa_jax.training.protocols import K_SPLITS, SPLITS
from experiments.run import seed_flags
from experiments.run.flag_values import IntegersParser, ShardParser, WordsParser, is_cluster
from experiments.run.given import Values as Values
from experiments.run.recipes import FROM_DATA, RECIPES, SYNTHETIC_PRESET, presets, setting_names
from experiments.run.spec import Execution, RunSpec, config_hash
from input_pipeline.core import tasks
from input_pipeline.databases.registry import DATASETS

DEFAULT_PARTS = 5


def define_settings(config: type[Settings]) -> None:
    """Define the flags of a settings dataclass that are not there yet; call before parsing."""
    for field in dataclasses.fields(config):
        name: str = field.name
        default: Any = field.default
        help_text = field.metadata["help"] + _whose(name)
        if name in FROM_DATA or name in flags.FLAGS:
            continue
        if field.metadata["choices"] is not None and isinstance(default, tuple):
            words = WordsParser(field.metadata["choices"])
            flags.DEFINE(words, name, default, help_text, serializer=flags.ListSerializer(","))
        elif field.metadata["choices"] is not None:
            flags.DEFINE_enum(name, default, list(field.metadata["choices"]), help_text)
        elif isinstance(default, tuple):
            parser = IntegersParser()
            flags.DEFINE(parser, name, default, help_text, serializer=flags.ListSerializer(","))
        else:
            define: Any = flags.DEFINE_float
            if isinstance(default, int):
                define = flags.DEFINE_bool if isinstance(default, bool) else flags.DEFINE_integer
            define(name, default, help_text)


def _whose(setting: str) -> str:
    """The networks that have a setting, where AHMSA-Net is not among them."""
    names = [
        name
        for name, network in NETWORKS.items()
        if setting in (field.name for field in dataclasses.fields(network.config))
    ]
    return "" if "ahmsa" in names or not names else f" ({' and '.join(names)} only.)"


def define_data_flags() -> None:
    """Define the flags that name the clips; call once, before parsing."""
    flags.DEFINE_string("dataset", "synthetic", f"Data set: {', '.join(DATASETS)}.")
    flags.DEFINE_string(
        "arrays", None, "File of input_pipeline.export to read instead of a stored data set."
    )
    flags.DEFINE_enum(
        "classes",
        None,
        tasks.names(),
        "Class set, where the data set has it; by default the data set's own.",
    )


def define_model_flags() -> None:
    """Define the flags that choose a network and its settings; call once, before parsing."""
    flags.DEFINE_enum("model", "ahmsa", sorted(NETWORKS), "Network.")
    flags.DEFINE_enum(
        "recipe",
        None,
        RECIPES,
        "How to run a network: htnet or ststnet as its published code does (the default: channels "
        "as OpenCV reads them, no shuffling, HTNet's own region cut) or as its paper describes it "
        "(channels u, v, strain; shuffled; four regions by name); any network by this project's "
        "own recipe, ours. Single flags win.",
    )
    for network in NETWORKS.values():
        define_settings(network.config)


def define_autotune_flag() -> None:
    """Define --autotune_file; call once, before parsing."""
    flags.DEFINE_string(
        "autotune_file",
        None,
        "File (.textproto) with the programs that XLA found to be the fastest on a kind of GPU; "
        "written where it does not exist yet, else read instead of trying them again.",
    )


def define_compile_cache_flag(default: str | None = None) -> None:
    """Define --compile_cache; call once, before parsing."""
    flags.DEFINE_string(
        "compile_cache",
        default,
        "Folder for compiled programs, which later starts read instead of compiling; off: none. By "
        "default below the user's cache folder ($XDG_CACHE_HOME, else ~/.cache).",
    )


def define_workdir_flags() -> None:
    """Define the flags that name a run's folder and folds; call once, before parsing."""
    flags.DEFINE_string(
        "workdir", None, "Folder of the run; by default runs/<dataset>-<model>-<hash of settings>."
    )
    flags.DEFINE_list("subjects", None, "Only these folds: keys such as casme2/sub01,samm/006.")


def define_split_flags() -> None:
    """Define the flags that say how clips are held out; call once, before parsing."""
    flags.DEFINE_enum(
        "split",
        "loso",
        [*SPLITS, *K_SPLITS],
        "How clips are split into folds: loso holds out one subject at a time, holdout_database "
        "one database, kfold one of --folds parts of the subjects, clip_kfold one of --folds parts "
        "of the clips (subjects stand on both sides, as in some papers).",
    )
    flags.DEFINE_integer(
        "folds",
        None,
        f"Parts of --split=kfold and clip_kfold; {DEFAULT_PARTS} by default.",
        lower_bound=2,
        upper_bound=100_000,
    )


def define_shuffle_flag() -> None:
    """Define --shuffle_labels; call once, before parsing."""
    flags.DEFINE_bool(
        "shuffle_labels",
        False,
        "Control run: labels permuted among the clips, from --seed; scores must fall to chance.",
    )


def define_training_flags() -> None:
    """Define the flags of any training; call once, before parsing."""
    define_data_flags()
    define_model_flags()
    define_workdir_flags()
    define_split_flags()
    define_shuffle_flag()
    seed_flags.define_flags()
    flags.DEFINE_bool(
        "average_seeds",
        False,
        "Report the clips' probabilities averaged over the seeds too, as a headline of its own.",
    )
    flags.DEFINE_integer(
        "eval_every",
        0,
        "Predict the held-out clips every so many epochs, for the curve and the optimistic figure; "
        "0: after the last epoch only.",
        lower_bound=0,
        upper_bound=1_000_000,
    )
    flags.DEFINE(
        ShardParser(),
        "shard",
        None,
        "Only part i of n of the folds, i from 0, for job arrays; merge with experiments.report. "
        "slurm: the part that SLURM's variables give this task.",
        serializer=flags.ListSerializer("/"),
    )
    flags.DEFINE_bool(
        "save_weights",
        False,
        "Keep each fold's final parameters under WORKDIR/weights/seed-<seed>, for "
        "experiments.evaluate.",
    )
    watching = "Keep curves for TensorBoard in WORKDIR/tensorboard; needs the extra tensorboard."
    flags.DEFINE_bool("tensorboard", False, watching)
    define_settings(TrainConfig)


def define_run_flags() -> None:
    """Define the flags of experiments.loso; call once, before parsing."""
    define_training_flags()
    define_chunk_flags("Folds", "the folds in training")
    flags.DEFINE_enum(
        "parallel",
        "folds",
        ["folds", "batch"],
        "What several devices share out: whole folds, or the batches of one fold at a time (for "
        "few folds or a wide network).",
    )
    flags.DEFINE_string(
        "cluster",
        None,
        "Train the chunks as tasks of a Ray cluster: HOST:PORT of one that this machine belongs "
        "to, or auto: the one that runs here, else one of this machine alone. A lost chunk is "
        "trained again: there are no checkpoints inside chunks.",
    )
    advice = "give auto, or the address that 'ray start --head' says: HOST:PORT"
    flags.register_validator("cluster", is_cluster, advice)
    flags.DEFINE_bool(
        "dry_run", False, "Print the plan, the estimated time and disk space, and stop."
    )
    flags.DEFINE_string(
        "target",
        None,
        "With --dry_run: plan for this GPU, which need not be here, and give a lower bound of the "
        "time: h200, h100 or a file with a GPU's description.",
    )


def define_chunk_flags(trained: str, saved: str) -> None:
    """Define how many trainings stand beside each other, and when they are saved."""
    flags.DEFINE_integer(
        "folds_at_once",
        0,
        f"{trained} trained together over all devices; 0: as memory allows.",
        lower_bound=0,
        upper_bound=100_000,
    )
    flags.DEFINE_float(
        "checkpoint_minutes",
        5.0,
        f"Save {saved} every so many minutes, and on SIGTERM and Ctrl-C; 0: never.",
    )


def settings(
    given: Values, dataset: str, from_data: Mapping[str, int]
) -> tuple[NetworkConfig, TrainConfig, list[str]]:
    """Network and training settings; raises ConfigError where one is out of range.

    What the command line gives wins over the synthetic data set's preset, that over the network's
    and its recipe's, and that over the defaults. `from_data` holds what the clips decide, once
    they have been read. The list names what the synthetic preset replaced.
    """
    network = NETWORKS[given.model]
    _refuse_foreign(given)
    chosen = presets(given.model, given.recipe)
    preset = SYNTHETIC_PRESET if dataset == "synthetic" else {}
    applied: list[str] = []

    def value_of(field: dataclasses.Field[Any]) -> Any:
        if field.name in given and given[field.name].present:
            return given[field.name].value
        if field.name in preset:
            applied.append(field.name)
        return preset.get(field.name, chosen.get(field.name, field.default))

    def build(config: type[Settings]) -> Any:
        fields = [field for field in dataclasses.fields(config) if field.name not in FROM_DATA]
        return config(**{field.name: value_of(field) for field in fields})

    network_config = dataclasses.replace(build(network.config), **from_data)
    train_config: TrainConfig = build(TrainConfig)
    if train_config.shuffle and not ("order" in given and given["order"].present):
        # A recipe's order goes with its epochs without shuffling.
        train_config = dataclasses.replace(train_config, order="data")
    network_config.validate()
    train_config.validate()
    return network_config, train_config, applied


def _refuse_foreign(given: Values) -> None:
    """Raise ConfigError where a setting is given that the network does not have."""
    configs = (NETWORKS[given.model].config, TrainConfig)
    own = {field.name for config in configs for field in dataclasses.fields(config)}
    for name in setting_names():
        if name not in own and name in given and given[name].present:
            raise ConfigError(
                f"--{name} is no setting of --model={given.model}; its own are "
                f"{', '.join(other for other in setting_names() if other in own)}."
            )


def parts(given: Values) -> int | None:
    """Parts of the split asked for, None where it has none; raises ConfigError on --folds then."""
    if given.split in K_SPLITS:
        return DEFAULT_PARTS if given.folds is None else int(given.folds)
    if given.folds is not None:
        raise ConfigError(
            f"--folds={given.folds} is for --split={' and '.join(K_SPLITS)}; --split={given.split} "
            "has as many folds as the data set gives."
        )
    return None


def execution(given: Values, spec: RunSpec) -> Execution:
    """How experiments.loso is to carry out a run."""
    names = {field.name for field in dataclasses.fields(Execution)} - {"workdir"}
    return Execution(workdir(given, spec), **{name: getattr(given, name) for name in names})


def workdir(given: Values, spec: RunSpec) -> pathlib.Path:
    """The folder that --workdir names, or the one that follows from the settings."""
    if given.workdir is None:
        return pathlib.Path("runs", f"{spec.dataset}-{spec.model}-{config_hash(spec.to_json())}")
    if not given.workdir:
        raise ConfigError("--workdir is empty; name a folder.")
    return pathlib.Path(given.workdir).expanduser()
