"""Parameters of the networks from Flax to PyTorch and back: renamed and transposed, never rounded.

Flax side: a mapping from paths joined with '/' to float32 arrays, as Engine.parameters gives it;
running statistics begin with "batch_stats/". PyTorch side: state dicts; those of HTNet and STSTNet
are named as published, AHMSA-Net names its parts as in Flax, in both of its forms.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch

from ahmsa_jax.networks.htnet import HTNetConfig
from experiments.baselines.torch_ahmsa import Form

Arrays = Mapping[str, np.ndarray]
State = Mapping[str, torch.Tensor]

_STATISTICS = {"mean": "running_mean", "var": "running_var"}
_QKV = ("query", "key", "value")
# Parts of an HTNet block by the paths of ours; query, key and value are one array there.
_BLOCK_PARTS = (
    ("norm_attention/scale", "0.norm.g"),
    ("norm_attention/bias", "0.norm.b"),
    ("attention/output/kernel", "0.fn.to_out.0.weight"),
    ("attention/output/bias", "0.fn.to_out.0.bias"),
    ("norm_feed_forward/scale", "1.norm.g"),
    ("norm_feed_forward/bias", "1.norm.b"),
    ("feed_forward/expand/kernel", "1.fn.net.0.weight"),
    ("feed_forward/expand/bias", "1.fn.net.0.bias"),
    ("feed_forward/project/kernel", "1.fn.net.3.weight"),
    ("feed_forward/project/bias", "1.fn.net.3.bias"),
)
_DOWN_PARTS = (
    ("conv/kernel", "0.weight"),
    ("conv/bias", "0.bias"),
    ("norm/scale", "1.g"),
    ("norm/bias", "1.b"),
)
_ENDS = (
    ("patch_embedding/kernel", "to_patch_embedding.1.weight"),
    ("patch_embedding/bias", "to_patch_embedding.1.bias"),
    ("head_norm/scale", "mlp_head.0.g"),
    ("head_norm/bias", "mlp_head.0.b"),
    ("head/kernel", "mlp_head.2.weight"),
    ("head/bias", "mlp_head.2.bias"),
)


def ahmsa_to_torch(params: Arrays, form: Form) -> dict[str, torch.Tensor]:
    """The state dict that computes what these Flax parameters do."""
    state = {}
    for path, value in params.items():
        *parts, leaf = path.split("/")
        name = {"kernel": "weight", "scale": "weight"}.get(leaf, leaf)
        state[".".join([*parts, name])] = _tensor(_to_form(path, value, form))
    return state


def ahmsa_from_torch(state: State, form: Form) -> dict[str, np.ndarray]:
    """The Flax parameters that compute what this state dict does; sorted by path."""
    params = {}
    for name, tensor in state.items():
        *parts, leaf = name.split(".")
        if leaf == "weight":
            leaf = "scale" if _is_norm(parts) else "kernel"
        path = "/".join([*parts, leaf])
        value = tensor.detach().cpu().numpy()
        params[path] = np.array(_from_form(path, value, form), order="C")
    return dict(sorted(params.items()))


def _is_norm(parts: list[str]) -> bool:
    return parts[-1].split("_")[0] == "norm" or parts[-1] == "head_norm"


def _to_form(path: str, value: np.ndarray, form: Form) -> np.ndarray:
    *parts, leaf = path.split("/")
    if leaf == "kernel":
        turned = _to_torch_axes(value)
        is_pointwise = form == "eager" and value.ndim == 2 and parts != ["head"]
        return turned[:, :, None, None] if is_pointwise else turned
    if form == "eager" and leaf == "positional_embedding":  # (T, D) -> (1, D, G, G)
        grid = math.isqrt(len(value))
        return value.T.reshape(1, -1, grid, grid)
    if form == "eager" and parts and _is_norm(parts):
        return value.reshape(1, -1, 1, 1)
    return value


def _from_form(path: str, value: np.ndarray, form: Form) -> np.ndarray:
    *parts, leaf = path.split("/")
    if leaf == "kernel":
        return _from_torch_axes(value[:, :, 0, 0] if value.shape[2:] == (1, 1) else value)
    if form == "eager" and leaf == "positional_embedding":
        return value.reshape(value.shape[1], -1).T
    return value.reshape(-1) if parts and _is_norm(parts) else value


def ststnet_to_torch(params: Arrays) -> dict[str, torch.Tensor]:
    """STSTNet's published state dict; the counter of batches, which nothing reads, is 0."""
    state = {}
    for path, value in params.items():
        *parts, leaf = path.split("/")
        if parts[0] == "batch_stats":
            state[f"{parts[1]}.{_STATISTICS[leaf]}"] = _tensor(value)
            state[f"{parts[1]}.num_batches_tracked"] = torch.tensor(0)
        else:
            name = "weight" if leaf in ("kernel", "scale") else leaf
            state[f"{parts[0]}.{name}"] = _tensor(_to_torch_axes(value))
    return dict(sorted(state.items()))


