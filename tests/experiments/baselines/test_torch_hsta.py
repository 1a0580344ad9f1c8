"""HSTA computes what its PyTorch twin does, and state dicts have the published names.

Modules tried here without being imported: experiments.baselines.torch_frames.
"""

import dataclasses
import math

import numpy as np
import pytest
import torch
import twin_parity
from stored_pictures import pictures

from ahmsa_jax.networks.hsta import NETWORK, HSTAConfig
from experiments.baselines import state_files, torch_hsta, twins

TINY = HSTAConfig(size="tiny", image_size=112)
SMALL = dataclasses.replace(TINY, depths=(1, 1))


def inputs(config, count=2):
    flow = (twin_parity.gentle_flow_px(count, config.image_size),)
    return (pictures(count, config.image_size), *(flow if config.special == "flow" else ()))


@pytest.mark.parametrize(
    "settings",
    [
        {"depths": (1, 2)},
        {"depths": (1, 1), "csta": "off"},
        {"depths": (2, 2), "special": "flow"},
        {"depths": (1, 1), "usta": "described", "modules": 2},
        {"depths": (1, 1), "usta": "described", "special": "flow", "csta": "off"},
    ],
    ids=["published", "no_csta", "flow", "described", "described_flow"],
)
def test_logits_and_gradients_agree(monkeypatch, settings):
    twin_parity.registered(monkeypatch, NETWORK)
    config = dataclasses.replace(TINY, **settings)
    params = twin_parity.weights(NETWORK, config)
    found = twin_parity.distance(NETWORK, config, params, *inputs(config))
    twin_parity.assert_same(NETWORK, config, found)


def test_larger_stored_pictures_are_averaged_alike(monkeypatch):
    twin_parity.registered(monkeypatch, NETWORK)
    config = dataclasses.replace(SMALL, image_size=224, special="flow", csta="off")
    params = twin_parity.weights(NETWORK, config)
    frames = np.random.default_rng(0).integers(0, 256, (2, 8, 224, 224, 3), np.uint8)
    flow = twin_parity.gentle_flow_px(2, 224)
    found = twin_parity.distance(NETWORK, config, params, frames, flow)
    twin_parity.assert_same(NETWORK, config, found)


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        ({"num_classes": 7}, 81_887_623),
        ({}, 81_883_011),
        ({"num_classes": 7, "modules": 1, "depths": (1, 1)}, 14_527_879),
        ({"num_classes": 7, "modules": 8, "depths": (1, 1)}, 105_554_311),
    ],
)
def test_the_twin_has_the_published_number_of_parameters(settings, parameters):
    shapes = twins.expected_shapes(HSTAConfig(**settings))
    assert sum(map(math.prod, shapes.values())) == parameters


def test_the_names_are_published():
    shapes = twins.expected_shapes(HSTAConfig(num_classes=7))
    published = {
        "patch_embed.0.proj.weight": (384, 3, 2, 12, 12),
        "patch_embed.1.proj.weight": (768, 3, 2, 16, 16),
        "patch_embed.1.proj.bias": (768,),
        "cls_token.0": (1, 1, 384),
        "blocks.3.blocks.1.1.attn.qkv.weight": (2304, 768),
        "blocks.0.blocks.0.0.attn.q_bias": (384,),
        "blocks.0.blocks.0.0.attn.v_bias": (384,),
        "blocks.0.blocks.0.0.attn.proj.weight": (384, 384),
        "blocks.0.blocks.0.0.norm2.bias": (384,),
        "blocks.0.blocks.0.0.mlp.fc1.weight": (1536, 384),
        "blocks.0.projs.0.0.weight": (384,),
        "blocks.0.projs.0.2.weight": (768, 384),
        # It updates the special branch's token, at the video branch's width.
        "blocks.0.fusion.0.attn.wk.bias": (768,),
        "blocks.0.fusion.1.norm1.weight": (384,),
        "blocks.2.revert_projs.0.2.weight": (384, 768),
        "norm.1.weight": (768,),
        "head.weight": (7, 1152),
    }
    assert {name: shapes[name] for name in published} == published
    assert not any("places" in name for name in shapes)


@pytest.mark.parametrize("settings", [{}, {"usta": "described", "special": "flow"}])
def test_weights_convert_both_ways_exactly(monkeypatch, tmp_path, settings):
    twin_parity.registered(monkeypatch, NETWORK)
    config = dataclasses.replace(TINY, **settings)
    params = {"/".join(path): x for path, x in twin_parity.weights(NETWORK, config).items()}
    state_files.write(tmp_path / "weights.pt", config, params)
    back = state_files.read(tmp_path / "weights.pt", config)
    assert list(back) == sorted(params)
    for name, value in params.items():
        np.testing.assert_array_equal(back[name], value, strict=True)
    fresh = twins.build(config).state_dict()
    again = twins.to_torch(config, twins.from_torch(config, fresh))
    assert again.keys() == fresh.keys()
    assert all(torch.equal(again[name], value) for name, value in fresh.items())


def test_a_patch_is_read_by_frame_row_column_and_channel(monkeypatch):
    twin_parity.registered(monkeypatch, NETWORK)
    params = {"/".join(path): x for path, x in twin_parity.weights(NETWORK, SMALL).items()}
    kernel = params["patch_embed_0/proj/kernel"]
    weight = twins.to_torch(SMALL, params)["patch_embed.0.proj.weight"].numpy()
    frame, row, column, channel = 1, 3, 7, 2
    number = ((frame * 12 + row) * 12 + column) * 3 + channel
    np.testing.assert_array_equal(weight[:, channel, frame, row, column], kernel[number])


def test_kernels_start_as_the_engines_do():
    torch.manual_seed(0)
    weight = twins.build(SMALL).blocks[0].blocks[1][0].mlp.fc1.weight
    assert weight.std().item() == pytest.approx(SMALL.shape.deviation, rel=0.05)


def test_noise_is_drawn_in_training_alone():
    torch.manual_seed(0)
    network = twins.build(SMALL).train()
    frames = torch.from_numpy(pictures(2, 112))
    with torch.no_grad():
        assert not torch.equal(network(frames), network(frames))
        still = twins.build(dataclasses.replace(SMALL, dropout=0.0, drop_path=0.0))
        still.load_state_dict(network.state_dict())
        assert torch.equal(still.train()(frames), network.eval()(frames))


def test_drop_path_skips_whole_clips_and_keeps_the_mean():
    torch.manual_seed(0)
    path = torch_hsta.DropPath(0.2).train()
    added_B = path(torch.ones(20_000, 2, 3))
    assert torch.equal(added_B, added_B[:, :1, :1].expand_as(added_B))
    assert set(added_B.unique().tolist()) == {0.0, 1.25}
    assert added_B.mean().item() == pytest.approx(1, abs=0.015)


def test_the_flow_has_to_be_given_where_it_is_seen():
    network = twins.build(dataclasses.replace(SMALL, special="flow"))
    with pytest.raises(TypeError, match="none was given"):
        network(torch.from_numpy(pictures(1, 112)))
