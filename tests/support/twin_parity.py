"""A Flax network and its PyTorch twin with the same stirred weights, and how far apart they are."""

import dataclasses

import jax
import numpy as np
import pytest
import torch
from stored_pictures import gradient, logits

from ahmsa_jax.networks import registry
from ahmsa_jax.networks.initial import parameter_shapes
from experiments.baselines import twins


@dataclasses.dataclass(frozen=True)
class Distance:
    """Differences of two computations as shares of what they are of."""

    logits: float  # largest difference, of the spread between clips and classes
    clips: float  # spread between clips, of that between clips and classes
    gradients: dict[str, float]  # of each leaf, of its own length
    lengths: dict[str, float]  # of each leaf's gradient


def weights(network, config, seed: int = 0):
    """Parameters by path, so large that attention is far from even; no norm or bias at its start.

    The network has to be registered.
    """
    rng = np.random.default_rng(seed)
    params = {}
    for path, shape in parameter_shapes(network.build(config, np.float32), config).items():
        noise = rng.normal(size=shape)
        if path[-1] == "kernel":
            value = 1.5 * noise / shape[0] ** 0.5
        elif path[-1] in ("scale", "tau"):
            value = {"scale": 1.0, "tau": 0.2}[path[-1]] * np.exp(0.3 * noise)
        else:
            value = 0.5 * noise
        params[path] = value.astype(np.float32)
    return params


def registered(monkeypatch: pytest.MonkeyPatch, network) -> None:
    """Make the network known for the test."""
    monkeypatch.setitem(registry.NETWORKS, network.name, network)


def twin(config, params) -> torch.nn.Module:
    """The twin with these parameters, without noise."""
    built = twins.build(config).eval()
    flat = {"/".join(path): value for path, value in params.items()}
    built.load_state_dict(twins.to_torch(config, flat))
    return built


def distance(network, config, params, *inputs: np.ndarray, theirs=None) -> Distance:
    """How far the two are apart on these clips, by logits and by gradients of their squares.

    The twin takes `theirs` as weights where they are given: a control.
    """
    config.validate()
    model = network.build(config, np.float32)
    built = twin(config, params if theirs is None else theirs)
    their_BxK = built(*map(torch.from_numpy, inputs))
    their_BxK.square().sum().backward()
    zero = {name: torch.zeros_like(value) for name, value in built.named_parameters()}
    graded = {
        name: zero[name] if value.grad is None else value.grad
        for name, value in built.named_parameters()
    }
    by_path = twins.from_torch(config, graded)
    with jax.default_matmul_precision("highest"):
        our_BxK = np.asarray(logits(model, params, *inputs))
        ours = gradient(model, params, *inputs)[1]
    spread = np.ptp(our_BxK)
    lengths = {"/".join(path): float(np.linalg.norm(leaf)) for path, leaf in ours.items()}
    gaps = {
        "/".join(path): float(np.linalg.norm(by_path["/".join(path)] - leaf))
        for path, leaf in ours.items()
    }
    return Distance(
        logits=float(np.abs(their_BxK.detach().numpy() - our_BxK).max() / spread),
        clips=float(np.ptp(our_BxK, axis=0).max() / spread),
        gradients={path: gap / max(lengths[path], 1e-30) for path, gap in gaps.items()},
        lengths=lengths,
    )
