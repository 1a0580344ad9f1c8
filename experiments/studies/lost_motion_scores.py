"""How the study of lost motion scores maps: a linear machine, and AHMSA-Net by the engine."""

import pathlib

import numpy as np

from ahmsa_jax.config import TrainConfig, plain
from ahmsa_jax.metrics import Scores, pooled_scores
from ahmsa_jax.networks.ahmsa import ModelConfig
from ahmsa_jax.training.protocols import split
from experiments.files import run_files
from experiments.recording.jitter import shown_off
from experiments.run.request import Run, from_data
from experiments.run.spec import Execution, RunSpec
from experiments.schedule import part_runs
from experiments.schedule.interruption import Interruption
from experiments.studies.lost_motion import Score
from input_pipeline.core.clips import Clips

# Declared before the first run; a batch is less than half of the training clips.
WIDTH, BATCH, LEARNING_RATE = 24, 32, 1e-3
# AHMSA-Net on maps as they are, and with each clip's channels centred, by the method's name.
INPUT_NORMS = {"ahmsa": "none", "ahmsa_centred": "center"}
# Patches of a 4x4 grid.
_GRID = 4


def of_svm_maps(clips: Clips, workdir: pathlib.Path) -> Scores:
    """Scores of the linear machine, which keeps nothing."""
    return shown_off("svm_maps", clips, clips)


def of_network(
    epochs: int, input_norm: str, execution: Execution, interruption: Interruption
) -> Score:
    """How AHMSA-Net of width 24 is scored: a run for each data set, seed 0."""

    def score(clips: Clips, workdir: pathlib.Path) -> Scores:
        run = run_of(clips, epochs, input_norm)
        finished = part_runs.trained(run, execution, workdir, interruption, execution.workdir)
        counts_KxK = np.zeros((len(clips.class_names),) * 2, np.int64)
        for chunk, result in finished:
            for job, probability_TxK in zip(chunk.jobs, result.probability, strict=True):
                counts_KxK += run_files.counts_of(job, clips, probability_TxK)
        return pooled_scores(counts_KxK)

    return score


def run_of(clips: Clips, epochs: int, input_norm: str = "none") -> Run:
    """AHMSA-Net's run over all subjects of the clips."""
    data = from_data(clips, "ahmsa")
    network = ModelConfig(
        image_size=data["image_size"],
        channels=data["channels"],
        num_classes=data["num_classes"],
        base_dim=WIDTH,
        patch_size=data["image_size"] // _GRID,
    )
    training = TrainConfig(
        epochs=epochs, batch_size=BATCH, learning_rate=LEARNING_RATE, input_norm=input_norm
    )
    network.validate()
    training.validate()
    folds = split("loso", clips, None)
    keys = [fold.key for fold in folds]
    spec = RunSpec(
        kind="jax",
        dataset=clips.dataset,
        layout=clips.layout,
        data_sha256=clips.content_hash(),
        model="ahmsa",
        network=plain(network),
        training=plain(training),
        seeds=(0,),
    )
    return Run(spec, clips, network, training, [], folds, keys, keys)
