"""Leave-one-subject-out training and evaluation, many folds at once.

python -m experiments.loso --dataset=casme3
"""

import dataclasses
import pathlib
import sys
from typing import Any

from absl import flags

from ahmsa_jax.config import ConfigError, ModelConfig, TrainConfig
from experiments import flags as run_flags
from input_pipeline import command, data_flags
from input_pipeline.clips import CLASS_NAMES, Clips
from input_pipeline.errors import InputError

# JAX, TFDS and matplotlib are imported where they are used: help and mistakes answer at once.

LONG_RUN_SECONDS = 600.0


@dataclasses.dataclass(frozen=True)
class Run:
    """What the flags and the data set ask for."""

    clips: Clips
    model_config: ModelConfig
    train_config: TrainConfig
    preset: list[str]
    folds: list[Any]  # all folds of the data set
    requested: list[str]  # subject keys to train, after --subjects and before --shard
    config: dict[str, Any]


def main() -> int:
    """Train the folds asked for and report; 3 where folds failed, else 0."""
    run_flags.check_run_flags()
    run = _read_run()
    workdir = _workdir(run.config)
    if flags.FLAGS.dry_run:
        _print_header(run, workdir)
        _print_plan(run, _fresh_plan(run))
        return 0
    from experiments import workdir as workdir_module

    with workdir_module.claimed(workdir):
        facts = {"folds": _mine(run), "notes": _notes(run)}
        workdir_module.bind(workdir, run.config, facts)
        return _train_and_report(run, workdir)


def _read_run() -> Run:
    from ahmsa_jax.folds import loso_folds
    from input_pipeline import loader

    values = flags.FLAGS
    layout = data_flags.layout(run_flags.MODEL_LAYOUTS[values.model])
    if values.arrays:
        if values["dataset"].present:
            raise ConfigError("--arrays and --dataset exclude each other; give one of them.")
        clips = loader.load_arrays(pathlib.Path(values.arrays).expanduser())
        if values["layout"].present and clips.layout != layout:
            raise ConfigError(
                f"--arrays holds maps of the layout {clips.layout}, --layout asks for {layout}; "
                "export the data set again with that layout."
            )
    else:
        # A setting that cannot be is said before the data set is read.
        run_flags.settings_from_flags(values.dataset, ModelConfig().image_size)
        size = data_flags.synthetic_size()
        clips = loader.load(values.dataset, layout, data_flags.data_dir(), size)
    height, width = clips.flow_NxHxWxC.shape[1:3]
    if height != width:
        raise ConfigError(f"the maps are {height}x{width} pixels; the network takes square ones.")
    model_config, train_config, preset = run_flags.settings_from_flags(clips.dataset, width)
    folds = loso_folds(clips.subject_key_N)
    requested = _requested_subjects([fold.subject_key for fold in folds])
    shard = values.shard
    config = {
        "dataset": clips.dataset,
        "layout": clips.layout,
        "data_sha256": clips.content_hash(),
        "model": values.model,
        "model_config": dataclasses.asdict(model_config) | {"blocks": list(model_config.blocks)},
        "train_config": dataclasses.asdict(train_config),
        "seeds": run_flags.seeds_from_flags(),
        "eval_every": values.eval_every,
        "subjects": requested if values.subjects is not None else None,
        "shard": f"{shard[0]}/{shard[1]}" if shard else None,
        "folds_at_once": values.folds_at_once,
    }
    return Run(clips, model_config, train_config, preset, folds, requested, config)


def _requested_subjects(known: list[str]) -> list[str]:
    wanted = flags.FLAGS.subjects
    if wanted is None:
        return known
    unknown = [key for key in wanted if key not in known]
    if unknown or not wanted:
        raise ConfigError(
            f"--subjects names '{unknown[0] if unknown else ''}', which is no subject of the data "
            f"set; its {len(known)} keys look like {', '.join(known[:3])}."
        )
    return sorted(set(wanted))


def _mine(run: Run) -> list[str]:
    """Subject keys to train here: those requested, or this shard's part of them."""
    shard = flags.FLAGS.shard
    mine = run.requested[shard[0] :: shard[1]] if shard else run.requested
    if not mine:
        raise ConfigError(
            f"--shard={shard[0]}/{shard[1]} is empty: there are only {len(run.requested)} folds."
        )
    return mine


def _notes(run: Run) -> list[str]:
    from ahmsa_jax.folds import vanished_classes

    notes = []
    for fold in run.folds:
        if fold.subject_key in _mine(run):
            for label in vanished_classes(fold, run.clips.label_N, len(CLASS_NAMES)):
                notes.append(
                    f"the fold of {fold.subject_key} has no clip of the class "
                    f"{CLASS_NAMES[label]} to train on"
                )
    return notes


def _workdir(config: dict[str, Any]) -> pathlib.Path:
    from experiments.workdir import config_hash

    if flags.FLAGS.workdir is not None:
        if not flags.FLAGS.workdir:
            raise ConfigError("--workdir is empty; name a folder.")
        return pathlib.Path(flags.FLAGS.workdir).expanduser()
    return pathlib.Path("runs", f"{config['dataset']}-{config['model']}-{config_hash(config)}")


