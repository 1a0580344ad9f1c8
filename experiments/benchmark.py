"""Times this engine beside PyTorch on the same folds, or weighs its program for a GPU elsewhere.

python -m experiments.benchmark [--quick] [--output=FILE.json]
python -m experiments.benchmark --target=h200|h100|FILE [--json=FILE]
"""

import dataclasses
import datetime
import functools
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import shlex
import shutil
import sys
from typing import TYPE_CHECKING, Any

from absl import flags

from ahmsa_jax.config import ConfigError, NetworkConfig, Precision, TrainConfig, plain
from ahmsa_jax.networks.registry import NETWORKS
from experiments.run import cores, jax_settings
from experiments.run import flags as run_flags
from experiments.timing.timed_networks import TIMED, has_setting
from input_pipeline.core import command
from input_pipeline.core.errors import InputError
from input_pipeline.core.files import first_free, write_whole

if TYPE_CHECKING:
    from experiments.weighing import deviceless

# Sizes of --quick: seconds of work, for trying the command and for tests.
QUICK = {"base_dim": 12, "batch_size": 16, "folds": 2, "steps": 2, "rounds": 2}
# Sizes of --target: the paper's setting on the MEGC 2019 composite, of whose 442 clips a fold
# trains on 440 at most and holds out 39 at most, half of its 68 folds at once.
WEIGHED = {"base_dim": 256, "folds": 34}
CLIPS, TRAINED, TEST_PLACES = 442, 440, 40


def main() -> int:
    """Check, time, print and store; 1 where the programs disagree, so that nothing is printed."""
    if command.values().target is not None:
        return _weigh(command.values().target)
    if command.values()["json"].present:
        raise ConfigError("--json is for --target; --output names the file of what is timed.")
    if importlib.util.find_spec("torch") is None:
        raise ConfigError(
            "PyTorch is missing, and this benchmark compares with it; install the baselines extra: "
            "python -m pip install -e '.[baselines]'."
        )
    settings = _settings()
    model_config = _model_config(settings)
    today = datetime.date.today().isoformat()
    beside = "; the plot goes beside it as .png"
    output = _json_path("output", f"runs/benchmark-{today}.json", beside)
    _require_compiler()
    # Folds of contenders that are not being timed leave the memory of a GPU.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    result = _measured(settings, model_config)
    if result is None:
        return 1
    from experiments.timing.figure import draw

    # First: who reads what is printed may stop doing so.
    write_whole(output, json.dumps(result, indent=1, sort_keys=True) + "\n")
    picture = output.with_suffix(".png")
    write_whole(picture, draw(result))
    _print(result)
    print(f"written: {output} and {picture}")
    return 0


def _weigh(target: str) -> int:
    """Compile for the card, account for the kernels, print and store."""
    for name in ("quick", "output", "steps", "rounds", "autotune_file"):
        if command.values()[name].present:
            raise ConfigError(f"--{name} is for timing; leave it out with --target.")
    from experiments.weighing import cards

    card = cards.load(target)
    path = _json_path("json", f"runs/weighed-{pathlib.Path(target).stem}.json")
    jax_settings.load_for_cards_elsewhere()
    from experiments.weighing import weigh

    result: dict[str, Any] = {
        "command": f"python -m experiments.benchmark {shlex.join(sys.argv[1:])}".strip(),
        **weigh.surroundings(card),
    }
    for precision, weighed in weigh.each_precision(card, _weighed_program()):
        result[precision] = weighed.facts()
        print(weigh.table(weighed), flush=True)
        text = path.with_name(f"{path.stem}-{precision}.hlo.gz")
        write_whole(text, weighed.zipped_text())
    write_whole(path, json.dumps(result, indent=1, sort_keys=True) + "\n")
    print(f"written: {path}, and the compiled programs beside it (*.hlo.gz)")
    return 0


