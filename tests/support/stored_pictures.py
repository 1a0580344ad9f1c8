"""Clips as the layout rgb224 stores them, made up: pictures and flow without any face."""

import functools

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ahmsa_jax.networks import registry
from ahmsa_jax.networks.initial import parameter_shapes


def pictures(count: int, side: int = 224, seed: int = 0) -> np.ndarray:
    """`frames` of so many clips, (B, 8, S, S, 3) uint8: smooth, and another each time."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 8, 14, 14, 3))
    return np.kron(coarse, np.ones((1, 1, side // 14, side // 14, 1))).astype(np.uint8)


def flow_px(count: int, side: int = 224, seed: int = 0) -> np.ndarray:
    """`flow_px` of so many clips, (B, S, S, 3) float16: up to 2 pixels, strain above 0."""
    draw = np.random.default_rng(seed).uniform(-1, 1, (count, 14, 14, 3))
    flow = 2 * np.kron(draw, np.ones((1, side // 14, side // 14, 1)))
    flow[..., 2] = np.abs(flow[..., 2])
    return flow.astype(np.float16)


def built(monkeypatch: pytest.MonkeyPatch, network, config, seed: int = 0):
    """The module and parameters by path, stirred: no norm, bias or token is at its start.

    The network is registered for the test.
    """
    monkeypatch.setitem(registry.NETWORKS, network.name, network)
    config.validate()
    model = network.build(config, np.float32)
    rng = np.random.default_rng(seed)
    params = {}
    for path, shape in parameter_shapes(model, config).items():
        centre = {"scale": 1.0, "tau": 0.2}.get(path[-1], 0.0)
        params[path] = (centre + 0.05 * rng.normal(size=shape)).astype(np.float32)
    return model, params


def nested(params):
    """Parameters by path as Flax takes them."""
    return {"params": flax.traverse_util.unflatten_dict(params)}


@functools.partial(jax.jit, static_argnames=("model", "train"))
def outputs(model, params, *inputs, train: bool = False, key=None, real_B=None):
    """Logits and intermediates; `key` is that of a training step's noise."""
    rngs = None if key is None else {"dropout": key}
    return model.apply(nested(params), *inputs, real_B=real_B, train=train, rngs=rngs)


def logits(*arguments, **more):
    """Logits alone."""
    return outputs(*arguments, **more)[0]


@functools.partial(jax.jit, static_argnums=0, static_argnames="train")
def gradient(model, params, *inputs, **more):
    """The sum of the squared logits, and its gradient by path."""

    def loss(params):
        return jnp.sum(jnp.square(logits(model, params, *inputs, **more)))

    return jax.value_and_grad(loss)(params)


def assert_same_gradients(one, other, tolerance):
    """Each leaf against its largest value, since leaves differ by magnitudes."""
    for path, leaf in one.items():
        scale = np.abs(leaf).max() + 1e-6
        np.testing.assert_allclose(other[path] / scale, leaf / scale, atol=tolerance)
