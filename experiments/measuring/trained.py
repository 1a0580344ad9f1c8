"""Parts that train whole runs: commands of experiments.loso, cut into shards, and their scores."""

import csv
import dataclasses
import json
import pathlib
import re
import shutil
import signal
import statistics
import time
from collections.abc import Sequence
from typing import Any

from ahmsa_jax.config import Precision, TrainConfig
from ahmsa_jax.networks.hierarchy import Hierarchy
from ahmsa_jax.networks.registry import NETWORKS
from experiments.measuring.children import Children, PartError
from experiments.measuring.sizes import REHEARSAL, Sizes
from experiments.run import environment
from experiments.run.recipes import presets
from experiments.run.workdir import read_config

# The note that experiments.loso prints of a program.
_COMPILED = re.compile(r"compiled for .* in (\d+) s; needs ([\d,]+) MiB")


@dataclasses.dataclass(frozen=True)
class Run:
    """One LOSO run."""

    name: str
    layout: str  # of the arrays
    model: str = "ahmsa"
    recipe: str | None = None
    precision: Precision = "tf32"
    seed: int = 0
    data: str | None = None  # of the arrays; None: those of the layout

    @property
    def slug(self) -> str:
        """The name with nothing but letters, digits and dashes, for folders."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    def words(self, arrays: pathlib.Path, sizes: Sizes, subjects: Sequence[str]) -> list[str]:
        """Flags of experiments.loso; all that a synthetic data set would preset is named."""
        chosen = presets(self.model, self.recipe)
        training = {
            "epochs": chosen.get("epochs", TrainConfig.epochs),
            "batch_size": chosen.get("batch_size", TrainConfig.batch_size),
            "learning_rate": chosen.get("learning_rate", TrainConfig.learning_rate),
        }
        network: dict[str, Any] = {}
        if isinstance(config := NETWORKS[self.model].config(), Hierarchy):
            network["base_dim"] = config.base_dim
        if sizes is REHEARSAL:
            # Batches stay large: one step an epoch for all folds is one program to compile.
            training["epochs"] = sizes.epochs
            small = {"ahmsa": sizes.network, "htnet": sizes.htnet}.get(self.model)
            network = _changed(small) if small else {}
        words = {
            **{"arrays": arrays, "layout": self.layout, "model": self.model},
            **({"recipe": self.recipe} if self.recipe else {}),
            **({"subjects": ",".join(subjects)} if subjects else {}),
            **network,
            **training,
            **{"precision": self.precision, "seed": self.seed, "eval_every": 1},
        }
        return [f"--{name}={value}" for name, value in words.items()]


def shard(children: Children, words: Sequence[str], place: int, of: int) -> pathlib.Path:
    """Train a shard; returns its workdir, in which `measured.json` holds what was printed of it."""
    workdir = children.folder / "trained"
    shutil.rmtree(workdir, ignore_errors=True)
    also = [f"--workdir={workdir}", "--checkpoint_minutes=0"]
    also += [f"--shard={place}/{of}"] if of > 1 else []
    seconds, log = children.command("experiments.loso", [*words, *also])
    programs = [
        {"seconds": int(found[1]), "mib": int(found[2].replace(",", ""))}
        for found in _COMPILED.finditer(log)
    ]
    facts = {"command_seconds": seconds, "programs": programs, "training": _training(workdir)}
    (workdir / "measured.json").write_text(json.dumps(facts), encoding="utf-8")
    return workdir


def merged(children: Children, workdirs: Sequence[pathlib.Path]) -> dict[str, Any]:
    """Scores and times of a run from its shards."""
    output = workdirs[0]
    if len(workdirs) > 1:
        output = children.folder / "merged"
        named = ",".join(str(workdir) for workdir in workdirs)
        children.command("experiments.report", [f"--workdir={named}", f"--output={output}"])
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    facts = [
        json.loads((workdir / "measured.json").read_text(encoding="utf-8")) for workdir in workdirs
    ]
    steps = sum(one["training"]["fold_steps"] for one in facts)
    seconds = sum(one["training"]["seconds"] for one in facts)
    return {
        "pooled": summary["pooled"],
        "optimistic": summary["optimistic_best_epoch_on_test"],
        "failed_folds": summary["failed_folds"],
        "folds": sum(one["training"]["folds"] for one in facts),
        "shards": len(facts),
        "fold_steps": steps,
        "training_seconds": seconds,
        "seconds_per_fold_step": seconds / steps,
        "command_seconds": [one["command_seconds"] for one in facts],
        "programs": [one["programs"] for one in facts],
        **_environment(workdirs[0]),
    }


def interrupted(children: Children, words: Sequence[str], epochs: int) -> dict[str, Any]:
    """What stopping with a checkpoint and resuming costs, and whether it changes a byte."""
    also = [*words, f"--epochs={epochs}", "--checkpoint_minutes=60"]
    whole, stopped = children.folder / "whole", children.folder / "stopped"
    # The first one compiles.
    children.command("experiments.loso", [*also, f"--workdir={children.folder / 'compiling'}"])
    seconds, _ = children.command("experiments.loso", [*also, f"--workdir={whole}"])
    training = _training(whole)["seconds"]
    process = children.start_command("experiments.loso", [*also, f"--workdir={stopped}"])
    process.join(seconds - training / 2)
    began = time.monotonic()
    if process.exitcode is None:
        process.terminate()
    status = children.wait(process)
    stopping = time.monotonic() - began
    if status not in (0, 128 + signal.SIGTERM, -signal.SIGTERM):
        raise PartError(f"the stopped run left with {status}: {children.log()[-1500:]}")
    kept = sum(path.stat().st_size for path in stopped.rglob("*") if path.is_file())
    resuming, _ = children.command("experiments.loso", [*also, f"--workdir={stopped}"])
    return {
        # Where the run was over before the signal, nothing was stopped.
        "was_stopped": status != 0,
        "stopping_seconds": stopping,
        "bytes_on_disk": kept,
        "resuming_command_seconds": resuming,
        "training_seconds": training,
        "training_seconds_with_stop": _training(stopped)["seconds"],
        "byte_equal": _predictions(whole) == _predictions(stopped),
        **_environment(whole),
    }


def mean_of_seeds(facts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation of UF1 and UAR over runs of several seeds."""
    found: dict[str, Any] = {"seeds": len(facts)}
    for kind in ("pooled", "optimistic"):
        for score in ("uf1", "uar"):
            values = [one[kind][score] for one in facts]
            found[f"{kind}_{score}"] = {
                "mean": statistics.mean(values),
                "std": statistics.stdev(values) if len(values) > 1 else 0.0,
            }
    return found


def _changed(config: Hierarchy) -> dict[str, str]:
    """Flags of the settings that differ from the network's own."""
    own = type(config)()
    texts = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {
        name: ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        for name, value in texts.items()
        if value != getattr(own, name)
    }


def _training(workdir: pathlib.Path) -> dict[str, Any]:
    """Folds, optimizer steps and seconds of a finished run, without compiling."""
    with (workdir / "folds.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    epochs = int(read_config(workdir)["config"]["train_config"]["epochs"])
    chunks = {row["chunk"]: float(row["seconds"]) for row in rows}
    return {
        "folds": len(rows),
        "fold_steps": epochs * sum(int(row["steps_per_epoch"]) for row in rows),
        "seconds": sum(chunks.values()),
    }


def _environment(workdir: pathlib.Path) -> dict[str, Any]:
    """What a run ran on, as timed.device gives it."""
    found = json.loads((workdir / environment.FILE).read_text(encoding="utf-8"))
    return {"environment": {name: found[name] for name in environment.OF_A_MEASUREMENT}}


def _predictions(workdir: pathlib.Path) -> bytes:
    return (workdir / "predictions.csv").read_bytes()
