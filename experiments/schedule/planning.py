"""What a run needs before it trains: its jobs, a place to train, and the plan."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax

from ahmsa_jax.training.protocols import Job
from experiments.run.chunk import Plan
from experiments.run.request import Run
from experiments.run.spec import Execution
from experiments.schedule import forecast, plan
from experiments.schedule.executor import Executor, LocalExecutor
from experiments.schedule.interruption import Interruption
from experiments.schedule.memory import Device
from experiments.schedule.programs import Needs, Problem, Programs
from experiments.schedule.trainer import Trainer, TrainerSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """What a run is planned for: what compiles its programs, and the devices."""

    needs: Needs
    devices: Sequence[Device]
    print_time: Callable[[Plan], None]  # how long training by a plan will take
    cluster: str = ""  # the cluster in words; empty in this process


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingPlace(Place):
    """Where a run is trained: a place, and who trains its chunks there."""

    executor: Executor


def jobs_of(run: Run) -> list[Job]:
    """Every fold to train here under every seed."""
    return [Job(seed, fold) for seed in run.spec.seeds for fold in run.folds_here]


def problem_of(run: Run, execution: Execution) -> Problem:
    """What the run's programs are compiled for."""
    return Problem(
        run.clips,
        run.network_config,
        run.train_config,
        test_places=max(len(fold.test_index) for fold in run.folds),
        eval_every=run.spec.eval_every,
        parallel=execution.parallel,
    )


def fresh_plan(run: Run, execution: Execution, needs: Needs) -> Plan:
    """Chunks of the size asked for, or of as many folds as the memory holds by compiling."""
    shapes = run.epoch_shapes()
    jobs = jobs_of(run)
    needs.refuse_hopeless()
    guess = plan.guess_fold_bytes(run.network_config, run.train_config, len(run.clips))
    wanted = 1 if execution.parallel == "batch" else execution.folds_at_once
    size_of = {}
    for shape, group in plan.grouped(jobs, shapes).items():
        need = functools.partial(needs.need, shape)
        if wanted:
            need(plan.even_size(len(group), wanted, needs.lanes))
            size_of[shape] = wanted
        else:
            # Where several chunks are trained at a time, no worker is to stand idle.
            count = -(-len(group) // needs.workers)
            size_of[shape] = plan.fitted_size(count, guess, needs.available, needs.devices, need)
    return Plan(plan.make_plan(jobs, shapes, size_of, needs.lanes))


def local_place(run: Run, execution: Execution, interruption: Interruption) -> TrainingPlace:
    """This process."""
    programs, spec = Programs(problem_of(run, execution)), run.spec
    facts = {
        "model_config": dict(spec.network),
        "data_sha256": spec.data_sha256,
        "split": spec.split,
        "folds": spec.folds,
        "class_names": run.clips.class_names,
    }
    named = {"model": spec.model, **facts} if spec.save_weights else None
    automatic = not execution.folds_at_once
    settings = TrainerSettings(
        execution.workdir,
        execution.checkpoint_minutes,
        automatic,
        named,
        keeps_curve=run.keeps_curve,
    )
    train = Trainer(programs, settings, interruption).train
    epochs = run.train_config.epochs
    executor = LocalExecutor(train, interruption, epochs=epochs, lanes=programs.lanes)
    print_time = functools.partial(forecast.print_time, programs)
    return TrainingPlace(
        needs=programs, devices=jax.local_devices(), print_time=print_time, executor=executor
    )