def _weighed_program() -> "deviceless.Program":
    import numpy as np

    from ahmsa_jax.training.protocols import Fold, epoch_shapes
    from experiments.weighing.deviceless import Program

    values = command.values()
    usual = WEIGHED | {"batch_size": TIMED[values.model].batch_size}
    size = {
        name: getattr(values, name) if values[name].present else default
        for name, default in usual.items()
    }
    clip_N = np.arange(CLIPS)
    fold = Fold("weighed", clip_N < TRAINED, clip_N[TRAINED:])
    return Program(
        _model_config(size),
        TrainConfig(
            batch_size=size["batch_size"],
            fused_update=values.fused_update,
            fused_layers=values.fused_layers,
        ),
        epoch_shapes([fold], size["batch_size"])[fold.key],
        folds=size["folds"],
        clips=CLIPS,
        test_places=TEST_PLACES,
        eval_every=1,
    )


def _json_path(flag: str, default: str, hint: str = "") -> pathlib.Path:
    """The JSON file that a flag names, its folder made; without one, a new one by the default."""
    named = command.values()[flag].value
    path = pathlib.Path(named or default).expanduser()
    if path.suffix != ".json":
        raise ConfigError(f"--{flag}={named} must end in .json{hint}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path if named else first_free(path)


def _settings() -> dict[str, int]:
    values = command.values()
    usual = {name: getattr(values, name) for name in QUICK}
    if not values["batch_size"].present:
        usual["batch_size"] = TIMED[values.model].batch_size
    found = {
        name: small if values.quick and not values[name].present else usual[name]
        for name, small in QUICK.items()
    }
    if found["steps"] % 2:
        raise ConfigError(
            f"--steps={found['steps']} is out of range; allowed are even numbers from 2 to 10000."
        )
    return found


def _model_config(settings: dict[str, int]) -> NetworkConfig:
    """The network's settings; a width or a size is refused where it has none."""
    values = command.values()
    model = values.model
    for name in ("base_dim", "size"):
        if values[name].present and not has_setting(model, name):
            raise ConfigError(f"--{name} is no setting of {model}; leave it out.")
    timed = TIMED[model]
    chosen: dict[str, Any] = {**timed.still, **(timed.quick if values.quick else {})}
    if has_setting(model, "base_dim"):
        chosen["base_dim"] = settings["base_dim"]
    if values["size"].present:
        chosen["size"] = values.size
    config = NETWORKS[model].config(**chosen)
    config.validate()
    return config


def _require_compiler() -> None:
    names = ("g++", "clang++", os.environ.get("CXX") or "g++")
    if not any(shutil.which(name) for name in names):
        raise ConfigError(
            "no C++ compiler was found (g++, clang++ or $CXX), and torch.compile needs one; "
            "install g++."
        )


def _measured(settings: dict[str, int], model_config: NetworkConfig) -> dict[str, Any] | None:
    """The whole result, or None after one line on stderr where the programs disagree."""
    # As a run of so many folds would.
    divided = functools.partial(cores.devices, settings["folds"], cores.usable())
    given = command.values()
    device = jax_settings.local_devices(given.compile_cache, given.autotune_file, divided)[0]
    from experiments.run import environment
    from experiments.timing import floors, rounds
    from experiments.timing.contenders import TimedProblem

    training = TrainConfig(
        batch_size=settings["batch_size"],
        precision="float32",
        fused_update=given.fused_update,
        fused_layers=given.fused_layers,
    )
    problem = TimedProblem(model_config, training, settings["folds"], settings["steps"])
    compared: tuple[Precision, ...] = ("float32", "tf32", "bfloat16")
    if device.platform == "cpu":
        compared = compared[:1]
    try:
        timed = rounds.Timing(problem, device.platform, compared, _say)
    except rounds.DisagreementError as error:
        _say(f"experiments.benchmark: error: {error}")
        return None
    _say("measuring the machine's ceilings")
    ceilings = floors.measure_ceilings(device, compared)
    rows = timed.rows(settings["rounds"], ceilings)
    parity = _parity(model_config, ("tf32", "bfloat16") if len(compared) > 1 else ("bfloat16",))
    # The width is the network's, and stands among its settings where it has one.
    timing = {name: value for name, value in settings.items() if name != "base_dim"}
    return {
        "command": f"python -m experiments.benchmark {shlex.join(sys.argv[1:])}".strip(),
        "date": datetime.date.today().isoformat(),
        "environment": environment.describe([device]),
        "processor": rounds.processor_name(),
        "torch": importlib.metadata.version("torch"),
        "settings": {"model": command.values().model} | timing | plain(model_config),
        "loss_gap": timed.loss_gap,
        "ceilings": dataclasses.asdict(ceilings),
        "rows": rows,
        "evaluation_cost": rounds.evaluation_cost(rows),
        "parity": parity,
    }


def _parity(timed_config: NetworkConfig, compared: tuple[Precision, ...]) -> list[dict[str, Any]]:
    """Rows on the precisions; none for a network that sees more than synthetic maps."""
    from experiments.timing import precisions

    values = command.values()
    settings = TIMED[values.model].compared
    if settings is None:
        return []
    _say("comparing precisions on a small synthetic LOSO")
    return precisions.parity_table(
        timed_config if values.quick else NETWORKS[values.model].config(**settings),
        compared,
        epochs=2 if values.quick else precisions.TRAINING.epochs,
        folds=2 if values.quick else 24,
    )


def _say(text: str) -> None:
    # What is happening goes to stderr: stdout holds the tables alone.
    print(text, file=sys.stderr, flush=True)


def _print(result: dict[str, Any]) -> None:
    from experiments.timing.rounds import parity_markdown, times_markdown

    rates = ", ".join(
        f"{rate / 1e9:,.0f} GFLOP/s ({name})"
        for name, rate in result["ceilings"]["product_rate"].items()
    )
    print(f"{result['command']}  ({result['date']}, {result['processor']})")
    print(f"ceilings: {rates}, {result['ceilings']['memory_rate'] / 1e9:,.1f} GB/s")
    print(f"first losses agree within {result['loss_gap']:.1g} nats\n")
    print(times_markdown(result["rows"]))
    cost = f"{100 * result['evaluation_cost']:.1f} %"
    print(f"predicting all held-out clips after every epoch costs {cost}\n")
    if result["parity"]:
        print(parity_markdown(result["parity"]))


if __name__ == "__main__":
    flags.DEFINE_bool("quick", False, "A tiny network and few steps, to try the command.")
    flags.DEFINE_string(
        "output",
        None,
        "JSON file of the result, the plot beside it; default runs/benchmark-<date>.json, or -2, "
        "-3 and so on.",
    )
    flags.DEFINE_bool("fused_update", False, "As loso's --fused_update, for this engine.")
    flags.DEFINE_bool("fused_layers", False, "As loso's --fused_layers, for this engine.")
    flags.DEFINE_string(
        "target",
        None,
        "Weigh the training program for this GPU, which need not be here, instead of timing it: "
        "h200, h100 or a file with a GPU's description. By default at width 256, 34 folds at once.",
    )
    flags.DEFINE_string(
        "json",
        None,
        "JSON file of what --target found, the compiled programs beside it; default "
        "runs/weighed-<target>.json, or -2, -3 and so on.",
    )
    flags.DEFINE_enum("model", "ahmsa", list(NETWORKS), "The network.")
    sizes = ("published", "tiny")
    flags.DEFINE_enum("size", None, sizes, "Of hsta and mfdan; tiny is for a CPU.")
    # Its compiling is measured too.
    run_flags.define_compile_cache_flag(default="off")
    run_flags.define_autotune_flag()
    for name, default, least, most, purpose in (
        ("base_dim", 64, 1, 8192, "Width of the first level; the paper's setting is 256."),
        ("batch_size", 256, 1, 65_536, "Clips per optimizer step (Table 3); hsta 32, mfdan 16."),
        ("folds", 8, 1, 10_000, "Folds per round, and the largest chunk on a CPU."),
        ("steps", 2, 2, 10_000, "Optimizer steps per fold and round; even."),
        ("rounds", 5, 1, 1000, "Rounds, each of all contenders in turn."),
    ):
        flags.DEFINE_integer(name, default, purpose, lower_bound=least, upper_bound=most)
    command.run(
        main,
        name="experiments.benchmark",
        purpose="Time this engine beside PyTorch on the same folds, and against the machine.",
        mistakes=(InputError, ConfigError),
    )
