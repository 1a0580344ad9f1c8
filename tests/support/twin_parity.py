"""A Flax network and its PyTorch twin with the same stirred weights, and how far apart they are."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from stored_pictures import nested

from ahmsa_jax.networks import registry
from ahmsa_jax.networks.initial import parameter_shapes
from experiments.baselines import twins

# The compiler takes many times longer than what it compiles.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@dataclasses.dataclass(frozen=True)
class Distance:
    """Differences of two computations as shares of what they are of."""

    logits: float  # largest difference, of the largest spread between clips
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


@functools.partial(jax.jit, static_argnums=0, compiler_options=QUICK)
def computed(model, params, *inputs):
    """Logits, and the gradient of the sum of their squares by path."""

    def loss(params):
        logits_BxK = model.apply(nested(params), *inputs)[0]
        return jnp.sum(jnp.square(logits_BxK)), logits_BxK

    (_, logits_BxK), gradient = jax.value_and_grad(loss, has_aux=True)(params)
    return logits_BxK, gradient


def distance(network, config, params, *inputs: np.ndarray) -> Distance:
    """How far the two are apart on these clips."""
    built = twin(config, params)
    their_BxK = built(*map(torch.from_numpy, inputs))
    their_BxK.square().sum().backward()
    graded = {
        name: torch.zeros_like(value) if value.grad is None else value.grad
        for name, value in built.named_parameters()
    }
    theirs = twins.from_torch(config, graded)
    with jax.default_matmul_precision("highest"):
        our_BxK, gradient = computed(network.build(config, np.float32), params, *inputs)
    ours = {"/".join(path): np.asarray(leaf) for path, leaf in gradient.items()}
    gap = np.abs(their_BxK.detach().numpy() - our_BxK).max()
    return Distance(
        logits=float(gap / np.ptp(our_BxK, axis=0).max()),
        gradients={
            path: float(np.linalg.norm(theirs[path] - leaf) / max(np.linalg.norm(leaf), 1e-30))
            for path, leaf in ours.items()
        },
        lengths={path: float(np.linalg.norm(leaf)) for path, leaf in ours.items()},
    )


def gentle_flow_px(count: int, side: int, seed: int = 0) -> np.ndarray:
    """`flow_px` of so many clips, smooth: two computations of its inversion stay together.

    Where (1 + alpha) flow changes by more than a pixel per pixel the fixed point does not converge,
    and twelve steps make a difference of rounding a visible one.
    """
    y_SxS, x_SxS = np.mgrid[:side, :side] * 2 * np.pi / side
    waves_SxSx4 = np.stack([np.sin(x_SxS), np.sin(y_SxS), np.cos(x_SxS + y_SxS), np.cos(x_SxS)], -1)
    height_Bx3x4 = np.random.default_rng(seed).uniform(-0.4, 0.4, (count, 3, 4)) * side / 56
    flow_BxSxSx3 = np.einsum("yxw,bcw->byxc", waves_SxSx4, height_Bx3x4)
    flow_BxSxSx3[..., 2] = np.abs(flow_BxSxSx3[..., 2])
    return flow_BxSxSx3.astype(np.float16)


def assert_same(network, config, found: Distance) -> None:
    """Logits to 1e-4, gradients to 1e-3; those that vanish are of leaves that can never matter."""
    assert found.logits <= 1e-4
    largest = max(found.lengths.values())
    vanishing = {path for path, length in found.lengths.items() if length < 1e-6 * largest}
    assert vanishing == {
        path for path in found.lengths if network.is_frozen(tuple(path.split("/")), config)
    }
    apart = {
        path: gap for path, gap in found.gradients.items() if path not in vanishing and gap > 1e-3
    }
    assert not apart
