"""AHMSA-Net's parameters from Flax to PyTorch and back: renamed and transposed, never rounded.

Flax side: a mapping from paths joined with '/' to float32 arrays, as Engine.parameters gives it.
PyTorch side: a state dict of torch_ahmsa's network in the form named. Both sides name their parts
alike; only the last part of a path and the order of the axes differ.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch

from experiments.baselines.torch_ahmsa import Form

Arrays = Mapping[str, np.ndarray]


def to_torch(params: Arrays, form: Form) -> dict[str, torch.Tensor]:
    """The state dict that computes what these Flax parameters do."""
    state = {}
    for path, value in params.items():
        *parts, leaf = path.split("/")
        name = {"kernel": "weight", "scale": "weight"}.get(leaf, leaf)
        turned = np.ascontiguousarray(_to_torch_axes(path, np.asarray(value), form))
        state[".".join([*parts, name])] = torch.from_numpy(turned.copy())
    return state


def from_torch(state: Mapping[str, torch.Tensor], form: Form) -> dict[str, np.ndarray]:
    """The Flax parameters that compute what this state dict does; sorted by path."""
    params = {}
    for name, tensor in state.items():
        *parts, leaf = name.split(".")
        if leaf == "weight":
            leaf = "scale" if _is_norm(parts) else "kernel"
        path = "/".join([*parts, leaf])
        value = tensor.detach().cpu().numpy()
        params[path] = np.ascontiguousarray(_from_torch_axes(path, value, form)).copy()
    return dict(sorted(params.items()))


def _is_norm(parts: list[str]) -> bool:
    return parts[-1].split("_")[0] == "norm" or parts[-1] == "head_norm"


def _to_torch_axes(path: str, value: np.ndarray, form: Form) -> np.ndarray:
    *parts, leaf = path.split("/")
    if leaf == "kernel" and value.ndim == 4:  # (3, 3, in, out) -> (out, in, 3, 3)
        return value.transpose(3, 2, 0, 1)
    if leaf == "kernel":
        turned = value.T
        return turned[:, :, None, None] if form == "eager" and parts != ["head"] else turned
    if form == "eager" and leaf == "positional_embedding":  # (T, D) -> (1, D, G, G)
        grid = math.isqrt(len(value))
        return value.T.reshape(1, -1, grid, grid)
    if form == "eager" and parts and _is_norm(parts):
        return value.reshape(1, -1, 1, 1)
    return value


def _from_torch_axes(path: str, value: np.ndarray, form: Form) -> np.ndarray:
    *parts, leaf = path.split("/")
    if leaf == "kernel" and value.ndim == 4 and value.shape[-1] == 3:
        return value.transpose(2, 3, 1, 0)
    if leaf == "kernel":
        return value.reshape(value.shape[:2]).T
    if form == "eager" and leaf == "positional_embedding":
        return value.reshape(value.shape[1], -1).T
    if parts and _is_norm(parts):
        return value.reshape(-1)
    return value
