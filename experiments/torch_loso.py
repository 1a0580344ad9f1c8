"""Leave-one-subject-out training in plain PyTorch, one fold after another, as the field runs it.

python -m experiments.torch_loso --dataset=casme3 --model=htnet

It takes the flags of experiments.loso that apply and writes the same files, to set beside it.
"""

import pathlib

from ahmsa_jax.config import OWN_KERNELS, ConfigError, TrainConfig
from experiments.baselines import torch_extra
from experiments.files import event_files
from experiments.run import flags as run_flags
from experiments.run import header
from experiments.run.flags import Values
from experiments.run.request import Run, read_run
from experiments.run.workdir import claimed, refuse_other_code
from experiments.schedule.interruption import Interruption
from input_pipeline.core import command
from input_pipeline.core.errors import InputError

NAME = "experiments.torch_loso"
# Settings that the PyTorch loop takes at their defaults only, and those of which it knows some.
_DRAWS = ("augment", "sampling", "pretrain")
_NOT_HERE = (*OWN_KERNELS, "ema", "average_weights", *_DRAWS)
_KNOWN = {"loss": ("cross_entropy", "focal", "mse"), "optimizer": ("adam", "adamw", "adan")}


def main() -> int:
    """Train the folds asked for and report; 3 where folds failed, else 0."""
    given = command.values()
    torch_extra.state_files()
    if given.precision == "bfloat16":
        raise ConfigError("--precision=bfloat16 is not for PyTorch here; give float32 or tf32.")
    run = read_run(given, "pytorch")
    _refuse_what_is_not_here(run.train_config)
    kept = ("input_norm", "fold_std", "test_mirror")
    changed = [n for n in kept if getattr(run.train_config, n) != getattr(TrainConfig, n)]
    if given.save_weights and changed:
        raise ConfigError(
            f"--save_weights and --{changed[0]} exclude each other here: a state dict cannot "
            "say how the maps were prepared for it; use experiments.loso, whose files do."
        )
    if given.tensorboard:
        event_files.require()
    workdir = run_flags.workdir(given, run.spec)
    with claimed(workdir, run.spec.to_json(), run.facts()):
        return _train_and_report(run, workdir, given)


def _refuse_what_is_not_here(training: TrainConfig) -> None:
    """Raise ConfigError on the first setting that the loop does not know."""
    usual = TrainConfig()
    for name in (*_KNOWN, *_NOT_HERE):
        value, known = getattr(training, name), _KNOWN.get(name, (getattr(usual, name),))
        if value in known:
            continue
        shown, *others = (
            header.as_text(one) if isinstance(one, tuple) else one for one in (value, *known)
        )
        raise ConfigError(
            f"--{name}={shown} is not for PyTorch here, which trains with "
            f"{', '.join(map(str, others))}; give --{name}={others[0]}, or use experiments.loso."
        )


def _train_and_report(run: Run, workdir: pathlib.Path, given: Values) -> int:
    import torch

    from experiments.files import chunks
    from experiments.run.chunk import Plan
    from experiments.schedule import executor, plan, planning
    from experiments.schedule.torch_trainer import TorchTrainer
    from experiments.scores import reporting

    shapes = run.epoch_shapes()
    jobs = planning.jobs_of(run)
    # A fold is a chunk of its own: each one's results are kept, so that a run can go on.
    planned = Plan(plan.make_plan(jobs, shapes, dict.fromkeys(shapes.values(), 1), 1))
    stored = chunks.load_all(workdir, planned.chunks)
    trainer = TorchTrainer(run, workdir)
    if len(stored) < len(planned.chunks):
        refuse_other_code(workdir)
        how = f"in PyTorch on {trainer.device}, one fold after another"
        precision = run.train_config.precision
        header.print_header(run, workdir, network=how, precision=precision, devices=[])
        more = {"devices": [str(trainer.device)], "torch": torch.__version__}
        header.store_surroundings(run, given, workdir, [], more)
    waiting = len(stored) < len(planned.chunks)
    watched = given.tensorboard and (waiting or not event_files.are_there(workdir))
    with Interruption(NAME) as interruption:
        trains = executor.LocalExecutor(trainer.train, interruption, epochs=run.train_config.epochs)
        parts = (trains, planned, stored, workdir, run.clips, interruption)
        executor.train_all(*parts, tensorboard=watched)
    status = reporting.report([workdir], workdir)
    if watched:
        event_files.add_pictures(workdir, run.spec.epochs)
    return status


def start() -> None:
    """Define the flags and run the command; own extensions call this after registering theirs."""
    run_flags.define_training_flags()
    command.run(
        main,
        name=NAME,
        purpose="Train and evaluate a network's PyTorch twin leaving one subject out at a time, "
        "one fold after another, with the flags and files of experiments.loso.",
        mistakes=(InputError, ConfigError),
    )


if __name__ == "__main__":
    start()
