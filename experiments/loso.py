"""Leave-one-subject-out training and evaluation, many folds at once.

python -m experiments.loso --dataset=casme3
"""

import pathlib
from typing import Any

from absl import flags

from ahmsa_jax.config import ConfigError
from experiments.run import compile_cache, jax_settings
from experiments.run import flags as run_flags
from experiments.run.recipes import size_in_words
from experiments.run.spec import Run, facts_of, notes, read_run, subjects_here, workdir_of
from experiments.run.workdir import CONFIG_FILE, canonical_json, claimed, refuse_other_code
from experiments.schedule.interruption import Interruption
from input_pipeline.core import command
from input_pipeline.core.clips import CLASS_NAMES
from input_pipeline.core.errors import InputError
from input_pipeline.core.files import write_whole

NAME = "experiments.loso"

# JAX, TFDS and matplotlib are imported where they are used: help and mistakes answer at once.


def main() -> int:
    """Train the folds asked for and report; 3 where folds failed, else 0."""
    with Interruption(NAME) as interruption:
        run_flags.check_run_flags()
        values = flags.FLAGS
        run = read_run(folds_at_once=values.folds_at_once, parallel=values.parallel)
        workdir = workdir_of(run.config)
        _check_devices(workdir)
        if flags.FLAGS.dry_run:
            _dry_run(run, workdir, interruption)
            return 0
        with claimed(workdir, run.config, facts_of(run)):
            return _train_and_report(run, workdir, interruption)


def _check_devices(workdir: pathlib.Path) -> None:
    """Ask JAX for its devices before anything is written; a wish it cannot fill is a mistake."""
    if not flags.FLAGS.cluster:
        jax_settings.local_devices(flags.FLAGS.compile_cache)
        return
    # The devices are the workers'; this process takes none from them.
    jax_settings.load().config.update("jax_platforms", "cpu")
    from experiments.cluster import ray_cluster

    # A finished run is shown without its cluster.
    if not (workdir / CONFIG_FILE).exists():
        ray_cluster.refuse_unreachable(flags.FLAGS.cluster)


def _joined(interruption: Interruption) -> Any:
    """The Ray cluster of --cluster, or None without it."""
    if not flags.FLAGS.cluster:
        return None
    from experiments.cluster.ray_cluster import Cluster

    return Cluster(flags.FLAGS.cluster, interruption)


def _programs(run: Run, cluster: Any) -> Any:
    """The run's programs, to be compiled here or, with a cluster, by its workers."""
    from experiments.schedule import planning
    from experiments.schedule.programs import Programs

    if cluster is None:
        return Programs(planning.problem_of(run))
    from experiments.cluster.executor import RemoteNeeds

    values = flags.FLAGS
    return RemoteNeeds(
        cluster,
        planning.problem_of(run),
        automatic=not values.folds_at_once,
        compile_cache=values.compile_cache,
    )


def _executor(
    run: Run, workdir: pathlib.Path, programs: Any, cluster: Any, interruption: Interruption
) -> Any:
    """Who trains the run's chunks."""
    from experiments.schedule import planning

    if cluster is None:
        minutes, automatic = flags.FLAGS.checkpoint_minutes, not flags.FLAGS.folds_at_once
        return planning.local_executor(
            run, workdir, programs, interruption, checkpoint_minutes=minutes, automatic=automatic
        )
    from experiments.cluster.executor import ClusterExecutor

    return ClusterExecutor(programs, interruption)


def _dry_run(run: Run, workdir: pathlib.Path, interruption: Interruption) -> None:
    from experiments.schedule import forecast, planning

    cluster = _joined(interruption)
    _print_header(run, workdir, cluster)
    programs = _programs(run, cluster)
    size = flags.FLAGS.folds_at_once
    plan = interruption.run(lambda: planning.fresh_plan(run, programs, size))
    forecast.print_plan(programs, plan)
    if cluster:
        interruption.run(lambda: programs.print_time(plan))
    else:
        interruption.run(lambda: forecast.print_time(programs, plan))
    forecast.print_disk(
        programs,
        plan,
        workdir,
        eval_every=flags.FLAGS.eval_every,
        checkpoints=flags.FLAGS.checkpoint_minutes > 0 and not flags.FLAGS.cluster,
    )