def _fresh_plan(run: Run) -> list[Any]:
    import jax

    from ahmsa_jax.engine import Job
    from ahmsa_jax.folds import epoch_shapes
    from experiments import plan

    devices = jax.local_devices()
    shapes = epoch_shapes(run.folds, run.train_config.batch_size)
    wanted = flags.FLAGS.folds_at_once
    size = plan.chunk_size(run.model_config, run.train_config, devices, wanted)
    mine = set(_mine(run))
    jobs = [
        Job(seed, fold)
        for seed in run.config["seeds"]
        for fold in run.folds
        if fold.subject_key in mine
    ]
    return plan.make_plan(jobs, shapes, size, len(devices))


def _print_header(run: Run, workdir: pathlib.Path) -> None:
    import jax

    from experiments import plan

    clips, training = run.clips, run.train_config
    live, dead = plan.count_parameters(run.model_config, training)
    classes = ", ".join(
        f"{int((clips.label_N == label).sum())} {name}" for label, name in enumerate(CLASS_NAMES)
    )
    devices = jax.local_devices()
    print(f"data: {clips.dataset}/{clips.layout}, {len(clips)} clips ({classes})")
    print(f"folds: {len(_mine(run))} of {len(run.folds)} subjects; each fold holds one subject out "
          "and trains on all others")  # fmt: skip
    print(f"network: {run.config['model']}, width {run.model_config.base_dim}, "
          f"{live + dead:,} parameters")  # fmt: skip
    print(f"training: {training.epochs} epochs, batch {training.batch_size}, "
          f"learning rate {training.learning_rate:g}, {training.precision}, "
          f"seeds {', '.join(map(str, run.config['seeds'][:10]))}")  # fmt: skip
    if run.preset:
        print(f"note: the synthetic data set brings its own small {', '.join(run.preset)}; "
              "flags on the command line win")  # fmt: skip
    print(f"device: {len(devices)} x {devices[0].device_kind} ({devices[0].platform})")
    print(f"files: {workdir}", flush=True)
    for note in _notes(run):
        print(f"note: {note}", flush=True)


def _print_plan(run: Run, chunks: list[Any]) -> None:
    import jax

    from experiments import estimate

    for chunk in chunks:
        print(f"chunk {chunk.number}: {len(chunk.jobs)} folds at once, "
              f"{chunk.shape.steps} step(s) per epoch")  # fmt: skip
    if jax.default_backend() == "cpu":
        seconds = estimate.cpu_seconds(run.model_config, run.train_config, chunks)
        print(f"estimated training time on this CPU: {estimate.in_words(seconds)}", flush=True)


def _warn_if_long(run: Run, chunks: list[Any]) -> None:
    import jax

    from experiments import estimate

    if jax.default_backend() != "cpu":
        return
    seconds = estimate.cpu_seconds(run.model_config, run.train_config, chunks)
    if seconds > LONG_RUN_SECONDS:
        print(
            f"warning: no GPU is seen, and this run will take about {estimate.in_words(seconds)} "
            "on this CPU; for a smaller look give for example --base_dim=24 --epochs=60 "
            "--learning_rate=1e-4",
            file=sys.stderr,
            flush=True,
        )


def _train_and_report(run: Run, workdir: pathlib.Path) -> int:
    import jax

    from ahmsa_jax.folds import epoch_shapes
    from experiments import environment, plan, reporting, run_files, summary, training
    from experiments.workdir import canonical_json, write_atomically

    _print_header(run, workdir)
    devices = jax.local_devices()
    shapes = epoch_shapes(run.folds, run.train_config.batch_size)
    chunks = plan.stored_plan(workdir, run.folds, shapes)
    if chunks is None:
        chunks = _fresh_plan(run)
        plan.store_plan(workdir, chunks)
        facts = environment.describe(devices) | {
            "folds_at_once": max(chunk.size for chunk in chunks),
            "data_sha256": run.config["data_sha256"],
            "data_provenance": run.clips.provenance,
        }
        write_atomically(workdir / "environment.json", canonical_json(facts))
        write_atomically(workdir / "flags.txt", run_flags.as_flagfile(run.preset))
    _warn_if_long(run, chunks)
    trainer = training.Trainer(
        run.clips,
        run.model_config,
        run.train_config,
        test_places=max(len(fold.test_index) for fold in run.folds),
        eval_every=flags.FLAGS.eval_every,
        devices=devices,
    )
    finished = []
    for chunk, result in trainer.run(workdir, chunks):
        finished.append((chunk, result))
        run_files.write_run_files(workdir, run.clips, finished)
    records = summary.read_records([workdir])
    reporting.print_summary(records, reporting.write_report(records, workdir), workdir)
    return 3 if records.failed else 0


def define_flags() -> None:
    """Define the flags of this command that data_flags does not."""
    run_flags.define_run_flags()


if __name__ == "__main__":
    define_flags()
    command.run(
        main,
        name="experiments.loso",
        purpose="Train and evaluate a network leaving one subject out at a time, many folds at "
        "once, and report UF1 and UAR pooled over the folds.",
        mistakes=(InputError, ConfigError),
    )
