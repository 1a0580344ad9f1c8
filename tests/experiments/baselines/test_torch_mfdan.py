"""MFDAN computes what its PyTorch twin does; the twin's parts against PyTorch's and by hand."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own name for it)
import twin_parity
from stored_pictures import pictures

from ahmsa_jax.networks import mfdan
from ahmsa_jax.networks.mfdan import NETWORK, MFDANConfig
from experiments.baselines import state_files, torch_frames, torch_magnify, twins
from experiments.baselines.torch_mfdan import FlowEncoder, Merging
from experiments.baselines.torch_window import WindowAttention

TINY = MFDANConfig(size="tiny", image_size=56)
# Three mergings need 56x56 tokens.
NARROW = mfdan.Shape(pixels=224, width=8, heads=(1, 2), mergings=3, features=8, thinner=16)


def assert_parity(monkeypatch, config):
    twin_parity.registered(monkeypatch, NETWORK)
    params = twin_parity.weights(NETWORK, config)
    side = config.image_size
    shown = twin_parity.gentle_flow_px(2, side), pictures(2, side)
    found = twin_parity.distance(NETWORK, config, params, *shown)
    twin_parity.assert_same(NETWORK, config, found)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"share_embedding": True, "flow_encoder": "small", "magnify": "none"},
        {"flow_guidance": "off", "magnify": "none"},
    ],
    ids=["usual", "shared", "no_guidance"],
)
def test_logits_and_gradients_agree(monkeypatch, settings):
    assert_parity(monkeypatch, dataclasses.replace(TINY, **settings))


def test_larger_stored_pictures_and_a_tau_below_its_floor_agree(monkeypatch):
    config = dataclasses.replace(TINY, tau_floor=0.18, flow_encoder="small", image_size=112)
    twin_parity.registered(monkeypatch, NETWORK)
    params = twin_parity.weights(NETWORK, config)
    shown = twin_parity.gentle_flow_px(2, 112), pictures(2, 112)
    found = twin_parity.distance(NETWORK, config, params, *shown)
    assert found.logits <= 1e-4
    taus = {"/".join(path): x for path, x in params.items() if path[-1] == "tau"}
    below = {path for path, tau_H in taus.items() if max(tau_H) < config.tau_floor}
    assert 0 < len(below) < len(taus)
    assert all(found.lengths[path] == 0 for path in below)
    assert all(gap <= 1e-3 for path, gap in found.gradients.items() if path not in below)


@pytest.mark.parametrize("shared", [False, True], ids=["separate", "shared"])
def test_three_mergings_agree(monkeypatch, shared):
    monkeypatch.setitem(mfdan.SHAPES, "narrow", NARROW)
    config = MFDANConfig(size="narrow", share_embedding=shared, magnify="none")
    assert config.grids == (56, 7)
    assert_parity(monkeypatch, config)


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        ({}, 27_304_055),
        ({"share_embedding": True}, 25_745_495),
        ({"mergings": 1, "share_embedding": True}, 10_977_431),
        ({"mergings": 1}, 11_056_823),
        ({"mergings": 1, "share_embedding": True, "flow_encoder": "small"}, 2_021_591),
    ],
)
def test_the_twin_has_the_declared_size(settings, parameters):
    shapes = twins.expected_shapes(MFDANConfig(**settings))
    assert sum(map(math.prod, shapes.values())) == parameters


@pytest.mark.parametrize("settings", [{}, {"share_embedding": True, "flow_encoder": "small"}])
def test_weights_convert_both_ways_exactly(monkeypatch, tmp_path, settings):
    twin_parity.registered(monkeypatch, NETWORK)
    config = dataclasses.replace(TINY, **settings)
    params = {"/".join(path): x for path, x in twin_parity.weights(NETWORK, config).items()}
    state_files.write(tmp_path / "weights.pt", config, params)
    back = state_files.read(tmp_path / "weights.pt", config)
    assert list(back) == sorted(params)
    for name, value in params.items():
        np.testing.assert_array_equal(back[name], value, strict=True)
    table = twins.to_torch(config, params)["layers.1.blocks.0.attn.relative_position_bias_table"]
    np.testing.assert_array_equal(table, params["block_1_layer_0/attention/bias_table"])


def far_and_biased(grid, shift, table_RxH):
    """What Swin adds to the logits, token pair by token pair: (windows, H, T, T).

    Tokens that stood at opposite borders before the roll are far; all others of a window are not.
    """
    added = np.zeros(((grid // 7) ** 2, table_RxH.shape[1], 49, 49), np.float32)
    for number, (top, left) in enumerate(itertools.product(range(0, grid, 7), repeat=2)):
        for query, key in itertools.product(range(49), repeat=2):
            (r, c), (row, column) = divmod(query, 7), divmod(key, 7)
            added[number, :, query, key] = table_RxH[(r - row + 6) * 13 + c - column + 6]
            # Beyond the last row or column of the grid the other border begins.
            wrapped = [
                (start + one + shift >= grid) != (start + other + shift >= grid)
                for start, one, other in ((top, r, row), (left, c, column))
            ]
            added[number, :, query, key] -= 100 * any(wrapped)
    return torch.from_numpy(added)


@pytest.mark.parametrize("shifted", [False, True], ids=["plain", "shifted"])
def test_without_flow_it_is_pytorchs_attention_in_windows(shifted):
    torch.manual_seed(0)
    attention = WindowAttention(TINY, 0, shifted).eval()
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x_BxGxGxD = torch.randn(2, 14, 14, 16)
    shift = 3 if shifted else 0
    with torch.no_grad():
        ours = attention(x_BxGxGxD)
        bias = torch.cat([attention.q_bias, attention.k_bias, attention.v_bias])
        qkv = F.linear(x_BxGxGxD, attention.qkv.weight, bias)
        table = attention.relative_position_bias_table.numpy()
        added = far_and_biased(14, shift, table)
        theirs = torch.empty_like(x_BxGxGxD)
        for number, (top, left) in enumerate(itertools.product((0, 7), repeat=2)):
            rows = [(top + row + shift) % 14 for row in range(7)]
            columns = [(left + column + shift) % 14 for column in range(7)]
            own = qkv[:, rows][:, :, columns].reshape(2, 1, 49, 3, 16).unbind(3)
            out = F.scaled_dot_product_attention(*own, attn_mask=added[number])
            out = attention.proj(out[:, 0]).reshape(2, 7, 7, 16)
            for place, row in enumerate(rows):
                theirs[:, row, columns] = out[:, place]
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


def test_the_flows_length_does_not_matter_and_no_flow_leaves_the_bias_alone():
    torch.manual_seed(0)
    attention = WindowAttention(TINY, 0, shifted=True).eval()
    torch.nn.init.normal_(attention.q_bias)
    x, flow = torch.randn(1, 14, 14, 16), torch.randn(1, 14, 14, 16)
    with torch.no_grad():
        torch.testing.assert_close(attention(x, flow), attention(x, 5 * flow), atol=1e-6, rtol=1e-6)
        assert (attention(x, flow) - attention(x)).abs().max() > 0.01
    still = torch.zeros_like(flow).requires_grad_()
    attention(x, still).sum().backward()
    assert torch.isfinite(still.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in attention.parameters())


def test_dropkey_loses_its_share_of_keys_in_training_alone():
    torch.manual_seed(0)
    attention = WindowAttention(dataclasses.replace(TINY, dropkey=0.4), 1, shifted=False)
    lost = attention.train().bias(200) < -1e8
    assert lost.shape == (200, 2, 49, 49)
    assert lost.float().mean().item() == pytest.approx(0.4, abs=0.005)
    assert not (attention.eval().bias(200) < -1e8).any()


def test_magnification_moves_by_one_and_alpha_times_the_flow():
    picture = torch.rand(2, 3, 16, 16)
    flow = torch.tensor([1.0, -0.5]).reshape(1, 2, 1, 1).expand(2, 2, 16, 16)
    moved = torch_magnify.magnified(picture, flow, torch.tensor([1.0, 3.0]))
    # By (2, -1) and (4, -2) pixels, x right and y down.
    torch.testing.assert_close(moved[0, :, :-1, 2:], picture[0, :, 1:, :-2], atol=1e-5, rtol=0)
    torch.testing.assert_close(moved[1, :, :-2, 4:], picture[1, :, 2:, :-4], atol=1e-5, rtol=0)
    # What comes from outside is the border.
    torch.testing.assert_close(moved[0, :, 3, 0], picture[0, :, 4, 0], atol=1e-5, rtol=0)


def test_a_varying_flow_is_inverted():
    at_P = torch.arange(32.0)
    picture = at_P.expand(1, 1, 32, 32)
    flow = torch.zeros(1, 2, 32, 32)
    flow[:, 0] = 0.5 * torch.sin(at_P / 5)
    moved_P = torch_magnify.magnified(picture, flow, torch.tensor([2.0]))[0, 0, 8]
    # Grey value is the place a pixel came from, where the flow carries it to the pixel again.
    speed_P = torch.from_numpy(np.interp(moved_P.numpy(), at_P.numpy(), flow[0, 0, 8].numpy()))
    inner = slice(3, -3)
    torch.testing.assert_close(
        (moved_P + 3 * speed_P.float())[inner], at_P[inner], atol=2e-4, rtol=0
    )


def test_values_are_averaged_scaled_and_spread_by_hand():
    flow = torch.zeros(1, 2, 2, 3, dtype=torch.float16)
    flow[0, 0, 0] = torch.tensor([4.0, 8.0, 2.0])
    # A mean of four; u and v in pixels of half the size, the strain as it is.
    assert torch_frames.flow(flow, 1).flatten().tolist() == [0.5, 1.0, 0.5]
    spread = torch_frames.min_max(torch_frames.flow(flow, 2))
    assert spread[0, :, 0, 0].tolist() == [1.0, 1.0, 1.0]
    assert torch_frames.min_max(torch.full((1, 3, 2, 2), 7.0)).abs().max() == 0
    frames = torch.tensor([0, 255, 255, 255], dtype=torch.uint8).reshape(1, 1, 2, 2, 1)
    assert torch_frames.pictures(frames, 1).item() == 191.25


def test_neighbouring_channels_damp_each_other_by_their_sum_of_squares():
    config = dataclasses.replace(TINY, flow_encoder="small")
    encoder = FlowEncoder(config).eval()
    with torch.no_grad():
        encoder.conv1.weight.zero_()
        encoder.conv1.bias.copy_(torch.tensor([100.0, 200.0, 0.0, 50.0]))
        encoder.conv2.weight.zero_()
        encoder.conv2.weight[0, :, 1, 1] = torch.tensor([1.0, 0.0, 0.0, 0.0])
        encoder.conv2.bias.zero_()
        encoder.fc.weight.zero_()
        encoder.fc.weight[0, 0] = 1.0
        encoder.fc.bias.zero_()
        found = encoder(torch.rand(1, 3, 56, 56))[0, 0].item()
    # Channel 0 sees channels 0 to 2.
    first = 100 * (2 + 1e-4 * (100**2 + 200**2)) ** -0.75
    assert found == pytest.approx(first * (2 + 1e-4 * first**2) ** -0.75, rel=1e-5)


def test_merging_takes_four_neighbours_down_before_right():
    merging = Merging(1)
    torch.nn.init.zeros_(merging.reduction.weight)
    with torch.no_grad():
        merging.reduction.weight[0, 1] = 1.0
        four = torch.tensor([[0.0, 1.0], [5.0, 2.0]]).reshape(1, 2, 2, 1)
        found = merging(four)[0, 0, 0, 0].item()
    # The second of the four is the one below, the largest.
    assert found == pytest.approx((5 - 2) / np.std([0, 1, 5, 2]), rel=1e-4)


def test_noise_is_drawn_in_training_alone():
    torch.manual_seed(0)
    network = twins.build(TINY).train()
    shown = [torch.from_numpy(x) for x in (twin_parity.gentle_flow_px(2, 56), pictures(2, 56))]
    with torch.no_grad():
        assert not torch.equal(network(*shown), network(*shown))
        quiet = {"dropkey": 0.0, "flow_dropout": 0.0, "magnify_low": 3.0, "magnify_high": 3.0}
        still = twins.build(dataclasses.replace(TINY, **quiet))
        still.load_state_dict(network.state_dict())
        assert torch.equal(still.train()(*shown), network.eval()(*shown))