def _print_header(run: Run, workdir: pathlib.Path, cluster: Any = None) -> None:
    import jax

    from experiments.schedule import plan

    clips, training = run.clips, run.train_config
    live, dead = plan.count_parameters(run.model_config, training)
    classes = ", ".join(
        f"{int((clips.label_N == label).sum())} {name}" for label, name in enumerate(CLASS_NAMES)
    )
    print(f"data: {clips.dataset}/{clips.layout}, {len(clips)} clips ({classes})")
    print(f"folds: {len(subjects_here(run))} of {len(run.folds)} subjects; each fold holds one "
          "subject out and trains on all others")  # fmt: skip
    size = size_in_words(run.config["model_config"])
    print(f"network: {run.config['model']}, {size}{live + dead:,} parameters")
    devices = cluster.devices if cluster else jax.local_devices()
    on_cpu = devices[0].platform == "cpu" and training.precision == "tf32"
    precision = "float32 (tf32 is a GPU's)" if on_cpu else training.precision
    print(f"training: {training.epochs} epochs, batch {training.batch_size}, "
          f"learning rate {training.learning_rate:g}, {precision}, "
          f"seeds {', '.join(map(str, run.config['seeds'][:10]))}")  # fmt: skip
    if run.preset:
        print(f"note: the synthetic data set brings its own small {', '.join(run.preset)}; "
              "flags on the command line win")  # fmt: skip
    print(f"device: {len(devices)} x {devices[0].device_kind} ({devices[0].platform})")
    if cluster:
        print(f"cluster: {cluster}")
    print(f"files: {workdir}", flush=True)
    for note in notes(run):
        print(f"note: {note}", flush=True)


def _train_and_report(run: Run, workdir: pathlib.Path, interruption: Interruption) -> int:
    from ahmsa_jax.training.protocols import epoch_shapes
    from experiments.files import chunks
    from experiments.schedule import executor, forecast, plan, planning
    from experiments.scores import reporting

    shapes = epoch_shapes(run.folds, run.train_config.batch_size)
    planned = plan.stored_plan(workdir, run.folds, shapes, planning.jobs_of(run))
    stored = chunks.load_all(workdir, planned.chunks) if planned else {}
    waiting = not planned or len(stored) < len(planned.chunks)
    if waiting:
        refuse_other_code(workdir)
    cluster = _joined(interruption) if waiting else None
    _print_header(run, workdir, cluster)
    programs = _programs(run, cluster)
    unfinished = (
        [chunk for chunk in planned.chunks if chunk.number not in stored] if planned else []
    )
    jobs = [job for chunk in unfinished for job in chunk.jobs] if planned else planning.jobs_of(run)
    if not flags.FLAGS.cluster:
        # Before anything is compiled, which takes its time too.
        forecast.warn_if_long(programs, jobs)
    if planned is None:
        size = flags.FLAGS.folds_at_once
        planned = interruption.run(lambda: planning.fresh_plan(run, programs, size))
        plan.store_plan(workdir, planned)
    _store_surroundings(run, workdir, cluster, programs, planned)
    if waiting:
        forecast.print_plan(programs, planned)
    trainer = _executor(run, workdir, programs, cluster, interruption)
    executor.train_all(trainer, planned, stored, workdir, run.clips, interruption)
    return reporting.report(workdir)


def _store_surroundings(
    run: Run, workdir: pathlib.Path, cluster: Any, programs: Any, planned: Any
) -> None:
    """Note where and how the run was made; a first start may have died before: made good."""
    from experiments.run import environment

    if not (workdir / "environment.json").exists():
        devices = cluster.devices if cluster else programs.devices
        facts = environment.describe(devices) | {
            "cluster_chunks_at_a_time": cluster.workers if cluster else None,
            "folds_at_once": max(chunk.size for chunk in planned.chunks),
            "data_sha256": run.config["data_sha256"],
            "data_provenance": run.clips.provenance,
        }
        write_whole(workdir / "environment.json", canonical_json(facts))
    if not (workdir / "flags.txt").exists():
        flags_text = run_flags.as_flagfile(run.model_config, run.train_config)
        write_whole(workdir / "flags.txt", flags_text)


if __name__ == "__main__":
    run_flags.define_run_flags()
    compile_cache.define_flag()
    command.run(
        main,
        name=NAME,
        purpose="Train and evaluate a network leaving one subject out at a time, many folds at "
        "once, and report UF1 and UAR pooled over the folds.",
        mistakes=(InputError, ConfigError),
    )
