"""Grad-CAM and attention of networks of frames, against computations of their own.

Modules tried here: experiments.looking.grad_cam, experiments.looking.any_network.
"""

import dataclasses
import functools

import jax
import made_up_faces
import numpy as np
import pytest

from ahmsa_jax.config import ConfigError
from ahmsa_jax.networks.hsta import HSTAConfig
from ahmsa_jax.networks.mfdan import MFDANConfig
from ahmsa_jax.networks.registry import NETWORKS, network_of
from experiments.looking import any_network, grad_cam
from experiments.looking.looks import Looks
from experiments.looking.pictures import by_class, of_clip
from experiments.looking.tables import of_regions
from experiments.looking.untrained import untrained
from experiments.run.prepared import Preparation
from experiments.schedule.prediction import variables_of

CONFIGS = {
    "mfdan": MFDANConfig(size="tiny"),
    "hsta": HSTAConfig(size="tiny", depths=(1, 1), modules=2),
}


@pytest.fixture(scope="module")
def clips():
    return made_up_faces.clips({"s1": 3, "s2": 2})


@pytest.fixture(scope="module", params=CONFIGS)
def looked(request, clips):
    """A network that starts anew under two seeds, and what both see."""
    config = CONFIGS[request.param]
    weights = [untrained(config, seed, "a", Preparation()) for seed in (0, 1)]
    return request.param, config, weights, any_network.maps_of(config, weights, clips)


@functools.cache
def program(config):
    # Compiled as a whole: operation by operation it takes ten times as long.
    return jax.jit(network_of(config).build(config, "float32").apply)


def applied(config, weights, clips):
    inputs = [clips.faces[name] for name in network_of(config).inputs_of(config)]
    with jax.default_matmul_precision("highest"):
        return program(config)(variables_of(weights.params), *inputs)


def test_nothing_added_changes_nothing(looked, clips):
    _, config, weights, seen = looked
    each = [jax.nn.softmax(applied(config, one, clips)[0]) for one in weights]
    np.testing.assert_allclose(seen.probability_NxK, np.mean(each, axis=0), atol=1e-5)
    np.testing.assert_array_equal(seen.class_N, seen.probability_NxK.argmax(axis=-1))
    for map_NxSxS in seen.map_of.values():
        assert map_NxSxS.shape == (5, 28, 28)
        assert np.isfinite(map_NxSxS).all()
        assert map_NxSxS.min() >= 0
        assert map_NxSxS.max() <= 1


def test_grad_cam_behind_a_mean_is_the_head_s_weight(clips):
    """Of MFDAN's last norm the head takes the mean: each channel weighs as the head weighs it."""
    config = CONFIGS["mfdan"]
    weights = [untrained(config, 0, "a", Preparation())]
    class_N = np.array([0, 1, 2, 1, 0])
    seen = any_network.maps_of(config, weights, clips, class_N)
    inputs = [clips.faces[name] for name in network_of(config).inputs_of(config)]
    variables = variables_of(weights[0].params)
    applied = functools.partial(
        network_of(config).build(config, "float32").apply,
        capture_intermediates=lambda module, _: module.name == "norm",
    )
    _, kept = jax.jit(applied)(variables, *inputs)
    feature_NxGxGxD = np.asarray(kept["intermediates"]["norm"]["__call__"][0])
    head_DxK = np.asarray(variables["params"]["head"]["kernel"])[: feature_NxGxGxD.shape[-1]]
    for number, label in enumerate(class_N):
        expected_GxG = np.maximum(feature_NxGxGxD[number] @ head_DxK[:, label], 0)
        if expected_GxG.max() > 0:
            expected_GxG = expected_GxG / expected_GxG.max()
        on_face_SxS = grad_cam.on_face(expected_GxG[None])[0]
        np.testing.assert_allclose(seen.map_of["grad_cam"][number], on_face_SxS, atol=1e-4)


def test_cam_by_hand():
    token_BxTxD = np.array([[[1.0, 0], [0, 1], [2, 2], [-1, 0]]])
    slope_BxTxD = np.array([[[4.0, 0], [0, 0], [0, -4], [0, 0]]])
    # Weights 1 and -1: 1, -1, 0, -1.
    found = np.asarray(grad_cam.cam(token_BxTxD, slope_BxTxD))
    np.testing.assert_allclose(found, [[[[1, 0], [0, 0]]]])
    nothing = np.asarray(grad_cam.cam(token_BxTxD, 0 * slope_BxTxD))
    np.testing.assert_array_equal(nothing, np.zeros((1, 1, 2, 2)))


def test_grids():
    assert grad_cam.grid_of(49) == (1, 7)
    assert grad_cam.grid_of(147) == (3, 7)
    with pytest.raises(ValueError, match="50 tokens"):
        grad_cam.grid_of(50)
    even_NxSxS = grad_cam.on_face(np.full((2, 7, 7), 0.25))
    np.testing.assert_allclose(even_NxSxS, 0.25)
    one_1x7x7 = np.zeros((1, 7, 7))
    one_1x7x7[0, 2, 5] = 1
    spread_SxS = grad_cam.on_face(one_1x7x7)[0]
    # Patches are 4 pixels wide: the middle of this one is between pixels 9, 10 and 21, 22.
    np.testing.assert_allclose(spread_SxS[9:11, 21:23], (7 / 8) ** 2)
    np.testing.assert_allclose(spread_SxS.sum(), 16)
    fine_NxSxS = grad_cam.on_face(np.arange(56 * 56.0).reshape(1, 56, 56))
    np.testing.assert_allclose(fine_NxSxS[0, 0, 0], (0 + 1 + 56 + 57) / 4)


def test_attention_is_shares_of_the_tokens(looked):
    name, _, _, seen = looked
    for block, grid_NxRxHxGxG in seen.attention_of.items():
        assert grid_NxRxHxGxG.shape[:2] == (5, 2), block
        total = grid_NxRxHxGxG.sum(axis=(-2, -1))
        if name == "mfdan":
            # All that is given is received: 1 on average over each window's tokens.
            np.testing.assert_allclose(total, 1, atol=1e-4)
            assert grid_NxRxHxGxG.shape[2] == 2
        else:
            assert (total < 1).all()
            assert (total > 0.5).all()
    levels = {block.split("/")[0] for block in seen.attention_of}
    assert levels == {"level_0", "level_1"}


def test_pictures_and_tables_take_them(looked, clips):
    _, _, _, seen = looked
    looks = Looks(clips, seen, np.zeros((5, 28, 28), bool), seen)
    table = of_regions(looks)
    assert {row[1] for row in table.rows} <= set(seen.kinds)
    for figure in (by_class(looks), of_clip(looks, 1)):
        assert len(figure.subfigs[0].axes) >= 3


def test_a_network_of_frames_that_nobody_knows_is_refused(monkeypatch):
    class Other(MFDANConfig):
        pass

    mine = dataclasses.replace(NETWORKS["mfdan"], name="mine", config=Other)
    for module in (grad_cam, any_network):
        monkeypatch.setattr(module, "network_of", lambda config: mine)
    with pytest.raises(ConfigError, match="known are hsta and mfdan"):
        any_network.check_network(Other())
