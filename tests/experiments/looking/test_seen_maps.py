"""Where real modules look: against NumPy, finite differences and a direct forward pass."""

import dataclasses

import jax
import numpy as np
import pytest

from ahmsa_jax.config import ConfigError, TrainConfig
from ahmsa_jax.networks.ahmsa import ModelConfig
from ahmsa_jax.networks.hsta import HSTAConfig
from ahmsa_jax.networks.htnet import HTNetConfig
from ahmsa_jax.networks.small import SmallConfig
from ahmsa_jax.networks.ststnet import STSTNetConfig
from ahmsa_jax.training import step
from experiments.looking import attention, folding, seen_maps
from experiments.looking.seen_maps import Weights, maps_of
from experiments.looking.untrained import untrained
from experiments.run.prepared import Preparation
from experiments.schedule.prediction import variables_of
from input_pipeline.maps import layouts, synthetic

AHMSA = ModelConfig(base_dim=8, heads=2, blocks=(1, 1, 0))
NETWORKS = (AHMSA, HTNetConfig(base_dim=6, blocks=(1, 0, 0)), STSTNetConfig(), SmallConfig())


@pytest.fixture(scope="module")
def clips():
    return synthetic.make("five", "small").rows(np.arange(3))


def weights_of(config, seed=0, preparation=Preparation()):  # noqa: B008
    return untrained(config, seed, "synthetic-a/a01", preparation)


def applied(config, weights, flow_NxHxWxC):
    model = step.make_model(config, TrainConfig())
    with jax.default_matmul_precision("highest"):
        return jax.jit(model.apply)(variables_of(weights.params), flow_NxHxWxC)


