"""Leave-one-subject-out training and evaluation, many folds at once.

python -m experiments.loso --dataset=casme3
"""

import functools
from typing import TYPE_CHECKING

from ahmsa_jax.config import ConfigError
from experiments.files import event_files
from experiments.run import exclusions, header, inner_selection, jax_settings, train_share
from experiments.run import flags as run_flags
from experiments.run.flags import Values
from experiments.run.request import Run, read_run
from experiments.run.spec import Execution
from experiments.run.workdir import CONFIG_FILE, claimed, refuse_other_code
from experiments.schedule.interruption import Interruption
from input_pipeline.core import command
from input_pipeline.core.errors import InputError

if TYPE_CHECKING:
    from experiments.schedule.planning import Place, TrainingPlace

NAME = "experiments.loso"

# JAX and matplotlib are imported where they are used: help and mistakes answer at once.


def main() -> int:
    """Train the folds asked for and report; 3 where folds failed, else 0."""
    given = command.values()
    with Interruption(NAME) as interruption:
        exclusions.check(given)
        run = read_run(given, "jax")
        execution = run_flags.execution(given, run.spec)
        check_devices(run, execution)
        if execution.dry_run:
            dry_run(run, execution, interruption)
            return 0
        return carry_out(run, execution, given, interruption)


def carry_out(run: Run, execution: Execution, given: Values, interruption: Interruption) -> int:
    """Train what is left of a run in its workdir and report; 3 where folds failed, else 0.

    For other commands too. Raises ConfigError where the workdir is not the run's.
    """
    with claimed(execution.workdir, run.spec.to_json(), run.facts()):
        if run.spec.select == inner_selection.INNER:
            return _choose_and_report(run, execution, given, interruption)
        return _train_and_report(run, execution, given, interruption)


def check_devices(run: Run, execution: Execution) -> None:
    """Ask for the run's devices, and a library of --tensorboard, before anything is written.

    An unavailable one is a user error.
    """
    if execution.tensorboard:
        event_files.require()
    if execution.target is not None:
        jax_settings.load_for_cards_elsewhere()
        return
    if not execution.cluster:
        jax_settings.local_devices(
            execution.compile_cache,
            execution.autotune_file,
            functools.partial(_cpu_devices, run, execution),
        )
        return
    # The devices are the workers'; this process takes none from them.
    jax_settings.load().config.update("jax_platforms", "cpu")
    from experiments.cluster import ray_cluster

    # A finished run is shown without its cluster.
    if not (execution.workdir / CONFIG_FILE).exists():
        ray_cluster.refuse_unreachable(execution.cluster)


def _cpu_devices(run: Run, execution: Execution) -> int:
    from experiments.schedule import cpu_devices

    return cpu_devices.of_run(run, execution)


def _place(
    run: Run, execution: Execution, interruption: Interruption, *, remote: bool
) -> "TrainingPlace":
    if not remote:
        from experiments.schedule.planning import local_place

        return local_place(run, execution, interruption)
    from experiments.cluster.executor import cluster_place

    return cluster_place(run, execution, interruption)


def _absent_place(run: Run, execution: Execution, target: str) -> "Place":
    from experiments.schedule.elsewhere import card_place
    from experiments.weighing import cards

    return card_place(run, execution, cards.load(target))


def dry_run(run: Run, execution: Execution, interruption: Interruption) -> None:
    """Print what the run would train, on what, and what it would need."""
    from experiments.schedule import forecast, large, nested, planning

    place: Place
    if execution.target is None:
        place = _place(run, execution, interruption, remote=bool(execution.cluster))
    else:
        place = _absent_place(run, execution, execution.target)
    _print_header(run, execution, place)
    if run.spec.select == inner_selection.INNER:
        print(f"{nested.cost_in_words(run)}; what follows is of one without", flush=True)
    if execution.target is None and large.is_too_large(run, place.devices[0]):
        print("\n".join(large.describe(run, place.needs.available)), flush=True)
        return
    plan = interruption.run(lambda: planning.fresh_plan(run, execution, place.needs))
    forecast.print_plan(place.needs, plan)
    interruption.run(lambda: place.print_time(plan))
    checkpoints = execution.checkpoint_minutes > 0 and not place.cluster
    forecast.print_disk(place.needs, plan, execution.workdir, checkpoints=checkpoints)


