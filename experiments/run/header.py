"""The first lines a run prints, and the files that say where and how it was made."""

import pathlib
from collections.abc import Sequence
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
    clips, training, spec = run.clips, run.train_config, run.spec
    classes = ", ".join(
        f"{int((clips.label_N == label).sum())} {name}"
        for label, name in enumerate(clips.class_names)
    )
    lines = [
        f"data: {clips.dataset}/{clips.layout}, {len(clips)} clips ({classes})",
        f"folds: {len(run.here)} of {len(run.folds)} {spec.split_words.header}",
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


def store_surroundings(
    run: Run,
    given: Values,
    workdir: pathlib.Path,
    devices: "Sequence[jax.Device]",
    more: dict[str, Any],
) -> None:
    """Note where and how the run was made, unless an earlier start did."""
    if not (workdir / environment.FILE).exists():
        facts = environment.describe(devices) | more | data_facts(run.spec, run.clips)
        write_whole(workdir / environment.FILE, canonical_json(facts))
    if not (workdir / FLAGS_FILE).exists():
        write_whole(workdir / FLAGS_FILE, _as_flagfile(run, given))


def data_facts(spec: RunSpec, clips: Clips) -> dict[str, Any]:
    """What environment.json says of the data."""
    return {"data_sha256": spec.data_sha256, "data_provenance": clips.provenance}


def _as_flagfile(run: Run, given: Values) -> str:
    """The run's flags, one a line, usable with --flagfile; settings as they came to be."""
    current = {**vars(run.network_config), **vars(run.train_config)}
    names = setting_names()
    lines = [
        f"--{name}={_as_text(current[name])}" for name in names if name in current and name in given
    ]
    left_out = {*names, "workdir", "dry_run", "help", *(["dataset"] if given.arrays else [])}
    for module, owned in given.flags_by_module_dict().items():
        if module.startswith(("input_pipeline", "experiments")):
            kept = (flag for flag in owned if flag.value is not None and flag.name not in left_out)
            lines += [flag.serialize() for flag in kept]
    return "".join(f"{line}\n" for line in sorted(lines) if line)


def _as_text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
