"""A made-up data set of five subjects, and runs on it that choose among three candidates."""

import numpy as np

from ahmsa_jax.config import TrainConfig, plain
from ahmsa_jax.networks.small import SmallConfig
from ahmsa_jax.training.protocols import loso_folds
from experiments.run.request import Run
from experiments.run.spec import Execution, RunSpec
from experiments.schedule import nested
from experiments.schedule.interruption import Interruption
from input_pipeline.core.clips import Clips

SUBJECTS = [f"s{number}" for number in range(5) for _ in range(6)]
NETWORK = SmallConfig(base_dim=8)
TRAINING = TrainConfig(
    epochs=4, batch_size=8, learning_rate=0.02, precision="float32", class_weights=True
)
PARTS = 2
LINES = ("--epochs=4", "--epochs=3 --schedule=cosine", "--learning_rate=9")


def clips_of(change=lambda flow, label: None):
    rng = np.random.default_rng(0)
    label = np.arange(len(SUBJECTS), dtype=np.int32) % 3
    flow = rng.normal(100, 20, (len(SUBJECTS), 28, 28, 3)).astype(np.float32)
    # Something to learn.
    flow[np.arange(len(label)), :, :, label] += 40
    change(flow, label)
    return Clips(
        dataset="lab",
        layout="whole",
        flow_NxHxWxC=flow,
        flow_whole_NxHxWxC=flow,
        label_N=label,
        database_N=np.array(["lab"] * len(label)),
        subject_N=np.array(SUBJECTS),
        clip_N=np.array([f"c{place:02d}" for place in range(len(label))]),
    )


def run_of(clips, lines=LINES, subjects=("lab/s0", "lab/s3"), select_by="logloss"):
    folds = loso_folds(clips.subject_key_N)
    spec = RunSpec(
        kind="jax",
        dataset="lab",
        layout="whole",
        data_sha256=clips.content_hash(),
        model="small",
        network=plain(NETWORK),
        training=plain(TRAINING),
        seeds=(0,),
        subjects=tuple(subjects),
        select="inner",
        select_by=select_by,
        inner_folds=PARTS,
        candidates=tuple(lines),
    )
    here = list(subjects)
    return Run(spec, clips, NETWORK, TRAINING, [], folds, here, here)


def trained(workdir, run):
    with Interruption("tried") as interruption:
        return nested.train(run, Execution(workdir, checkpoint_minutes=0), interruption)
