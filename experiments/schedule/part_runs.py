"""A run that is part of a larger command: trained in a folder of its own, from where it stopped."""

import dataclasses
import pathlib

from experiments.files import chunks, progress_file
from experiments.run.chunk import Chunk, ChunkResult
from experiments.run.request import Run
from experiments.run.spec import Execution
from experiments.run.workdir import claimed, refuse_other_code
from experiments.schedule import executor, plan, planning, starts
from experiments.schedule.interruption import Interruption

Finished = list[tuple[Chunk, ChunkResult]]


def trained(
    run: Run,
    execution: Execution,
    workdir: pathlib.Path,
    interruption: Interruption,
    starts_in: pathlib.Path,
) -> Finished:
    """Every chunk of the run with its results, from `workdir` or trained now.

    Starting parameters that parts share lie in `starts_in`. Raises StoppedError where a signal
    asked for it; the same call then goes on.
    """
    here = dataclasses.replace(execution, workdir=workdir)
    with claimed(workdir, run.spec.to_json(), run.facts()):
        jobs = planning.jobs_of(run)
        planned = plan.stored_plan(workdir, run.folds, run.epoch_shapes(), jobs)
        stored = chunks.load_all(workdir, planned.chunks) if planned else {}
        if planned and len(stored) == len(planned.chunks):
            progress_file.drop(workdir)
            return [(chunk, stored[chunk.number]) for chunk in planned.chunks]
        refuse_other_code(workdir)
        place = planning.local_place(run, here, interruption)
        if planned is None:
            planned = interruption.run(lambda: planning.fresh_plan(run, here, place.needs))
            plan.store_plan(workdir, planned)
        place.needs.start = starts.starts(run, starts_in, interruption)
        trains = (place.executor, planned, stored, workdir, interruption)
        return list(executor.results(*trains, tensorboard=execution.tensorboard))
