"""The activation between the two layers of a feed-forward module."""

import math
from typing import Any

import jax
import jax.numpy as jnp


@jax.custom_vjp
def _gelu(x: jax.Array) -> jax.Array:
    """Gaussian error linear unit, x * Phi(x), elementwise (Hendrycks and Gimpel, arXiv 1606.08415).

    Phi is the exact normal distribution function by erf, as PyTorch's default computes it. The
    slope is computed in the forward pass beside the value, which shares its error function, and is
    kept instead of x: the backward pass is then a single product.
    """
    return _gelu_forward(x)[0]


def _gelu_forward(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    x32 = x.astype(jnp.float32)
    distribution = 0.5 * (1 + jax.lax.erf(x32 * math.sqrt(0.5)))
    density = jnp.exp(-0.5 * jnp.square(x32)) * (1 / math.sqrt(2 * math.pi))
    slope = distribution + x32 * density
    return (x32 * distribution).astype(x.dtype), slope.astype(x.dtype)


def _gelu_backward(slope: jax.Array, dy: jax.Array) -> Any:
    return (dy * slope,)


_gelu.defvjp(_gelu_forward, _gelu_backward)
gelu = jax.jit(_gelu)
