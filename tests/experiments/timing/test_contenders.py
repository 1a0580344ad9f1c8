"""What the benchmark times of networks of frames: the same losses in PyTorch and in this engine."""

import numpy as np

from ahmsa_jax.config import TrainConfig
from ahmsa_jax.networks.registry import NETWORKS
from experiments.baselines import twins
from experiments.baselines.torch_step import TorchFold
from experiments.timing import contenders, floors, timed_networks
from experiments.timing.contenders import EngineContender, TimedProblem, TorchContender

EPOCHS = 2


def problem(model):
    timed = timed_networks.TIMED[model]
    config = NETWORKS[model].config(**timed.still, **timed.quick)
    training = TrainConfig(batch_size=4, precision="float32", learning_rate=1e-3)
    return TimedProblem(config, training, folds=1, steps=contenders.STEPS_PER_EPOCH)


def test_all_programs_of_a_network_of_frames_compute_the_same_losses():
    """From the same weights and batches; (b) without its compiler."""
    made = problem("mfdan")
    engine = EngineContender(made, 1, "float32")
    losses = engine.first_losses(EPOCHS)
    plain = TorchContender(made, "eager", "float32", engine.initial())
    np.testing.assert_allclose(plain.first_losses(EPOCHS), losses, atol=1e-4)
    expert = fold(made, "expert")
    expert.start(engine.initial())
    index = [
        expert.as_index(index) for index in made.batches(made.job(0), contenders.STEPS_PER_EPOCH)
    ]
    found = np.mean(expert.run(index))
    assert abs(found - losses[0]) <= 1e-4
    # The control: training moves the loss by far more.
    assert abs(losses[0] - losses[1]) > 1e-3


def fold(made, form):
    config, training = made.model_config, made.train_config
    return TorchFold(form, config, training, made.inputs, made.label_N, compiled=False)


def test_pictures_stay_as_they_are_stored():
    """As bytes and halves on the device; each step casts its own."""
    made = problem("mfdan")
    kinds = {name: array.dtype for name, array in made.inputs.items()}
    assert kinds == {"flow_px": np.float16, "frames": np.uint8}
    assert np.abs(made.inputs["flow_px"]).max() < 1


def test_maps_are_those_of_earlier_measurements():
    """The first numbers of the generator, so that losses stay comparable."""
    made = TimedProblem(NETWORKS["small"].config(), TrainConfig(batch_size=4), 1, 2)
    rng = np.random.default_rng(0)
    flow = rng.uniform(0, 255, (16, 28, 28, 3)).astype(np.float32)
    np.testing.assert_array_equal(made.inputs["flow"], flow)
    np.testing.assert_array_equal(made.label_N, rng.integers(0, 3, 16))


def test_every_network_with_a_twin_can_be_timed():
    assert timed_networks.TIMED.keys() == NETWORKS.keys()
    for name, timed in timed_networks.TIMED.items():
        for settings in (timed.still, timed.quick, timed.compared or {}):
            NETWORKS[name].config(**settings).validate()
        assert NETWORKS[name].config in twins.TWINS


def test_what_reads_pictures_needs_no_gradient_of_them():
    config = NETWORKS["hsta"].config(size="tiny", depths=(0, 0), csta="off")
    # 81 patches of 12x12 and 3 x 49 of 16x16, each of two frames; widths 24 and 48; head 72 to 3.
    special, video = 81 * 2 * 144 * 3 * 24, 147 * 2 * 256 * 3 * 48
    assert floors.step_operations(config, 5) == 5 * (4 * (special + video) + 6 * 72 * 3)
