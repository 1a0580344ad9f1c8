"""Leave-one-subject-out training in plain PyTorch, one fold after another, as the field runs it.

python -m experiments.torch_loso --dataset=casme3 --model=htnet

It takes the flags of experiments.loso that apply and writes the same files, to set beside it.
"""

import pathlib

from ahmsa_jax.config import ConfigError
from experiments.baselines import state_files
from experiments.files.chunks import ChunkResult
from experiments.run import flags as run_flags
from experiments.run import header
from experiments.run.flags import Values
from experiments.run.request import Run, read_run
from experiments.run.workdir import claimed, refuse_other_code
from experiments.schedule.plan import Chunk
from input_pipeline.core import command
from input_pipeline.core.errors import InputError

NAME = "experiments.torch_loso"


def main() -> int:
    """Train the folds asked for and report; 3 where folds failed, else 0."""
    given = command.values()
    run_flags.check_count(given, "eval_every", 1_000_000)
    state_files.require_torch()
    if given.precision == "bfloat16":
        raise ConfigError("--precision=bfloat16 is not for PyTorch here; give float32 or tf32.")
    run = read_run(given, "pytorch")
    workdir = run_flags.workdir(given, run.spec)
    with claimed(workdir, run.spec.to_json(), run.facts()):
        return _train_and_report(run, workdir, given)


def _train_and_report(run: Run, workdir: pathlib.Path, given: Values) -> int:
    from ahmsa_jax.training.protocols import epoch_shapes
    from experiments.files import chunks as chunk_files
    from experiments.files import run_files
    from experiments.schedule import plan, planning
    from experiments.scores import reporting

    shapes = epoch_shapes(run.folds, run.train_config.batch_size)
    jobs = planning.jobs_of(run)
    # A fold is a chunk of its own: each one's results are kept, so that a run can go on.
    chunks = plan.make_plan(jobs, shapes, dict.fromkeys(shapes.values(), 1), 1)
    stored = chunk_files.load_all(workdir, chunks)
    if len(stored) < len(chunks):
        refuse_other_code(workdir)
        waiting = [chunk for chunk in chunks if chunk.number not in stored]
        stored |= _train(run, workdir, given, waiting, len(stored))
    run_files.write_run_files(workdir, run.clips, [(c, stored[c.number]) for c in chunks])
    return reporting.report(workdir)


def _train(
    run: Run, workdir: pathlib.Path, given: Values, chunks: list[Chunk], done: int
) -> dict[int, ChunkResult]:
    """Train and store these chunks of one fold each; returns their results by number."""
    import numpy as np
    import torch

    from ahmsa_jax.training.clip_order import rank_of_clips
    from experiments.baselines.torch_folds import FoldTrainer
    from experiments.files import chunks as chunk_files
    from experiments.schedule.progress import Progress

    trainer = FoldTrainer(
        run.network_config,
        run.train_config,
        run.clips.flow_NxHxWxC,
        run.clips.label_N,
        rank_N=rank_of_clips(
            run.train_config.order, run.clips.label_N, run.clips.subject_N, run.clips.clip_N
        ),
        eval_every=run.spec.eval_every,
    )
    header.print_header(
        run,
        workdir,
        network=f"in PyTorch on {trainer.device}, one fold after another",
        precision=run.train_config.precision,
        devices=[],
    )
    more = {"devices": [str(trainer.device)], "torch": torch.__version__}
    header.store_surroundings(run, given, workdir, [], more)
    progress = Progress(done + len(chunks), run.train_config.epochs, done)
    progress.restart_clock()
    found = {}
    try:
        for chunk in chunks:
            (job,) = chunk.jobs

            def report(epoch: int, loss: float) -> None:
                progress.advance(1, epoch, np.array([loss]))

            result, params = trainer.train(job, report)
            if run.spec.save_weights:
                subject = job.fold.key.replace("/", "_")
                target = workdir / "weights" / f"seed-{job.seed}" / f"{subject}.pth"
                state_files.write(target, run.network_config, params)
            chunk_files.save(workdir, chunk.number, chunk.jobs, result)
            found[chunk.number] = result
            progress.finish_chunk(1, result.final_counts())
    finally:
        progress.close()
    return found


if __name__ == "__main__":
    run_flags.define_training_flags()
    command.run(
        main,
        name=NAME,
        purpose="Train and evaluate a network's PyTorch twin leaving one subject out at a time, "
        "one fold after another, with the flags and files of experiments.loso.",
        mistakes=(InputError, ConfigError),
    )
