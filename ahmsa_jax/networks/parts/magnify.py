"""Motion made larger by warping: the onset moved along its own flow. Our own, and not MagNet.

Letters in array names: B clips, P side of the pictures in pixels, C channels.
"""

import jax
import jax.numpy as jnp

# Steps of the fixed point that inverts a flow, as many as the pretend faces are moved with.
STEPS = 12


def magnified(onset_BxPxPxC: jax.Array, flow_BxPxPx2: jax.Array, alpha_B: jax.Array) -> jax.Array:
    """The onset (grey values, float32) after (1 + alpha) times its flow: (B, P, P, C).

    The flow is (u, v) in pixels, of each point of the onset: a point p is then found at
    p + (1 + alpha) flow(p). The pixel q so shows the p with p = q - (1 + alpha) flow(p), found by
    fixed point, which converges where (1 + alpha) flow changes by less than a pixel per pixel.
    alpha 0 gives the apex, up to interpolation and to what the flow misses. Read bilinearly; beyond
    the border its values go on.
    """
    strong_BxPxPx2 = flow_BxPxPx2 * (1 + alpha_B)[:, None, None, None]
    return jax.vmap(_moved)(onset_BxPxPxC, strong_BxPxPx2)


def _moved(onset_PxPxC: jax.Array, flow_PxPx2: jax.Array) -> jax.Array:
    side = len(onset_PxPxC)
    line_P = jnp.arange(side, dtype=jnp.float32)
    x_PxP, y_PxP = jnp.meshgrid(line_P, line_P)
    here_PxPx2 = jnp.stack([x_PxP, y_PxP], axis=-1)
    corners = _corners(flow_PxPx2)

    def step(_: int, from_PxPx2: jax.Array) -> jax.Array:
        return here_PxPx2 - _read(corners, from_PxPx2)

    # The first step reads the flow where it stands.
    from_PxPx2 = jax.lax.fori_loop(1, STEPS, step, here_PxPx2 - flow_PxPx2)
    return _read(_corners(onset_PxPxC), from_PxPx2)


def _corners(array_PxPxC: jax.Array) -> jax.Array:
    """Each pixel beside its neighbours right, below and both: (P * P, 4, C).

    One row then holds all that an interpolated point reads.
    """
    right = jnp.concatenate([array_PxPxC[:, 1:], array_PxPxC[:, -1:]], axis=1)
    pair = jnp.stack([array_PxPxC, right], axis=2)
    below = jnp.concatenate([pair[1:], pair[-1:]], axis=0)
    return jnp.concatenate([pair, below], axis=2).reshape(-1, 4, array_PxPxC.shape[-1])


def _read(corners_Qx4xC: jax.Array, at_PxPx2: jax.Array) -> jax.Array:
    """Bilinear values at the places (x, y) in pixels, held inside the picture: (P, P, C)."""
    side = at_PxPx2.shape[0]
    inside = jnp.clip(at_PxPx2, 0, side - 1)
    whole = jnp.floor(inside)
    x, y = jnp.moveaxis((inside - whole)[..., None], -2, 0)
    column, row = jnp.moveaxis(whole.astype(jnp.int32), -1, 0)
    near = jnp.take(corners_Qx4xC, row * side + column, axis=0, mode="clip")
    upper = near[..., 0, :] * (1 - x) + near[..., 1, :] * x
    lower = near[..., 2, :] * (1 - x) + near[..., 3, :] * x
    return upper * (1 - y) + lower * y
