"""Work of a network's forward pass: its own count, or the compiler's where it has none."""

import functools
import math

import jax
import jax.numpy as jnp

from ahmsa_jax.config import NetworkConfig
from ahmsa_jax.networks.initial import blank_inputs
from ahmsa_jax.networks.registry import network_of


def forward_products(config: NetworkConfig) -> dict[str, int]:
    """Multiply-adds of one clip's forward pass by part, from the maps on, as far as they matter."""
    products = network_of(config).products
    if products is not None:
        return products(config)
    return {"network": math.ceil(_cost(config).get("flops", 0.0) / 2)}


def activations(config: NetworkConfig) -> int:
    """Numbers kept for the backward pass of one clip: a first guess, compiling gives the need."""
    own = network_of(config).activations
    if own is not None:
        return own(config)
    return math.ceil(_cost(config).get("bytes accessed", 0.0) / 4)


@functools.cache
def _cost(config: NetworkConfig) -> dict[str, float]:
    model = network_of(config).build(config, jnp.float32)
    inputs = blank_inputs(config)
    variables = jax.eval_shape(model.init, jax.random.key(0), *inputs)
    lowered = jax.jit(model.apply).lower(variables, *inputs)
    return dict(lowered.cost_analysis() or {})
