"""Stored pictures and flow of a clip (the layout rgb224), made ready for a network inside its step.

`frames` (B, 8, S, S, 3) uint8: six frames, evenly from onset to offset, then onset and apex.
`flow_px` (B, S, S, 3) float16: u and v from onset to apex in pixels, x right and y down, and the
strain; not normalised.

Letters in array names: B clips, F frames, S side of the stored pictures, P side asked for,
C channels.
"""

import jax
import jax.numpy as jnp

# Frames of a clip, how many of them run through it, and where onset and apex stand.
FRAMES, UNIFORM, ONSET, APEX = 8, 6, 6, 7


def pictures(frames_BxFxSxSxC: jax.Array, side: int) -> jax.Array:
    """The frames in float32 grey values at a smaller side, by area means: (B, F, P, P, C)."""
    return _averaged(frames_BxFxSxSxC.astype(jnp.float32), side)


def flow(flow_BxSxSxC: jax.Array, side: int) -> jax.Array:
    """The flow in float32 at a smaller side, by area means: (B, P, P, C).

    u and v are then in pixels of that side; the strain is pixels per pixel and stays.
    """
    share = side / flow_BxSxSxC.shape[-2]
    mean_BxPxPxC = _averaged(flow_BxSxSxC.astype(jnp.float32), side)
    return mean_BxPxPxC * jnp.asarray([share, share, 1.0])


def min_max(flow_BxPxPxC: jax.Array) -> jax.Array:
    """Each clip's channel in 0..1 from its smallest to its largest value; constant: 0."""
    low = jnp.min(flow_BxPxPxC, axis=(1, 2), keepdims=True)
    spread = jnp.max(flow_BxPxPxC, axis=(1, 2), keepdims=True) - low
    return jnp.where(spread > 0, (flow_BxPxPxC - low) / jnp.where(spread > 0, spread, 1.0), 0.0)


def _averaged(array: jax.Array, side: int) -> jax.Array:
    *batch, stored, _, channels = array.shape
    step = stored // side
    if step == 1:
        return array
    blocks = array.reshape(*batch, side, step, side, step, channels)
    return jnp.mean(blocks, axis=(-4, -2))
