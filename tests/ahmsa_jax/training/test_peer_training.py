"""HTNet and STSTNet through the engine: no leak, no influence of neighbours or padding."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_problem import TRAINING, data, engine, folds, inputs, trained

from ahmsa_jax.config import ConfigError
from ahmsa_jax.networks.htnet import HTNetConfig
from ahmsa_jax.networks.ststnet import STSTNetConfig
from ahmsa_jax.training import step
from ahmsa_jax.training.batch_parallel import BatchEngine
from ahmsa_jax.training.engine import Engine, Job

# Two levels compile in half the time of three.
HTNET = HTNetConfig(base_dim=12, blocks=(1, 1), patch_size=14)
STSTNET = STSTNetConfig()
MODELS = {"htnet": HTNET, "ststnet": STSTNET}
JOBS = [Job(0, fold) for fold in folds()]
CHUNK = 3
# Its true gradient is 0, being removed by the head's LayerNorm: Adam makes steps of rounding noise.
INVARIANT = "level_1_pos_emb"


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return MODELS[request.param]


@pytest.fixture(scope="module")
def together(model):
    return trained(JOBS[:CHUNK], 5, size=CHUNK, model=model)


def test_fold_does_not_depend_on_the_chunk(model, together):
    """As in test_engine.py, with the same tolerances and for the same reasons."""
    program = engine(1, model=model)
    start = program.parameters(program.start([JOBS[2]]), [JOBS[2]])[0]
    alone = trained([JOBS[2]], 5, size=1, model=model)
    np.testing.assert_allclose(together[1][2], alone[1][0], rtol=1e-4)
    for name, value in alone[0][0].items():
        moved = np.linalg.norm(value - start[name])
        gap = np.linalg.norm(value - together[0][2][name])
        assert gap <= 0.02 * moved or name == INVARIANT, f"{name}: {gap:.3g} of {moved:.3g}"
    # The control: another fold's way is another one.
    assert np.abs(together[1][1] / alone[1][0] - 1).max() > 1e-3


def test_held_out_clips_cannot_reach_their_fold(model, together):
    flow, label = data()
    own = JOBS[1].fold.test_index
    flow[own] = np.random.default_rng(1).uniform(-1e4, 1e4, flow[own].shape)
    label[own] = (label[own] + 1) % 3
    poisoned = trained(JOBS[:CHUNK], 5, size=CHUNK, flow=flow, label=label, model=model)
    for place, (before, after) in enumerate(zip(together[0], poisoned[0], strict=True)):
        is_same = all(np.array_equal(before[name], after[name]) for name in before)
        # The positive control: the same clips do train the other folds.
        assert is_same == (place == 1)


def test_padding_changes_neither_statistics_nor_noise():
    usual = engine(1, model=STSTNET)
    wider = dataclasses.replace(usual.shape, last_size=16)
    assert usual.shape.last_size < 16
    padded = Engine(
        STSTNET, TRAINING, wider, size=1, test_places=7, devices=jax.local_devices()[:1]
    )
    found = []
    for program in (usual, padded):
        chunk = program.start([JOBS[0]])
        losses = program.run_epochs(chunk, program.place_data(*inputs()), 0, 2)
        found.append((losses, program.parameters(chunk, [JOBS[0]])[0]))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
    for name in found[0][1]:
        if name.startswith("batch_stats/"):
            np.testing.assert_allclose(found[0][1][name], found[1][1][name], rtol=1e-5)
    # The control: they have left their initial values.
    assert np.abs(found[0][1]["batch_stats/bn1/mean"]).min() > 0


def test_running_statistics_are_torchs_averages_of_the_real_clips():
    flow, _ = data()
    model = step.make_model(STSTNET, TRAINING)
    variables = jax.jit(model.init)(jax.random.key(0), flow[:1])
    real = np.arange(24) < 9

    @jax.jit
    def one_step(flow, real_B):
        return model.apply(
            variables,
            flow,
            real_B=real_B,
            train=True,
            rngs={"dropout": jax.random.key(1)},
            mutable=["batch_stats"],
        )

    (_, _), changed = one_step(flow, jnp.asarray(real))
    kernel = np.asarray(variables["params"]["conv2"]["kernel"], np.float64)
    bias = np.asarray(variables["params"]["conv2"]["bias"], np.float64)
    padded = np.pad(flow[real][..., ::-1].astype(np.float64), ((0, 0), (2, 2), (2, 2), (0, 0)))
    convolved = sum(
        padded[:, row : row + 30, column : column + 30] @ kernel[row, column]
        for row in range(3)
        for column in range(3)
    )
    values = np.maximum(convolved + bias, 0).reshape(-1, 5)
    norm = changed["batch_stats"]["bn2"]
    np.testing.assert_allclose(norm["mean"], 0.1 * values.mean(axis=0), rtol=1e-5)
    expected = 0.9 + 0.1 * values.var(axis=0, ddof=1)
    np.testing.assert_allclose(norm["var"], expected, rtol=1e-5)


def test_dropout_is_of_the_training_and_of_the_key():
    flow, _ = data()
    model = step.make_model(STSTNET, TRAINING)
    variables = jax.jit(model.init)(jax.random.key(0), flow[:1])

    @jax.jit
    def logits(key):
        return model.apply(
            variables, flow, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
        )[0][0]

    first, again, other = (logits(jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-2
    # Half of the values are dropped, the others doubled: the mean over many keys stays.
    many = np.stack([logits(jax.random.key(seed)) for seed in range(200)])
    still = step.make_model(STSTNetConfig(dropout=0.0), TRAINING)
    without = still.apply(variables, flow, train=True, mutable=["batch_stats"])[0][0]
    gap = np.abs(many.mean(axis=0) - without) / (many.std(axis=0) / 200**0.5)
    # 72 logits, each within 4.5 standard errors.
    assert gap.max() < 4.5


def test_a_coupled_batch_is_not_spread_over_devices():
    (shape,) = {engine(1, model=STSTNET).shape}
    with pytest.raises(ConfigError, match="--parallel=batch cannot be"):
        BatchEngine(STSTNET, TRAINING, shape, test_places=7)
