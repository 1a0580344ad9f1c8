"""The PyTorch loop under every ingredient that it knows, against this engine from the same start.

Modules tried here without being imported: experiments.baselines.torch_small.
"""

import dataclasses

import jax
import made_up_faces
import numpy as np
import pytest
from command_runner import assert_mistake, run_command
from small_problem import SUBJECTS

from ahmsa_jax.config import TrainConfig, plain
from ahmsa_jax.networks.hsta import HSTAConfig
from ahmsa_jax.networks.registry import network_of
from ahmsa_jax.networks.small import SmallConfig
from ahmsa_jax.training.engine import Engine
from ahmsa_jax.training.protocols import Job, epoch_shapes, loso_folds
from ahmsa_jax.training.step import PREDICTED_AT_ONCE
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


# Without noise.
HSTA = HSTAConfig(size="tiny", depths=(1, 1), dropout=0.0, drop_path=0.0)
OF_FRAMES = {
    "epochs": 2,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "optimizer": "adamw",
    "weight_decay": 1.0,
    "layer_decay": 0.5,
    "schedule": "cosine",
    "loss": "focal",
    "drop_last": True,
}


@pytest.mark.parametrize(
    "settings",
    [{}, {"schedule": "cosine", "warmup_epochs": 1}, EVERYTHING],
    ids=["plain", "cosine", "everything"],
)
def test_the_loop_gives_what_the_engine_gives(settings, tmp_path, monkeypatch):
    """Losses of every epoch and probabilities; either differs from a plain run's by far more."""
    assert_same(clips(), NETWORK, dataclasses.replace(PLAIN, **settings), tmp_path, monkeypatch)


def test_a_network_of_frames_trains_alike(tmp_path, monkeypatch):
    """The first subject is predicted in two slices."""
    made = made_up_faces.clips({"006": PREDICTED_AT_ONCE + 1, "007": 4, "011": 3})
    assert_same(made, HSTA, dataclasses.replace(PLAIN, **OF_FRAMES), tmp_path, monkeypatch)


def assert_same(own, network, training, folder, monkeypatch):
    """Both train the first fold from the same start to the same losses and probabilities."""
    folds = loso_folds(own.subject_key_N)
    job = Job(0, folds[0])
    shape = epoch_shapes(folds, training.batch_size, drop_last=training.drop_last)[job.fold.key]
    places = len(job.fold.test_index)
    devices = jax.local_devices()[:1]
    engine = Engine(network, training, shape, size=1, test_places=places, devices=devices)
    data = engine.place_data(inputs_of(own, network, training), own.label_N)
    chunk = engine.start([job])
    (start,) = engine.parameters(chunk, [job])
    losses = engine.run_epochs(chunk, data, 0, training.epochs)[0]
    (probability,) = engine.predict(chunk, data, [job])

    def build(config, form="eager"):
        built = original(config, form)
        if next(built.parameters()).device.type != "meta":
            built.load_state_dict(twins.to_torch(config, start))
        return built

    original = twins.build
    spec = RunSpec(
        kind="pytorch",
        dataset="lab",
        layout=own.layout,
        data_sha256="",
        model=network_of(network).name,
        network=plain(network),
        training=plain(training),
        seeds=(0,),
    )
    keys = [fold.key for fold in folds]
    trainer = TorchTrainer(Run(spec, own, network, training, [], folds, keys, keys), folder)
    monkeypatch.setattr(twins, "build", build)
    found = trainer.train(Chunk(0, shape, 1, (job,)), Report())
    np.testing.assert_allclose(found.loss_SxE[0], losses, rtol=2e-4)
    np.testing.assert_allclose(found.probability[0], probability, atol=2e-4)
    # The control: the steps have changed what is predicted.
    chunk = engine.start([job])
    (before,) = engine.predict(chunk, data, [job])
    assert np.abs(before - probability).max() > 2e-3


def inputs_of(own, network, training):
    made = prepared.inputs(own, training)
    return {name: made[name] for name in network_of(network).inputs_of(network)}


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--augment=mirror", "--augment=mirror is not for PyTorch here, which trains with none"),
        (
            "--loss=logit_adjusted",
            "which trains with cross_entropy, focal, mse; give --loss=cross_entropy",
        ),
        ("--sampling=balanced", "give --sampling=shuffle, or use experiments.loso"),
        ("--ema=0.9", "--ema=0.9 is not for PyTorch here"),
    ],
)
def test_what_the_loop_does_not_know_is_refused(flag, says, tmp_path):
    finished = run_command("experiments.torch_loso", flag, f"--workdir={tmp_path / 'run'}")
    assert_mistake(finished, says)
