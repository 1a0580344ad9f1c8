"""Leave-one-subject-out training and evaluation, many folds at once.

python -m experiments.loso --dataset=casme3
"""

import pathlib
import sys
from typing import Any

from absl import flags

from ahmsa_jax.config import ConfigError
from experiments import flags as run_flags
from experiments.request import Run, notes, read_run, subjects_here
from experiments.workdir import bind, canonical_json, claimed, config_hash
from input_pipeline import command
from input_pipeline.clips import CLASS_NAMES
from input_pipeline.errors import InputError
from input_pipeline.whole_file import write_whole

# JAX, TFDS and matplotlib are imported where they are used: help and mistakes answer at once.


def main() -> int:
    """Train the folds asked for and report; 3 where folds failed, else 0."""
    run_flags.check_run_flags()
    run = read_run()
    workdir = _workdir(run.config)
    _check_devices()
    if flags.FLAGS.dry_run:
        _print_header(run, workdir)
        _print_plan(run, _fresh_plan(run))
        return 0
    with claimed(workdir):
        facts = {
            "folds": subjects_here(run),
            "subjects_in_data_set": len(run.folds),
            "notes": notes(run),
        }
        bind(workdir, run.config, facts)
        return _train_and_report(run, workdir)


def _check_devices() -> None:
    """Ask JAX for its devices before anything is written; a wish it cannot fill is a mistake."""
    import jax

    try:
        jax.local_devices()
    except RuntimeError as error:
        first = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"JAX finds no device to run on ({first}); check JAX_PLATFORMS, and install "
            "'ahmsa-jax[cuda12]' for a GPU."
        ) from error


def _workdir(config: dict[str, Any]) -> pathlib.Path:
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
    clips = len(run.clips)
    size = plan.chunk_size(run.model_config, run.train_config, devices, wanted, clips)
    mine = set(subjects_here(run))
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
    print(f"data: {clips.dataset}/{clips.layout}, {len(clips)} clips ({classes})")
    print(f"folds: {len(subjects_here(run))} of {len(run.folds)} subjects; each fold holds one "
          "subject out and trains on all others")  # fmt: skip
    print(f"network: {run.config['model']}, width {run.model_config.base_dim}, "
          f"{live + dead:,} parameters")  # fmt: skip
    devices = jax.local_devices()
    on_cpu = devices[0].platform == "cpu" and training.precision == "tf32"
    precision = "float32 (tf32 is a GPU's)" if on_cpu else training.precision
    print(f"training: {training.epochs} epochs, batch {training.batch_size}, "
          f"learning rate {training.learning_rate:g}, {precision}, "
          f"seeds {', '.join(map(str, run.config['seeds'][:10]))}")  # fmt: skip
    if run.preset:
        print(f"note: the synthetic data set brings its own small {', '.join(run.preset)}; "
              "flags on the command line win")  # fmt: skip
    print(f"device: {len(devices)} x {devices[0].device_kind} ({devices[0].platform})")
    print(f"files: {workdir}", flush=True)
    for note in notes(run):
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

    if jax.default_backend() != "cpu" or not chunks:
        return
    seconds = estimate.cpu_seconds(run.model_config, run.train_config, chunks)
    if seconds > estimate.LONG_RUN_SECONDS:
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
    from experiments import (
        chunk_files,
        environment,
        plan,
        reporting,
        run_files,
        summary,
        training,
    )

    _print_header(run, workdir)
    devices = jax.local_devices()
    shapes = epoch_shapes(run.folds, run.train_config.batch_size)
    jobs = [(seed, key) for seed in run.config["seeds"] for key in subjects_here(run)]
    chunks = plan.stored_plan(workdir, run.folds, shapes, jobs)
    if chunks is None:
        chunks = _fresh_plan(run)
        plan.store_plan(workdir, chunks)
    # A first start may have died before these: they are made good.
    if not (workdir / "environment.json").exists():
        facts = environment.describe(devices) | {
            "folds_at_once": max(chunk.size for chunk in chunks),
            "data_sha256": run.config["data_sha256"],
            "data_provenance": run.clips.provenance,
        }
        write_whole(workdir / "environment.json", canonical_json(facts))
    if not (workdir / "flags.txt").exists():
        write_whole(workdir / "flags.txt", run_flags.as_flagfile(run.preset))
    stored = chunk_files.load_all(workdir, chunks)
    _warn_if_long(run, [chunk for chunk in chunks if chunk.number not in stored])
    trainer = training.Trainer(
        run.clips,
        run.model_config,
        run.train_config,
        test_places=max(len(fold.test_index) for fold in run.folds),
        eval_every=flags.FLAGS.eval_every,
        devices=devices,
    )
    finished = []
    for chunk, result in trainer.run(workdir, chunks, stored):
        finished.append((chunk, result))
        # Stored chunks come first, and together: the files never hold less than before.
        if len(finished) >= len(stored):
            run_files.write_run_files(workdir, run.clips, finished)
    records = summary.read_records([workdir])
    reporting.print_summary(records, reporting.write_report(records, workdir), workdir)
    return 3 if records.failed else 0


if __name__ == "__main__":
    run_flags.define_run_flags()
    command.run(
        main,
        name="experiments.loso",
        purpose="Train and evaluate a network leaving one subject out at a time, many folds at "
        "once, and report UF1 and UAR pooled over the folds.",
        mistakes=(InputError, ConfigError),
    )
