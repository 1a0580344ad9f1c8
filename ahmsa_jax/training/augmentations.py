"""Changes of ONE training clip in a step, by the names after --augment.

Each takes a key and the clip's inputs by name, flow (H, W, C) among them, and returns inputs of the
same shapes. C is a multiple of (u, v, strain).
"""

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates

from ahmsa_jax.config import TrainConfig
from ahmsa_jax.inputs.mirror import mirrored

# No motion in maps of 0..255, as mirroring takes it: u becomes 255 - u.
_STILL = 127.5

Inputs = dict[str, jax.Array]


def mirror(key: jax.Array, inputs: Inputs, training: TrainConfig) -> Inputs:
    """The face reversed left to right with probability 0.5, u turned round."""
    flow = inputs["flow"]
    reversed_flow = mirrored(flow, centred=training.input_norm != "none")
    return inputs | {"flow": jnp.where(jax.random.bernoulli(key), reversed_flow, flow)}


def affine(key: jax.Array, inputs: Inputs, training: TrainConfig) -> Inputs:
    """The map shifted, turned and zoomed about its middle, and its motion scaled.

    Uniform in +-augment_shift pixels for each axis, +-augment_turn degrees and 1 +-augment_zoom;
    motion times exp(x), x uniform in +-augment_gain. Flow turns and grows with the map; strain, a
    derivative, grows by the gain alone. Between pixels linearly, beyond the border its value.
    """
    flow_HxWxC = inputs["flow"]
    shift, turn, zoom, gain = (jax.random.fold_in(key, place) for place in range(4))

    def within(key: jax.Array, bound: float, count: int = 1) -> jax.Array:
        return jax.random.uniform(key, (count,), minval=-bound, maxval=bound)

    dx, dy = within(shift, training.augment_shift, 2)
    angle = jnp.deg2rad(within(turn, training.augment_turn)[0])
    scale = 1 + within(zoom, training.augment_zoom)[0]
    motion = jnp.exp(within(gain, training.augment_gain)[0])
    still = _STILL if training.input_norm == "none" else 0.0
    moved = moved_map(flow_HxWxC, (dx, dy), angle, scale)
    turned = turned_flow(moved, angle, scale * motion, motion, still)
    return inputs | {"flow": turned.astype(flow_HxWxC.dtype)}


def moved_map(
    flow_HxWxC: jax.Array, shift: tuple[jax.Array, jax.Array], angle: jax.Array, scale: jax.Array
) -> jax.Array:
    """What stood at p (x right, y down, from the middle) stands at scale R(angle) p + shift.

    Values are carried along unchanged. `angle` in radians turns x towards y.
    """
    height, width, _ = flow_HxWxC.shape
    y_Hx1 = jnp.arange(height)[:, None] - (height - 1) / 2 - shift[1]
    x_1xW = jnp.arange(width)[None] - (width - 1) / 2 - shift[0]
    cos, sin = jnp.cos(angle) / scale, jnp.sin(angle) / scale
    rows_HxW = -sin * x_1xW + cos * y_Hx1 + (height - 1) / 2
    columns_HxW = cos * x_1xW + sin * y_Hx1 + (width - 1) / 2

    def channel(map_HxW: jax.Array) -> jax.Array:
        return map_coordinates(map_HxW, [rows_HxW, columns_HxW], order=1, mode="nearest")

    return jax.vmap(channel, -1, -1)(flow_HxWxC)


def turned_flow(
    flow_HxWxC: jax.Array, angle: jax.Array, length: jax.Array, strain: jax.Array, still: float
) -> jax.Array:
    """The vectors (u, v) about `still` turned and times `length`, the strain times `strain`."""
    *image, channels = flow_HxWxC.shape
    parts = flow_HxWxC.reshape(*image, channels // 3, 3)
    u, v = parts[..., 0] - still, parts[..., 1] - still
    cos, sin = jnp.cos(angle) * length, jnp.sin(angle) * length
    turned = (cos * u - sin * v + still, sin * u + cos * v + still, parts[..., 2] * strain)
    return jnp.stack(turned, axis=-1).reshape(flow_HxWxC.shape)
