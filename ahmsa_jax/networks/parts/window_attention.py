"""Attention inside windows of an image, driven by its flow (MFDAN, equations 4 to 15).

Windows, shift, mask and relative bias as in Swin v1 (Liu et al., ICCV 2021), the norms after the
layers as the paper's equations 4 to 7.

Letters in array names: B clips, G side of the grid of tokens, V windows, T tokens of a window (49),
D width, H heads, K width of a head, R relative places (169).
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ahmsa_jax.networks.initial import Constant, JointNormal
from ahmsa_jax.networks.parts.activations import gelu
from ahmsa_jax.networks.parts.layers import LayerNorm, Linear, linear
from ahmsa_jax.networks.parts.noise import lost

KERNEL = JointNormal(0.02)
# Added between tokens of a shifted window that are no neighbours in the image, as in Swin.
APART = -100.0
# Logit of a lost key. Finite, so that a query that loses all its keys (of 49, at 0.4, 3e-20) gets
# even weights and no NaN.
LOST = -1e9
# Squared lengths below this are those of no vector: its cosine is 0.
_LEAST_SQUARE = 1e-24


def in_windows(x_BxGxGxD: jax.Array, window: int, shift: int) -> jax.Array:
    """The windows of a grid rolled up and left by `shift`: (B, V, T, D), row by row."""
    batch, side, _, width = x_BxGxGxD.shape
    if shift:
        x_BxGxGxD = jnp.roll(x_BxGxGxD, (-shift, -shift), axis=(1, 2))
    count = side // window
    split = x_BxGxGxD.reshape(batch, count, window, count, window, width)
    return jnp.swapaxes(split, 2, 3).reshape(batch, count**2, window**2, width)


def from_windows(x_BxVxTxD: jax.Array, window: int, shift: int) -> jax.Array:
    """The grid (B, G, G, D) that in_windows made these windows of."""
    batch, windows, _, width = x_BxVxTxD.shape
    count = round(windows**0.5)
    split = x_BxVxTxD.reshape(batch, count, count, window, window, width)
    grid = jnp.swapaxes(split, 2, 3).reshape(batch, count * window, count * window, width)
    return jnp.roll(grid, (shift, shift), axis=(1, 2)) if shift else grid


@functools.cache
def relative_place(window: int) -> np.ndarray:
    """Row of the bias table for each query and key of a window, (T, T), as in Swin."""
    row, column = np.divmod(np.arange(window**2), window)
    rows = row[:, None] - row + window - 1
    columns = column[:, None] - column + window - 1
    return rows * (2 * window - 1) + columns


@functools.cache
def shift_mask(side: int, window: int, shift: int) -> np.ndarray:
    """0 between tokens that lie side by side in the image, else APART: (V, T, T) float32."""
    # After the roll the last rows and columns come from the other border.
    part_G = np.searchsorted([side - window, side - shift], np.arange(side), side="right")
    part_GxG = part_G[:, None] * 3 + part_G
    count = side // window
    split = part_GxG.reshape(count, window, count, window).swapaxes(1, 2)
    part_VxT = split.reshape(count**2, window**2)
    is_apart = part_VxT[:, :, None] != part_VxT[:, None, :]
    return np.where(is_apart, APART, 0.0).astype(np.float32)


def unit(x: jax.Array) -> jax.Array:
    """Vectors of the last axis at length 1, float32; the vector 0 stays 0, its gradient too."""
    x = x.astype(jnp.float32)
    square = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
    is_vector = square > _LEAST_SQUARE
    inverse = jax.lax.rsqrt(jnp.where(is_vector, square, 1.0))
    return x * jnp.where(is_vector, inverse, 0.0)


class FlowDrivenAttention(nn.Module):
    """Self-attention of the image plus attention of the flow's queries to the image's keys.

    softmax(Q K^T / sqrt(K) + B) V and softmax(cos(Q_f, K) / tau + B) V, added and passed through
    one output layer (equations 9 to 15). One linear layer gives Q, K, V and Q_f; the flow's queries
    go without its bias, since with one the flow's length would matter. Both share the bias table,
    the shift mask and the keys that are lost (DropKey, equation 12: before the softmax, drawn per
    query, key, head and window). `dropkey` is 0 outside training.
    """

    heads: int
    tau: float
    tau_floor: float
    is_guided: bool = True
    dropkey: float = 0.0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x_BxVxTxD: jax.Array, flow_BxVxTxD: jax.Array, mask_VxTxT: np.ndarray | None = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return windows (B, V, T, D) and the weights (B, V, H, T, T) of "self" and "flow"."""
        *_, tokens, width = x_BxVxTxD.shape
        split = (*x_BxVxTxD.shape[:-1], self.heads, width // self.heads)
        kernel = _Kernel(3 * width, name="qkv")(width)
        names = ("q_bias", "k_bias", "v_bias")
        bias = jnp.concatenate([self.param(name, Constant(0.0), (width,)) for name in names])
        qkv = linear(x_BxVxTxD, kernel, bias, dtype=self.dtype)
        query, key, value = (part.reshape(split) for part in jnp.split(qkv, 3, axis=-1))
        window = round(tokens**0.5)
        table_RxH = self.param("bias_table", KERNEL, ((2 * window - 1) ** 2, self.heads))
        place_HxTxT = jnp.moveaxis(table_RxH[relative_place(window)], -1, 0)
        tau_H = self.param("tau", Constant(self.tau), (self.heads,))
        added = place_HxTxT if mask_VxTxT is None else place_HxTxT + mask_VxTxT[:, None]
        shape = (*x_BxVxTxD.shape[:2], self.heads, tokens, tokens)
        is_lost = lost(self.make_rng("dropout"), shape, self.dropkey) if self.dropkey else None

        def weights(logits_BxVxHxTxT: jax.Array) -> jax.Array:
            logits = logits_BxVxHxTxT.astype(jnp.float32) + added
            return jax.nn.softmax(
                logits if is_lost is None else jnp.where(is_lost, LOST, logits), axis=-1
            )

        products = "bvqhk,bvthk->bvhqt"
        scaled = query * (width // self.heads) ** -0.5
        seen = {"self": weights(jnp.einsum(products, scaled, key))}
        total = seen["self"]
        if self.is_guided:
            flow_query = linear(flow_BxVxTxD, kernel[:, :width], None, dtype=self.dtype)
            cosine = jnp.einsum(products, unit(flow_query.reshape(split)), unit(key))
            temperature_H = jnp.maximum(tau_H, self.tau_floor)[:, None, None]
            seen["flow"] = weights(cosine / temperature_H)
            # The two read the same values.
            total = total + seen["flow"]
        attended = jnp.einsum("bvhqt,bvthk->bvqhk", total.astype(self.dtype), value)
        proj = Linear(width, dtype=self.dtype, kernel_rule=KERNEL, name="proj")
        return proj(attended.reshape(x_BxVxTxD.shape)), seen


class _Kernel(nn.Module):
    """A kernel (D, features) alone: the flow reads a part of it without the bias."""

    features: int

    @nn.compact
    def __call__(self, fan_in: int) -> jax.Array:
        return self.param("kernel", KERNEL, (fan_in, self.features))


class FlowDrivenLayer(nn.Module):
    """A layer of a block: z' = LN(Driven(z, f)) + z, then LN(MLP(z')) + z' (equations 4 to 7).

    `shift` is 0 or half a window; the flow is cut and shifted as the image is.
    """

    attention: FlowDrivenAttention
    window: int
    shift: int
    ratio: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, z_BxGxGxD: jax.Array, flow_BxGxGxD: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the tokens (B, G, G, D) and what each receives of weight, (B, G, G) a map.

        That is the mean over queries and heads, times the window's tokens: 1 where all get alike.
        """
        side, width = z_BxGxGxD.shape[-2:]
        cut = (self.window, self.shift)
        mask = shift_mask(side, *cut) if self.shift else None
        attended, weights = self.attention(
            in_windows(z_BxGxGxD, *cut), in_windows(flow_BxGxGxD, *cut), mask
        )
        received = {
            name: from_windows(
                self.window**2 * jnp.mean(weight_BxVxHxTxT, axis=(2, 3))[..., None], *cut
            )[..., 0]
            for name, weight_BxVxHxTxT in weights.items()
        }
        z_BxGxGxD = LayerNorm(name="norm1")(from_windows(attended, *cut)) + z_BxGxGxD
        linear_layer: dict[str, Any] = {"dtype": self.dtype, "kernel_rule": KERNEL}
        hidden = gelu(Linear(self.ratio * width, name="fc1", **linear_layer)(z_BxGxGxD))
        fed = Linear(width, name="fc2", **linear_layer)(hidden)
        return LayerNorm(name="norm2")(fed) + z_BxGxGxD, received


class Merging(nn.Module):
    """2x2 tokens side by side, normalised, halved by a linear layer without bias (Swin v1)."""

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x_BxGxGxD: jax.Array) -> jax.Array:
        """Return (B, G / 2, G / 2, 2 D); the four stand as Swin's: down before right."""
        batch, side, _, width = x_BxGxGxD.shape
        split = x_BxGxGxD.reshape(batch, side // 2, 2, side // 2, 2, width)
        four = jnp.transpose(split, (0, 1, 3, 4, 2, 5)).reshape(batch, side // 2, side // 2, -1)
        reduction = Linear(
            2 * width, use_bias=False, dtype=self.dtype, kernel_rule=KERNEL, name="reduction"
        )
        return reduction(LayerNorm(name="norm")(four))
