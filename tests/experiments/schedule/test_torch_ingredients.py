"""The PyTorch loop under every ingredient that it knows, against this engine from the same start.

Modules tried here without being imported: experiments.baselines.torch_small.
"""

import dataclasses

import jax
import numpy as np
import pytest
from command_runner import assert_mistake, run_command
from small_problem import SUBJECTS

from ahmsa_jax.config import TrainConfig, plain
from ahmsa_jax.networks.small import SmallConfig
from ahmsa_jax.training.engine import Engine
from ahmsa_jax.training.protocols import Job, epoch_shapes, loso_folds
from experiments.baselines import twins
from experiments.run import prepared
from experiments.run.chunk import Chunk
from experiments.run.request import Run
from experiments.run.spec import RunSpec
from experiments.schedule.progress import Report
from experiments.schedule.torch_trainer import TorchTrainer
from input_pipeline.core.clips import Clips

# Dropout off and one order of the clips: the two libraries draw other numbers.
NETWORK = SmallConfig(base_dim=12, input_dropout=0.0, dropout=0.0)
PLAIN = TrainConfig(epochs=4, batch_size=7, learning_rate=2e-4, shuffle=False, precision="float32")
EVERYTHING = {
    "optimizer": "adamw",
    "weight_decay": 10.0,
    "schedule": "onecycle",
    "class_weights": True,
    "label_smoothing": 0.1,
    "input_norm": "robust",
    "fold_std": True,
    "test_mirror": True,
    "drop_last": True,
}


def clips():
    rng = np.random.default_rng(1)
    flow = rng.uniform(0, 255, (len(SUBJECTS), 28, 28, 3)).astype(np.float32)
    database, subject = np.array([key.split("/") for key in SUBJECTS]).T
    return Clips(
        dataset="lab",
        layout="whole",
        flow_NxHxWxC=flow,
        flow_whole_NxHxWxC=flow,
        label_N=np.where(np.arange(len(flow)) % 4 == 0, 1, np.arange(len(flow)) % 3).astype(int),
        database_N=database,
        subject_N=subject,
        clip_N=np.array([f"{place:02d}" for place in range(len(flow))]),
    )


@pytest.mark.parametrize(
    "settings",
    [{}, {"schedule": "cosine", "warmup_epochs": 1}, EVERYTHING],
    ids=["plain", "cosine", "everything"],
)
def test_the_loop_gives_what_the_engine_gives(settings, tmp_path, monkeypatch):
    """Losses of every epoch and probabilities; either differs from a plain run's by far more."""
    training = dataclasses.replace(PLAIN, **settings)
    own = clips()
    folds = loso_folds(own.subject_key_N)
    job = Job(0, folds[0])
    shape = epoch_shapes(folds, training.batch_size, drop_last=training.drop_last)[job.fold.key]
    engine = Engine(
        NETWORK, training, shape, size=1, test_places=7, devices=jax.local_devices()[:1]
    )
    data = engine.place_data(prepared.inputs(own, training), own.label_N)
    chunk = engine.start([job])
    (start,) = engine.parameters(chunk, [job])
    losses = engine.run_epochs(chunk, data, 0, training.epochs)[0]
    (probability,) = engine.predict(chunk, data, [job])

    def build(config, form="eager"):
        network = original(config, form)
        if next(network.parameters()).device.type != "meta":
            network.load_state_dict(twins.to_torch(config, start))
        return network

    original = twins.build
    spec = RunSpec(
        kind="pytorch",
        dataset="lab",
        layout="whole",
        data_sha256="",
        model="small",
        network=plain(NETWORK),
        training=plain(training),
        seeds=(0,),
    )
    keys = [fold.key for fold in folds]
    trainer = TorchTrainer(Run(spec, own, NETWORK, training, [], folds, keys, keys), tmp_path)
    monkeypatch.setattr(twins, "build", build)
    found = trainer.train(Chunk(0, shape, 1, (job,)), Report())
    np.testing.assert_allclose(found.loss_SxE[0], losses, rtol=2e-4)
    np.testing.assert_allclose(found.probability[0], probability, atol=2e-4)


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--augment=mirror", "--augment=mirror is not for PyTorch here, which trains with none"),
        ("--optimizer=adan", "--optimizer=adan is not for PyTorch here"),
        ("--ema=0.9", "--ema=0.9 is not for PyTorch here"),
    ],
)
def test_what_the_loop_does_not_know_is_refused(flag, says, tmp_path):
    finished = run_command("experiments.torch_loso", flag, f"--workdir={tmp_path / 'run'}")
    assert_mistake(finished, says)
