"""Pretrained starts of a run, one a seed, kept in its folder so that a resumed run has the same."""

import dataclasses
import pathlib
from collections.abc import Mapping

import jax
import numpy as np

from ahmsa_jax.config import plain
from ahmsa_jax.training import pretraining
from experiments.files import sealed
from experiments.run.request import Run
from experiments.run.spec import config_hash
from experiments.schedule.interruption import Interruption
from experiments.schedule.progress import waiting

FOLDER = "pretrained"

Start = Mapping[str, np.ndarray]


def starts(run: Run, workdir: pathlib.Path, interruption: Interruption) -> dict[int, Start] | None:
    """The start of each seed, read or trained now; None where folds start from scratch."""
    if run.train_config.pretrain == "none":
        return None
    return {seed: _start(run, seed, workdir, interruption) for seed in run.spec.seeds}


def file_name(run: Run, seed: int) -> str:
    """Named after all that the start follows from: runs in one workdir may share it."""
    facts = {
        "network": plain(dataclasses.replace(run.network_config, num_classes=2)),
        "training": plain(pretraining.settings(run.train_config)),
        "clips": run.train_config.pretrain_clips,
    }
    return f"{config_hash(facts)}-seed-{seed}.npz"


def _start(run: Run, seed: int, workdir: pathlib.Path, interruption: Interruption) -> Start:
    path = workdir / FOLDER / file_name(run, seed)
    try:
        return sealed.read(path)
    except sealed.SealError:
        # Absent, or cut while it was written: the same seed trains the same start.
        pass
    config, training = run.network_config, run.train_config
    epochs = training.pretrain_epochs

    def tell(epoch: int, loss: float) -> None:
        print(f"pretraining, seed {seed}: epoch {epoch} of {epochs}, loss {loss:.4f}", flush=True)

    with waiting(f"pretraining, seed {seed}: {training.pretrain_clips:,} made-up clips"):
        found = interruption.run(
            lambda: pretraining.start(config, training, seed, tell, jax.local_devices())
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    sealed.write(path, found)
    return found
