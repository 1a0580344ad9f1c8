"""The first lines a run prints, and the files that say where and how it was made."""

import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments.run import environment
from experiments.run.flags import Values
from experiments.run.recipes import setting_names, size_in_words
from experiments.run.request import Run
from experiments.run.spec import RunSpec
from experiments.run.workdir import canonical_json
from input_pipeline.core.clips import Clips
from input_pipeline.core.files import write_whole

if TYPE_CHECKING:
    import jax

FLAGS_FILE = "flags.txt"
_SEEDS_SHOWN = 10


def print_header(
    run: Run, workdir: pathlib.Path, *, network: str, precision: str, devices: Sequence[str]
) -> None:
    """Print what is trained on what.

    `network` ends the line of the network (parameters, framework), `devices` are lines of their
    own.
    """
    training, spec = run.train_config, run.spec
    lines = [
        *data_lines(run.clips, spec, len(run.here), len(run.folds)),
        f"network: {spec.model}, {size_in_words(spec.network)}{network}",
        f"training: {training.epochs} epochs, batch {training.batch_size}, learning rate "
        f"{training.learning_rate:g}, {precision}, seeds "
        f"{', '.join(map(str, spec.seeds[:_SEEDS_SHOWN]))}",
    ]
    if run.preset:
        lines.append(
            f"note: the synthetic data set brings its own small {', '.join(run.preset)}; flags on "
            "the command line win"
        )
    lines += [*devices, f"files: {workdir}", *(f"note: {note}" for note in run.notes())]
    print("\n".join(lines), flush=True)


def data_lines(clips: Clips, spec: RunSpec, here: int, folds: int) -> list[str]:
    """The first lines of any run: its clips, and how many of its folds are done here."""
    classes = ", ".join(
        f"{int((clips.label_N == label).sum())} {name}"
        for label, name in enumerate(clips.class_names)
    )
    return [
        f"data: {clips.dataset}/{clips.layout}, {len(clips)} clips ({classes})",
        f"folds: {here} of {folds} {spec.split_words.header}",
    ]


def store_surroundings(
    run: Run,
    given: Values,
    workdir: pathlib.Path,
    devices: "Sequence[jax.Device]",
    more: dict[str, Any],
) -> None:
    """Note where and how the run was made, unless an earlier start did."""
    facts = environment.describe(devices) | more | data_facts(run.spec, run.clips)
    current = {**vars(run.network_config), **vars(run.train_config)}
    store(workdir, facts, flagfile(current, setting_names(), given))


def store(workdir: pathlib.Path, facts: dict[str, Any], flags_text: str) -> None:
    """Write both files, unless an earlier start did."""
    for name, text in ((environment.FILE, canonical_json(facts)), (FLAGS_FILE, flags_text)):
        if not (workdir / name).exists():
            write_whole(workdir / name, text)


def data_facts(spec: RunSpec, clips: Clips) -> dict[str, Any]:
    """What environment.json says of the data."""
    return {"data_sha256": spec.data_sha256, "data_provenance": clips.provenance}


def flagfile(current: Mapping[str, object], names: Collection[str], given: Values) -> str:
    """The run's flags, one a line, usable with --flagfile; the settings `names` as they came to be.

    `current` holds their values, of those that the run has.
    """
    lines = [
        f"--{name}={as_text(current[name])}" for name in names if name in current and name in given
    ]
    # A run's files are the same bytes whether it is watched or not.
    left_out = {
        *names,
        "workdir",
        "dry_run",
        "tensorboard",
        "help",
        *(["dataset"] if given.arrays else []),
    }
    for module, owned in given.flags_by_module_dict().items():
        if module.startswith(("input_pipeline", "experiments")):
            kept = (flag for flag in owned if flag.value is not None and flag.name not in left_out)
            lines += [flag.serialize() for flag in kept]
    return "".join(f"{line}\n" for line in sorted(lines) if line)


def as_text(value: object) -> str:
    """A setting's value as its flag takes it."""
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
