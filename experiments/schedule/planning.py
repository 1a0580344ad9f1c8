"""What a run needs before it trains: its jobs, the programs, the plan, and who trains by it."""

import functools
import pathlib

from ahmsa_jax.training.protocols import Job, epoch_shapes
from experiments.run.chunk import Plan
from experiments.run.spec import Run, subjects_here
from experiments.schedule import plan
from experiments.schedule.executor import LocalExecutor
from experiments.schedule.interruption import Interruption
from experiments.schedule.programs import Needs, Problem, Programs
from experiments.schedule.trainer import Settings, Trainer


def jobs_of(run: Run) -> list[Job]:
    """Every fold to train here under every seed."""
    mine = set(subjects_here(run))
    return [
        Job(seed, fold) for seed in run.config["seeds"] for fold in run.folds if fold.key in mine
    ]


def problem_of(run: Run) -> Problem:
    """What the run's programs are compiled for."""
    return Problem(
        run.clips,
        run.model_config,
        run.train_config,
        test_places=max(len(fold.test_index) for fold in run.folds),
        eval_every=run.config["eval_every"],
        parallel=run.config["parallel"],
    )


def fresh_plan(run: Run, needs: Needs, folds_at_once: int) -> Plan:
    """Chunks of the size asked for, or (0) of as many folds as the memory holds by compiling."""
    shapes = epoch_shapes(run.folds, run.train_config.batch_size)
    jobs = jobs_of(run)
    needs.refuse_hopeless()
    guess = plan.guess_fold_bytes(run.model_config, run.train_config, len(run.clips))
    wanted = 1 if run.config["parallel"] == "batch" else folds_at_once
    size_of = {}
    for shape, group in plan.grouped(jobs, shapes).items():
        need = functools.partial(needs.need, shape)
        if wanted:
            need(plan.even_size(len(group), wanted, needs.lanes))
            size_of[shape] = wanted
        else:
            # Where several chunks are trained at a time, no worker is to stand idle.
            count = -(-len(group) // needs.workers)
            size_of[shape] = plan.fitted_size(count, guess, needs.have, needs.devices, need)
    return Plan(plan.make_plan(jobs, shapes, size_of, needs.lanes))


def local_executor(
    run: Run,
    workdir: pathlib.Path,
    programs: Programs,
    interruption: Interruption,
    *,
    checkpoint_minutes: float,
    automatic: bool,
) -> LocalExecutor:
    """Trains the run's chunks in this process; `automatic` lets their size follow the memory."""
    named = ("model", "model_config", "data_sha256")
    weights_of = {name: run.config[name] for name in named} if run.config["save_weights"] else None
    settings = Settings(workdir, checkpoint_minutes, automatic, weights_of)
    return LocalExecutor(
        Trainer(programs, settings, interruption),
        interruption,
        epochs=run.train_config.epochs,
        lanes=programs.lanes,
    )
