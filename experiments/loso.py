"""Leave-one-subject-out training and evaluation, many folds at once.

python -m experiments.loso --dataset=casme3
"""

from typing import TYPE_CHECKING

from ahmsa_jax.config import ConfigError
from experiments.run import flags as run_flags
from experiments.run import header, jax_settings
from experiments.run.chunk import Plan
from experiments.run.flags import Values
from experiments.run.request import Run, read_run
from experiments.run.spec import Execution
from experiments.run.workdir import CONFIG_FILE, claimed, refuse_other_code
from experiments.schedule.interruption import Interruption
from input_pipeline.core import command
from input_pipeline.core.errors import InputError

if TYPE_CHECKING:
    from experiments.cluster.executor import RemoteNeeds
    from experiments.cluster.ray_cluster import Cluster
    from experiments.schedule.executor import Executor
    from experiments.schedule.programs import Programs

NAME = "experiments.loso"

# JAX and matplotlib are imported where they are used: help and mistakes answer at once.


def main() -> int:
    """Train the folds asked for and report; 3 where folds failed, else 0."""
    given = command.values()
    with Interruption(NAME) as interruption:
        run_flags.check_execution(given)
        run = read_run(given, "jax")
        execution = run_flags.execution(given, run.spec)
        _check_devices(execution)
        if execution.dry_run:
            _dry_run(run, execution, interruption)
            return 0
        with claimed(execution.workdir, run.spec.to_json(), run.facts()):
            return _train_and_report(run, execution, given, interruption)


def _check_devices(execution: Execution) -> None:
    """Ask JAX for its devices before anything is written: an unavailable one is a user error."""
    if not execution.cluster:
        jax_settings.local_devices(execution.compile_cache)
        return
    # The devices are the workers'; this process takes none from them.
    jax_settings.load().config.update("jax_platforms", "cpu")
    from experiments.cluster import ray_cluster

    # A finished run is shown without its cluster.
    if not (execution.workdir / CONFIG_FILE).exists():
        ray_cluster.refuse_unreachable(execution.cluster)


def _joined(execution: Execution, interruption: Interruption) -> "Cluster | None":
    """The Ray cluster of --cluster, or None without it."""
    if not execution.cluster:
        return None
    from experiments.cluster.ray_cluster import Cluster

    return Cluster(execution.cluster, interruption)


def _programs(
    run: Run, execution: Execution, cluster: "Cluster | None"
) -> "Programs | RemoteNeeds":
    """The run's programs, to be compiled here or, with a cluster, by its workers."""
    from experiments.schedule import planning, programs

    problem = planning.problem_of(run, execution)
    if not cluster:
        return programs.Programs(problem)
    from experiments.cluster.executor import RemoteNeeds

    return RemoteNeeds(cluster, problem, execution)


def _executor(
    run: Run,
    execution: Execution,
    programs: "Programs | RemoteNeeds",
    interruption: Interruption,
) -> "Executor":
    """Trains the run's chunks here or, with a cluster, on its workers."""
    from experiments.schedule import planning
    from experiments.schedule.programs import Programs

    if isinstance(programs, Programs):
        return planning.local_executor(run, execution, programs, interruption)
    from experiments.cluster.executor import ClusterExecutor

    return ClusterExecutor(programs, interruption)


def _dry_run(run: Run, execution: Execution, interruption: Interruption) -> None:
    from experiments.schedule import forecast, planning

    cluster = _joined(execution, interruption)
    _print_header(run, execution, cluster)
    programs = _programs(run, execution, cluster)
    plan = interruption.run(lambda: planning.fresh_plan(run, execution, programs))
    forecast.print_plan(programs, plan)
    interruption.run(lambda: _print_time(programs, plan))
    forecast.print_disk(
        programs,
        plan,
        execution.workdir,
        eval_every=run.spec.eval_every,
        checkpoints=execution.checkpoint_minutes > 0 and not cluster,
    )


def _print_time(programs: "Programs | RemoteNeeds", plan: Plan) -> None:
    from experiments.schedule import forecast
    from experiments.schedule.programs import Programs

    if isinstance(programs, Programs):
        forecast.print_time(programs, plan)
    else:
        programs.print_time(plan)


def _print_header(run: Run, execution: Execution, cluster: "Cluster | None") -> None:
    import jax

    from experiments.schedule import plan

    live, dead = plan.count_parameters(run.network_config, run.train_config)
    devices = cluster.devices if cluster else jax.local_devices()
    precision: str = run.train_config.precision
    if devices[0].platform == "cpu" and precision == "tf32":
        precision = "float32 (tf32 is a GPU's)"
    lines = [f"device: {len(devices)} x {devices[0].device_kind} ({devices[0].platform})"]
    if cluster:
        lines.append(f"cluster: {cluster}")
    header.print_header(
        run,
        execution.workdir,
        network=f"{live + dead:,} parameters",
        precision=precision,
        devices=lines,
    )


def _train_and_report(
    run: Run, execution: Execution, given: Values, interruption: Interruption
) -> int:
    from ahmsa_jax.training.protocols import epoch_shapes
    from experiments.files import chunks
    from experiments.schedule import executor, forecast, plan, planning
    from experiments.scores import reporting

    workdir = execution.workdir
    shapes = epoch_shapes(run.folds, run.train_config.batch_size)
    planned = plan.stored_plan(workdir, run.folds, shapes, planning.jobs_of(run))
    stored = chunks.load_all(workdir, planned.chunks) if planned else {}
    waiting = not planned or len(stored) < len(planned.chunks)
    if waiting:
        refuse_other_code(workdir)
    cluster = _joined(execution, interruption) if waiting else None
    _print_header(run, execution, cluster)
    programs = _programs(run, execution, cluster)
    unfinished = (
        [chunk for chunk in planned.chunks if chunk.number not in stored] if planned else []
    )
    jobs = [job for chunk in unfinished for job in chunk.jobs] if planned else planning.jobs_of(run)
    if not execution.cluster:
        # Before anything is compiled, which takes its time too.
        forecast.warn_if_long(programs, jobs)
    if planned is None:
        planned = interruption.run(lambda: planning.fresh_plan(run, execution, programs))
        plan.store_plan(workdir, planned)
    header.store_surroundings(
        run,
        given,
        workdir,
        cluster.devices if cluster else programs.devices,
        {
            "cluster_chunks_at_a_time": programs.workers if cluster else None,
            "folds_at_once": max(chunk.size for chunk in planned.chunks),
        },
    )
    if waiting:
        forecast.print_plan(programs, planned)
    trains = _executor(run, execution, programs, interruption)
    executor.train_all(trains, planned, stored, workdir, run.clips, interruption)
    return reporting.report(workdir)


def start() -> None:
    """Define the flags and run the command; own extensions call this after registering theirs."""
    run_flags.define_run_flags()
    run_flags.define_compile_cache_flag()
    command.run(
        main,
        name=NAME,
        purpose="Train and evaluate a network leaving one subject out at a time, many folds at "
        "once, and report UF1 and UAR pooled over the folds.",
        mistakes=(InputError, ConfigError),
    )


if __name__ == "__main__":
    start()