def ststnet_from_torch(state: State) -> dict[str, np.ndarray]:
    """STSTNet's Flax parameters and running statistics; sorted by path."""
    params = {}
    for name, tensor in state.items():
        module, leaf = name.split(".")
        value = tensor.detach().cpu().numpy()
        if leaf == "num_batches_tracked":
            continue
        if leaf.startswith("running_"):
            params[f"batch_stats/{module}/{leaf.removeprefix('running_')}"] = value.copy()
            continue
        renamed = {"weight": "scale" if module.startswith("bn") else "kernel"}.get(leaf, leaf)
        params[f"{module}/{renamed}"] = _from_torch_axes(value)
    return dict(sorted(params.items()))


def htnet_to_torch(params: Arrays, config: HTNetConfig) -> dict[str, torch.Tensor]:
    """HTNet's published state dict."""
    state = {}
    for path, name in _htnet_names(config):
        value = _to_torch_axes(params[path])
        if path.endswith("/kernel") and value.ndim == 2 and path != "head/kernel":
            value = value[:, :, None, None]
        if name.endswith((".g", ".b")):
            value = value.reshape(1, -1, 1, 1)
        state[name] = _tensor(value)
    for place, name in _htnet_qkv(config):
        stacked = np.concatenate([params[f"{place}/{part}/kernel"].T for part in _QKV])
        state[name] = _tensor(stacked[:, :, None, None])
    return dict(sorted(state.items()))


def htnet_from_torch(state: State, config: HTNetConfig) -> dict[str, np.ndarray]:
    """HTNet's Flax parameters; sorted by path."""
    params = {}
    for path, name in _htnet_names(config):
        value = state[name].detach().cpu().numpy()
        if value.shape[2:] == (1, 1):
            # A 1x1 kernel, or a normalisation's (1, D, 1, 1).
            value = value[:, :, 0, 0] if path.endswith("/kernel") else value.reshape(-1)
        params[path] = _from_torch_axes(value)
    for place, name in _htnet_qkv(config):
        stacked = state[name].detach().cpu().numpy()[:, :, 0, 0]
        for part, kernel in zip(_QKV, np.split(stacked, 3), strict=True):
            params[f"{place}/{part}/kernel"] = _from_torch_axes(kernel)
    return dict(sorted(params.items()))


def _htnet_names(config: HTNetConfig) -> Iterator[tuple[str, str]]:
    """Our path and the published name of every array that both sides have alone."""
    yield from _ENDS
    for level, blocks in enumerate(config.blocks):
        yield f"level_{level}_pos_emb", f"layers.{level}.0.pos_emb"
        for block in range(blocks):
            for ours, theirs in _BLOCK_PARTS:
                yield (
                    f"level_{level}_block_{block}/{ours}",
                    (f"layers.{level}.0.layers.{block}.{theirs}"),
                )
        if level:
            for ours, theirs in _DOWN_PARTS:
                yield f"down_{level}/{ours}", f"layers.{level - 1}.1.{theirs}"


def _htnet_qkv(config: HTNetConfig) -> Iterator[tuple[str, str]]:
    for level, blocks in enumerate(config.blocks):
        for block in range(blocks):
            name = f"layers.{level}.0.layers.{block}.0.fn.to_qkv.weight"
            yield f"level_{level}_block_{block}/attention", name


def _to_torch_axes(value: np.ndarray) -> np.ndarray:
    """(3, 3, in, out) -> (out, in, 3, 3), (in, out) -> (out, in)."""
    return value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T


def _from_torch_axes(value: np.ndarray) -> np.ndarray:
    turned = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T
    return np.ascontiguousarray(turned).copy()


def _tensor(value: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(value, np.float32, order="C"))
