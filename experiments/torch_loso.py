"""Leave-one-subject-out training in plain PyTorch, one fold after another, as the field runs it.

python -m experiments.torch_loso --dataset=casme3 --model=htnet

It takes the flags of experiments.loso that apply and writes the same files, to set beside it.
"""

import pathlib
from typing import Any

from absl import flags

from ahmsa_jax.config import ConfigError
from experiments.baselines import torch_extra
from experiments.run import flags as run_flags
from experiments.run.recipes import size_in_words
from experiments.run.spec import Run, facts_of, notes, read_run, subjects_here, workdir_of
from experiments.run.workdir import canonical_json, claimed, refuse_other_code
from input_pipeline.core import command
from input_pipeline.core.errors import InputError
from input_pipeline.core.files import write_whole

NAME = "experiments.torch_loso"


def main() -> int:
    """Train the folds asked for and report; 3 where folds failed, else 0."""
    run_flags.check_count("eval_every", 1_000_000)
    torch_extra.state_files()
    if flags.FLAGS.precision == "bfloat16":
        raise ConfigError("--precision=bfloat16 is not for PyTorch here; give float32 or tf32.")
    run = read_run(framework="pytorch")
    workdir = workdir_of(run.config)
    with claimed(workdir, run.config, facts_of(run)):
        return _train_and_report(run, workdir)


def _train_and_report(run: Run, workdir: pathlib.Path) -> int:
    from ahmsa_jax.training.protocols import epoch_shapes
    from experiments.files import chunks
    from experiments.run.chunk import Plan
    from experiments.schedule import executor, plan, planning
    from experiments.schedule.interruption import Interruption
    from experiments.schedule.torch_trainer import TorchTrainer
    from experiments.scores import reporting

    shapes = epoch_shapes(run.folds, run.train_config.batch_size)
    jobs = planning.jobs_of(run)
    # A fold is a chunk of its own: each one's results are kept, so that a run can go on.
    planned = Plan(plan.make_plan(jobs, shapes, dict.fromkeys(shapes.values(), 1), 1))
    stored = chunks.load_all(workdir, planned.chunks)
    if len(stored) < len(planned.chunks):
        refuse_other_code(workdir)
    trainer = TorchTrainer(run, workdir)
    if len(stored) < len(planned.chunks):
        _print_header(run, workdir, trainer.device)
        _store_surroundings(run, workdir, trainer.device)
    with Interruption(NAME) as interruption:
        one_by_one = executor.LocalExecutor(trainer, interruption, epochs=run.train_config.epochs)
        executor.train_all(one_by_one, planned, stored, workdir, run.clips, interruption)
    return reporting.report(workdir)


def _print_header(run: Run, workdir: pathlib.Path, device: Any) -> None:
    training = run.train_config
    print(f"data: {run.clips.dataset}/{run.clips.layout}, {len(run.clips)} clips")
    print(f"folds: {len(subjects_here(run))} of {len(run.folds)} subjects, one after another")
    print(f"network: {run.config['model']}, {size_in_words(run.config['model_config'])}in PyTorch "
          f"on {device}")  # fmt: skip
    seeds = ", ".join(map(str, run.config["seeds"][:10]))
    print(f"training: {training.epochs} epochs, batch {training.batch_size}, learning rate "
          f"{training.learning_rate:g}, seeds {seeds}")  # fmt: skip
    if run.preset:
        print(f"note: the synthetic data set brings its own small {', '.join(run.preset)}; "
              "flags on the command line win")  # fmt: skip
    for note in notes(run):
        print(f"note: {note}")
    print(f"files: {workdir}", flush=True)


def _store_surroundings(run: Run, workdir: pathlib.Path, device: Any) -> None:
    import torch

    from experiments.run import environment

    facts = environment.describe([]) | {
        "devices": [str(device)],
        "torch": torch.__version__,
        "data_sha256": run.config["data_sha256"],
        "data_provenance": run.clips.provenance,
    }
    write_whole(workdir / "environment.json", canonical_json(facts))
    write_whole(workdir / "flags.txt", run_flags.as_flagfile(run.model_config, run.train_config))


if __name__ == "__main__":
    run_flags.define_training_flags()
    command.run(
        main,
        name=NAME,
        purpose="Train and evaluate a network's PyTorch twin leaving one subject out at a time, "
        "one fold after another, with the flags and files of experiments.loso.",
        mistakes=(InputError, ConfigError),
    )
