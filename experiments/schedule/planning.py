"""What a run needs before it trains: its jobs, the programs, the plan, and who trains by it."""

import functools
from typing import Any

from ahmsa_jax.training.engine import Job
from ahmsa_jax.training.protocols import epoch_shapes
from experiments.run.request import Run
from experiments.run.spec import Execution
from experiments.schedule import plan, trainer
from experiments.schedule.interruption import Interruption
from experiments.schedule.programs import Programs


def jobs_of(run: Run) -> list[Job]:
    """Every fold to train here under every seed."""
    return [Job(seed, fold) for seed in run.spec.seeds for fold in run.folds_here]


def programs_of(run: Run, execution: Execution, cluster: Any) -> Programs:
    """The run's programs, to be compiled here or, with a cluster, by its workers."""
    settings: dict[str, Any] = {
        "test_places": max(len(fold.test_index) for fold in run.folds),
        "eval_every": run.spec.eval_every,
    }
    if cluster is None:
        parallel = execution.parallel
        return Programs(
            run.clips, run.network_config, run.train_config, parallel=parallel, **settings
        )
    from experiments.cluster.executor import RemotePrograms

    automatic = not execution.folds_at_once
    return RemotePrograms(
        cluster,
        run.clips,
        run.network_config,
        run.train_config,
        automatic=automatic,
        compile_cache=execution.compile_cache,
        **settings,
    )


def fresh_plan(run: Run, execution: Execution, programs: Programs) -> plan.Plan:
    """Chunks of the size asked for, or of as many folds as the memory holds by compiling."""
    devices, lanes = programs.devices, programs.lanes
    shapes = epoch_shapes(run.folds, run.train_config.batch_size)
    jobs = jobs_of(run)
    programs.refuse_hopeless()
    guess = plan.guess_fold_bytes(run.network_config, run.train_config, len(run.clips))
    size_of = {}
    for shape, group in plan.grouped(jobs, shapes).items():
        need = functools.partial(programs.need, shape)
        wanted = 1 if execution.parallel == "batch" else execution.folds_at_once
        if wanted:
            need(plan.even_size(len(group), wanted, lanes))
            size_of[shape] = wanted
        else:
            # Where several chunks are trained at a time, no worker is to stand idle.
            count = -(-len(group) // programs.workers)
            size_of[shape] = plan.fitted_size(count, guess, programs.have, devices, need)
    return plan.Plan(plan.make_plan(jobs, shapes, size_of, lanes))


def trainer_of(run: Run, execution: Execution, programs: Any, interruption: Interruption) -> Any:
    """Who trains the plan's chunks: this process, or the cluster's workers."""
    told = {
        "model": run.spec.model,
        "model_config": dict(run.spec.network),
        "data_sha256": run.spec.data_sha256,
    }
    settings = trainer.Settings(
        execution.workdir,
        checkpoint_minutes=execution.checkpoint_minutes,
        automatic=not execution.folds_at_once,
        weights_of=told if run.spec.save_weights else None,
    )
    if programs.cluster is None:
        return trainer.Trainer(programs, settings, interruption)
    from experiments.cluster.executor import ClusterTrainer

    return ClusterTrainer(programs, settings, interruption)
