"""Noise drawn clip by clip, so that a clip's noise does not depend on what pads its batch."""

import math

import jax
import jax.numpy as jnp


def dropped(key: jax.Array, values: jax.Array, rate: float) -> jax.Array:
    """Values (B, ...) with a share of them, above 0, set to 0 and the others divided by 1 - rate.

    16 random bits a value: the share dropped is met to 1/65536.
    """
    is_kept = _is_kept(key, values.shape, rate)
    return jnp.where(is_kept, values / (1 - rate), 0.0)


def lost(key: jax.Array, shape: tuple[int, ...], rate: float) -> jax.Array:
    """Which of the places (B, ...) are lost: a share of them, met to 1/65536."""
    return ~_is_kept(key, shape, rate)


def path_dropped(key: jax.Array, values: jax.Array, rate: float) -> jax.Array:
    """Values (B, ...), all of a clip's set to 0 with probability `rate`, else divided by 1 - rate.

    Stochastic depth (Huang et al., arXiv 1603.09382): what a layer adds is left out for that clip.
    """

    def draw(place: jax.Array) -> jax.Array:
        return jax.random.uniform(jax.random.fold_in(key, place))

    is_kept_B = jax.vmap(draw)(jnp.arange(len(values))) >= rate
    is_kept = is_kept_B.reshape(-1, *[1] * (values.ndim - 1))
    return jnp.where(is_kept, values / (1 - rate), 0.0)


def _is_kept(key: jax.Array, shape: tuple[int, ...], rate: float) -> jax.Array:
    batch, *one = shape
    count = math.prod(one)
    words = (count + 1) // 2

    def draw(place: jax.Array) -> jax.Array:
        bits = jax.random.bits(jax.random.fold_in(key, place), (words,), jnp.uint32)
        return jnp.concatenate([bits & 0xFFFF, bits >> 16])[:count].reshape(one)

    return jax.vmap(draw)(jnp.arange(batch)) >= round(rate * 2**16)