def _print_header(run: Run, execution: Execution, place: "Place") -> None:
    from experiments.schedule import plan

    live, dead = plan.count_parameters(run.network_config, run.train_config)
    precision: str = run.train_config.precision
    first = place.devices[0]
    if first.platform == "cpu" and precision == "tf32":
        precision = "float32 (tf32 is a GPU's)"
    lines = [f"device: {len(place.devices)} x {first.device_kind} ({first.platform})"]
    if place.cluster:
        lines.append(f"cluster: {place.cluster}")
    size = f"{live + dead:,} parameters"
    header.print_header(run, execution.workdir, network=size, precision=precision, devices=lines)


def _train_and_report(
    run: Run, execution: Execution, given: Values, interruption: Interruption
) -> int:
    from experiments.files import chunks
    from experiments.schedule import executor, forecast, plan, planning, starts
    from experiments.scores import reporting

    workdir = execution.workdir
    shapes = run.epoch_shapes()
    jobs = planning.jobs_of(run)
    planned = plan.stored_plan(workdir, run.folds, shapes, jobs)
    stored = chunks.load_all(workdir, planned.chunks) if planned else {}
    waiting = not planned or len(stored) < len(planned.chunks)
    if waiting:
        refuse_other_code(workdir)
    place = _place(run, execution, interruption, remote=bool(execution.cluster) and waiting)
    _print_header(run, execution, place)
    if planned:
        left = [chunk for chunk in planned.chunks if chunk.number not in stored]
        jobs = [job for chunk in left for job in chunk.jobs]
    if not execution.cluster:
        # Before anything is compiled, which takes its time too.
        forecast.warn_if_long(place.needs, jobs)
    if planned is None:
        planned = interruption.run(lambda: planning.fresh_plan(run, execution, place.needs))
        plan.store_plan(workdir, planned)
    more = {
        "cluster_chunks_at_a_time": place.needs.workers if place.cluster else None,
        "folds_at_once": max(chunk.size for chunk in planned.chunks),
    }
    header.store_surroundings(run, given, workdir, place.devices, more)
    if waiting:
        forecast.print_plan(place.needs, planned)
        place.needs.start = starts.starts(run, workdir, interruption)
    # A finished run is not written again each time that it is shown.
    watched = execution.tensorboard and (waiting or not event_files.are_there(workdir))
    trains = (place.executor, planned, stored, workdir, run.clips, interruption)
    executor.train_all(*trains, tensorboard=watched)
    status = reporting.report([workdir], workdir)
    if watched:
        event_files.add_pictures(workdir, run.spec.epochs)
    return status


def _choose_and_report(
    run: Run, execution: Execution, given: Values, interruption: Interruption
) -> int:
    """The same with inner selection: many trainings, each a run in a folder of its own."""
    from experiments.files import run_files
    from experiments.schedule import nested, planning
    from experiments.scores import reporting

    place = planning.local_place(run, execution, interruption)
    _print_header(run, execution, place)
    print(nested.cost_in_words(run), flush=True)
    header.store_surroundings(run, given, execution.workdir, place.devices, {})
    finished = nested.train(run, execution, interruption)
    run_files.write_run_files(execution.workdir, run.clips, finished)
    status = reporting.report([execution.workdir], execution.workdir)
    if execution.tensorboard and not event_files.are_there(execution.workdir):
        event_files.add_pictures(execution.workdir, run.spec.epochs)
    return status


def define_flags() -> None:
    """Define the flags of a run; call once, before parsing."""
    run_flags.define_run_flags()
    inner_selection.define_flags("logloss")
    train_share.define_flag()
    run_flags.define_compile_cache_flag()
    run_flags.define_autotune_flag()


def start() -> None:
    """Define the flags and run the command; own extensions call this after registering theirs."""
    define_flags()
    command.run(
        main,
        name=NAME,
        purpose="Train and evaluate a network leaving one subject out at a time, many folds at "
        "once, and report UF1 and UAR pooled over the folds.",
        mistakes=(InputError, ConfigError),
    )


if __name__ == "__main__":
    start()