@pytest.mark.parametrize("config", NETWORKS, ids=lambda config: type(config).__name__)
def test_maps_of_every_network_are_on_the_face(config, clips):
    seen = maps_of(config, [weights_of(config, seed) for seed in (0, 1)], clips)
    expected = np.mean(
        [
            jax.nn.softmax(applied(config, weights_of(config, seed), clips.flow_NxHxWxC)[0])
            for seed in (0, 1)
        ],
        axis=0,
    )
    np.testing.assert_allclose(seen.probability_NxK, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(seen.class_N, expected.argmax(axis=-1))
    for map_NxSxS in (seen.occlusion_NxSxS, seen.gradient_NxSxS):
        assert map_NxSxS.shape == (3, 28, 28)
        for map_SxS, landmarks_5x2 in zip(map_NxSxS, clips.extras["landmarks"], strict=True):
            blank = folding.fold_back(np.zeros((28, 28)), "five", landmarks_5x2, 28)
            np.testing.assert_array_equal(np.isnan(map_SxS), np.isnan(blank))
    assert np.nanmin(seen.gradient_NxSxS) >= 0
    assert bool(seen.attention_of) == bool(seen.channels_of) == (config is AHMSA)


def test_the_gradient_is_that_of_the_log_odds(clips):
    weights, class_N = weights_of(AHMSA), np.array([2, 0, 1])
    whole = dataclasses.replace(clips, layout="whole")
    seen = maps_of(AHMSA, [weights], whole, class_N)
    for row, column in ((3, 4), (20, 11)):
        total_N = np.zeros(3)
        for channel in range(3):
            odds = []
            for change in (1.0, -1.0):
                flow_NxHxWxC = clips.flow_NxHxWxC.copy()
                flow_NxHxWxC[:, row, column, channel] += change
                logits_NxK = np.asarray(applied(AHMSA, weights, flow_NxHxWxC)[0], np.float64)
                p_N = (np.exp(logits_NxK) / np.exp(logits_NxK).sum(-1, keepdims=True))[
                    np.arange(3), class_N
                ]
                odds.append(np.log(p_N / (1 - p_N)))
            total_N += np.square((odds[0] - odds[1]) / 2)
        # Central differences over two grey values, in float32: a few parts in a hundred.
        np.testing.assert_allclose(seen.gradient_NxSxS[:, row, column], total_N, rtol=0.05)


def test_attention_is_that_of_queries_and_keys(clips):
    """The first level's weights, computed by NumPy from the parameters alone."""
    weights = weights_of(AHMSA)
    seen = maps_of(AHMSA, [weights], clips)
    p = {name: np.asarray(value, np.float64) for name, value in weights.params.items()}
    patches = clips.flow_NxHxWxC.astype(np.float64).reshape(3, 4, 7, 4, 7, 3)
    x_BxTxD = patches.transpose(0, 1, 3, 2, 4, 5).reshape(3, 16, 147)
    x_BxTxD = x_BxTxD @ p["patch_embedding/kernel"] + p["patch_embedding/bias"]
    block = "level_0_block_0/"

    def normal(x, name):
        unit = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return unit * p[f"{block}{name}/scale"] + p[f"{block}{name}/bias"]

    y_BxTxD = normal(x_BxTxD, "norm_channel")
    hidden, output = (f"{block}channel_attention/{name}/kernel" for name in ("squeeze", "expand"))

    def shared(z):
        return np.maximum(z @ p[hidden], 0) @ p[output]

    gate_BxD = 1 / (1 + np.exp(-shared(y_BxTxD.mean(1)) - shared(y_BxTxD.max(1))))
    x_BxTxD = x_BxTxD + y_BxTxD * gate_BxD[:, None]
    z_BxTxD = normal(x_BxTxD, "norm_spatial")
    query, key = (
        (z_BxTxD @ p[f"{block}spatial_attention/{name}/kernel"]).reshape(3, 16, 2, 4)
        for name in ("query", "key")
    )
    logits = np.einsum("bqhk,bphk->bhqp", query, key) / 2
    weight = np.exp(logits - logits.max(-1, keepdims=True))
    weight /= weight.sum(-1, keepdims=True)
    received = weight.mean(axis=2).reshape(3, 2, 4, 4)
    np.testing.assert_allclose(seen.attention_of["level_0/block_0"][:, 0], received, rtol=1e-4)
    np.testing.assert_allclose(seen.channels_of["level_0/block_0"][:, 0], gate_BxD, rtol=1e-4)
    for weight_NxRxHxGxG in seen.attention_of.values():
        np.testing.assert_allclose(weight_NxRxHxGxG.sum(axis=(-1, -2)), 1, rtol=1e-5)


def test_each_query_s_weights_sum_to_one(clips):
    _, seen = applied(AHMSA, weights_of(AHMSA), clips.flow_NxHxWxC)
    of_queries = {name: value for name, value in seen.items() if name.endswith("/attention")}
    assert len(of_queries) == 2
    for weight_BxHxTxT in of_queries.values():
        np.testing.assert_allclose(np.sum(weight_BxHxTxT, axis=-1), 1, rtol=1e-5)
    assert attention.received(seen).keys() == attention.channel_weights(seen).keys()


def test_mirrored_views_are_turned_back(clips):
    """A face whose right side is the mirrored left one is looked at alike on both sides."""
    landmarks_5x2 = np.array([(7, 9), (20, 9), (13.5, 16), (7, 22), (20, 22)], np.float32)
    flow_NxHxWxC = clips.flow_whole_NxHxWxC.copy()
    turned = flow_NxHxWxC[:, :, ::-1] * np.array([-1, 1, 1]) + np.array([255, 0, 0])
    flow_NxHxWxC[:, :, 14:] = turned[:, :, 14:]
    alike = dataclasses.replace(
        clips,
        layout="whole",
        flow_NxHxWxC=flow_NxHxWxC.astype(np.float32),
        extras={"landmarks": np.broadcast_to(landmarks_5x2, (3, 5, 2))},
    )
    seen = maps_of(AHMSA, [weights_of(AHMSA, preparation=Preparation(test_mirror=True))], alike)
    maps = [seen.occlusion_NxSxS, seen.gradient_NxSxS, seen.attention_of["level_0/block_0"]]
    for map_ in maps:
        np.testing.assert_allclose(map_, map_[..., ::-1], rtol=2e-3, atol=2e-3 * np.abs(map_).max())
    alone = maps_of(AHMSA, [weights_of(AHMSA)], alike)
    assert not np.allclose(alone.gradient_NxSxS, alone.gradient_NxSxS[..., ::-1], rtol=0.1)


def test_log_odds_of_a_sure_network_do_not_end():
    logits_QxK = np.array([[-300.0, 300.0, 10.0], [1.0, 1.0, 1.0]])
    found_Q = seen_maps.log_odds(np, logits_QxK, np.array([1, 0]))
    np.testing.assert_allclose(found_Q, [290, -np.log(2)])


def test_networks_of_frames_are_refused(clips):
    with pytest.raises(ConfigError, match="hsta sees frames"):
        maps_of(HSTAConfig(), [Weights({})], clips)


def test_larger_maps_lie_on_a_face_of_their_size():
    clips = synthetic.make("five_36", "small").rows(np.arange(1))
    config = dataclasses.replace(AHMSA, image_size=36, patch_size=9, blocks=(0, 0, 0))
    seen = maps_of(config, [weights_of(config)], clips)
    assert seen.occlusion_NxSxS.shape == (1, 36, 36)
    np.testing.assert_allclose(
        seen_maps.landmarks_of(clips)[0], clips.extras["landmarks"][0] * 36 / 28
    )
    assert layouts.windows("five", seen_maps.landmarks_of(clips)[0], 36)
