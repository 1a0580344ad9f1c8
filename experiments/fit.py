"""Trains a model on all clips of a data set, for clips from outside it.

python -m experiments.fit --dataset=megc2019 --num_seeds=3 --output=models/megc2019
"""

import functools
import pathlib
from typing import TYPE_CHECKING

from absl import flags

from ahmsa_jax.config import ConfigError, TrainConfig
from experiments.run import flags as run_flags
from experiments.run import inner_selection, jax_settings, seed_flags
from experiments.run.flags import Values
from experiments.run.request import Run, read_clips
from experiments.run.spec import Execution
from experiments.schedule.interruption import Interruption
from input_pipeline.core import command
from input_pipeline.core.errors import InputError

if TYPE_CHECKING:
    from experiments.fitting.estimate import Estimate

NAME = "experiments.fit"

# JAX and matplotlib are imported where they are used: help and mistakes answer at once.


def main() -> int:
    """Train on all clips and write the model's folder."""
    given = command.values()
    (output,) = command.required(output="DIR")
    with Interruption(NAME) as interruption:
        seed_flags.seeds(given)
        clips = read_clips(given)
        # Before others load it: it refuses what a shell's variables should not be.
        jax_settings.load()
        from experiments.fitting import all_clips, fitted, model_folder
        from experiments.schedule import cpu_devices

        run = all_clips.run_of(given, clips)
        # Before the hours of training.
        estimate = _estimate(given, run)
        execution = Execution(
            workdir=pathlib.Path(output).expanduser(),
            folds_at_once=given.folds_at_once,
            checkpoint_minutes=given.checkpoint_minutes,
            compile_cache=given.compile_cache,
        )
        devices = functools.partial(cpu_devices.of_run, run, execution)
        jax_settings.local_devices(given.compile_cache, cpu_devices=devices)
        print(
            f"data: {clips.dataset}/{clips.layout}, {len(clips)} clips of "
            f"{len(set(clips.subject_key_N))} subjects, all to train on",
            flush=True,
        )
        for note in run.notes():
            print(f"note: {note}")
        model = fitted.fit(run, execution, estimate, interruption)
    print(f"model: {model.folder}, {len(model.seeds)} seed(s), temperature {model.temperature:.3f}")
    if estimate is None:
        print("not estimated: how good it is on other people is not known; see --estimate")
    else:
        scores = estimate.scores
        pretend = "PRETEND data: " if clips.pretend else ""
        print(
            f"{pretend}estimate on held-out subjects: UF1 {scores['uf1']:.4f}, UAR "
            f"{scores['uar']:.4f}; calibration error {estimate.before.error:.3f}, cross-fitted "
            f"{estimate.cross_fitted.error:.3f}"
        )
    print(f"card: {model.folder / model_folder.CARD_FILE}")
    return 0


def _estimate(given: Values, run: Run) -> "Estimate | None":
    if given.estimate is None:
        return None
    if not given.estimate:
        raise ConfigError("--estimate is empty; name the folder of a run, or leave it out.")
    from experiments.fitting import estimate

    return estimate.read(pathlib.Path(given.estimate).expanduser(), run)


def start() -> None:
    """Define the flags and run the command; own extensions call this after registering theirs."""
    run_flags.define_data_flags()
    run_flags.define_model_flags()
    run_flags.define_shuffle_flag()
    seed_flags.define_flags()
    run_flags.define_settings(TrainConfig)
    inner_selection.define_flags("logloss")
    run_flags.define_compile_cache_flag()
    flags.DEFINE_string("output", None, "Folder of the model, new or empty.")
    flags.DEFINE_string(
        "estimate",
        None,
        "Workdir of a finished leave-one-subject-out run with the same settings and clips: the "
        "model's card says its scores, and probabilities are calibrated on it.",
    )
    run_flags.define_chunk_flags("Seeds", "the training")
    command.run(
        main,
        name=NAME,
        purpose="Train a model on all clips of a data set, all seeds at once, for clips from "
        "outside it.",
        mistakes=(InputError, ConfigError),
    )


if __name__ == "__main__":
    start()
