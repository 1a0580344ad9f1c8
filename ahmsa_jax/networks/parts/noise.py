"""Dropout drawn clip by clip, so that a clip's noise does not depend on what pads its batch."""

import math

import jax
import jax.numpy as jnp


def dropped(key: jax.Array, values: jax.Array, rate: float) -> jax.Array:
    """Values (B, ...) with a share of them, above 0, set to 0 and the others divided by 1 - rate.

    16 random bits a value: the share dropped is met to 1/65536.
    """
    batch, *one = values.shape
    count = math.prod(one)
    words = (count + 1) // 2

    def draw(place: jax.Array) -> jax.Array:
        bits = jax.random.bits(jax.random.fold_in(key, place), (words,), jnp.uint32)
        return jnp.concatenate([bits & 0xFFFF, bits >> 16])[:count].reshape(one)

    is_kept = jax.vmap(draw)(jnp.arange(batch)) >= round(rate * 2**16)
    return jnp.where(is_kept, values / (1 - rate), 0.0)
