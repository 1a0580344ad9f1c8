"""Attention over the patches of a clip's frames and across two branches (HSTA).

Hao et al., "Hierarchical Space-Time Attention for Micro-Expression Recognition", equations 1 to
13, and its public code. Modules and parameters are named as in the code's state dict.

Letters in array names: B clips, T tokens (the class token first), N patches, D width, E width of
the other branch, H heads, K width of a head.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ahmsa_jax.networks.initial import Constant, JointNormal, Rule
from ahmsa_jax.networks.parts.activations import gelu
from ahmsa_jax.networks.parts.attention import attend
from ahmsa_jax.networks.parts.layers import LayerNorm, Linear
from ahmsa_jax.networks.parts.noise import dropped, path_dropped

# The code's: of all norms, and of all linear layers' kernels.
EPS = 1e-6
KERNEL = JointNormal(0.02)


def sinusoid(tokens: int, width: int) -> np.ndarray:
    """Fixed vector of each place, (tokens, width) float32: sines at even, cosines at odd channels.

    Of p / 10000^(2 (j // 2) / width) for place p and channel j (Vaswani et al., arXiv 1706.03762).
    """
    channel_D = np.arange(width)
    angle_TxD = np.arange(tokens)[:, None] / 10000.0 ** (2 * (channel_D // 2) / width)
    return np.where(channel_D % 2, np.cos(angle_TxD), np.sin(angle_TxD)).astype(np.float32)


class SelfAttention(nn.Module):
    """Attention of all tokens to all tokens.

    As the code has it: biases of queries and values, none of keys, and an output layer; `is_plain`
    (equations 2 and 3): neither.
    """

    heads: int
    is_plain: bool = False
    dtype: DTypeLike = jnp.float32
    kernel_rule: Rule = KERNEL

    @nn.compact
    def __call__(self, x_BxTxD: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the attended tokens (B, T, D) and the class token's weights (B, H, T)."""
        batch, tokens, width = x_BxTxD.shape
        qkv = Linear(
            3 * width, use_bias=False, dtype=self.dtype, kernel_rule=self.kernel_rule, name="qkv"
        )
        qkv_BxTx3D = qkv(x_BxTxD)
        if not self.is_plain:
            q_bias = self.param("q_bias", Constant(0.0), (width,))
            v_bias = self.param("v_bias", Constant(0.0), (width,))
            bias = jnp.concatenate([q_bias, jnp.zeros_like(v_bias), v_bias])
            qkv_BxTx3D = qkv_BxTx3D + bias.astype(self.dtype)
        split = qkv_BxTx3D.reshape(batch, tokens, 3, self.heads, width // self.heads)
        z_BxTxHxK, weight_BxHxTxT = attend(split[:, :, 0], split[:, :, 1], split[:, :, 2])
        z_BxTxD = z_BxTxHxK.reshape(batch, tokens, width)
        if not self.is_plain:
            z_BxTxD = Linear(width, dtype=self.dtype, kernel_rule=self.kernel_rule, name="proj")(
                z_BxTxD
            )
        return z_BxTxD, weight_BxHxTxT[:, :, 0]


class Mlp(nn.Module):
    """Feed-forward of the code: D -> 4 D -> D, exact GELU, dropout after both layers."""

    ratio: int
    dropout: float
    dtype: DTypeLike = jnp.float32
    kernel_rule: Rule = KERNEL

    @nn.compact
    def __call__(self, x_BxTxD: jax.Array) -> jax.Array:
        """Return the transformed tokens (B, T, D)."""
        width = x_BxTxD.shape[-1]
        linear: dict[str, Any] = {"dtype": self.dtype, "kernel_rule": self.kernel_rule}
        hidden = gelu(Linear(self.ratio * width, name="fc1", **linear)(x_BxTxD))
        hidden = with_dropout(self, hidden, self.dropout)
        return with_dropout(self, Linear(width, name="fc2", **linear)(hidden), self.dropout)


def with_dropout(module: nn.Module, values: jax.Array, rate: float) -> jax.Array:
    """The values after dropout from the module's random stream; rate 0 needs no stream."""
    return dropped(module.make_rng("dropout"), values, rate) if rate else values


class UstaLayer(nn.Module):
    """One layer of unimodal space-time attention as in the code: attention, then feed-forward.

    Each has a LayerNorm before it and a residual connection around it. `dropout` and `drop_path`
    are 0 outside training.
    """

    heads: int
    ratio: int
    dropout: float = 0.0
    drop_path: float = 0.0
    dtype: DTypeLike = jnp.float32
    kernel_rule: Rule = KERNEL

    @nn.compact
    def __call__(self, z_BxTxD: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the tokens (B, T, D) and the class token's weights (B, H, T)."""
        attention = SelfAttention(
            self.heads, dtype=self.dtype, kernel_rule=self.kernel_rule, name="attn"
        )
        added, weight_BxHxT = attention(LayerNorm(EPS, name="norm1")(z_BxTxD))
        z_BxTxD = z_BxTxD + self._kept(with_dropout(self, added, self.dropout))
        mlp = Mlp(self.ratio, self.dropout, self.dtype, self.kernel_rule, name="mlp")
        return z_BxTxD + self._kept(mlp(LayerNorm(EPS, name="norm2")(z_BxTxD))), weight_BxHxT

    def _kept(self, added: jax.Array) -> jax.Array:
        rate = self.drop_path
        return path_dropped(self.make_rng("dropout"), added, rate) if rate else added


class DescribedUstaLayer(nn.Module):
    """One layer by equations 1 to 4: LayerNorm(z + softmax(q k^T / sqrt(D)) v), no noise."""

    dtype: DTypeLike = jnp.float32
    kernel_rule: Rule = KERNEL

    @nn.compact
    def __call__(self, z_BxTxD: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the tokens (B, T, D) and the class token's weights (B, 1, T)."""
        attention = SelfAttention(
            1, is_plain=True, dtype=self.dtype, kernel_rule=self.kernel_rule, name="attn"
        )
        added, weight_BxHxT = attention(z_BxTxD)
        return LayerNorm(EPS, name="norm1")(z_BxTxD + added), weight_BxHxT


class CrossAttention(nn.Module):
    """Attention of a class token to itself and the other branch's patches (equations 9 and 10).

    As the code has it: norm first, biases, an output layer; `is_plain` (the equations): neither,
    and one head. Returned is what is to be added to the class token.
    """

    heads: int
    is_plain: bool = False
    dtype: DTypeLike = jnp.float32
    kernel_rule: Rule = KERNEL

    @nn.compact
    def __call__(self, t_BxTxE: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the class token's increment (B, 1, E) and its weights (B, H, T)."""
        if not self.is_plain:
            t_BxTxE = LayerNorm(EPS, name="norm1")(t_BxTxE)
        products = (self.heads, self.is_plain, self.dtype, self.kernel_rule)
        return _CrossProducts(*products, name="attn")(t_BxTxE)


class _CrossProducts(nn.Module):
    heads: int
    is_plain: bool
    dtype: DTypeLike
    kernel_rule: Rule

    @nn.compact
    def __call__(self, t_BxTxE: jax.Array) -> tuple[jax.Array, jax.Array]:
        batch, _, width = t_BxTxE.shape
        heads = 1 if self.is_plain else self.heads

        def split(tokens: jax.Array, name: str) -> jax.Array:
            linear = Linear(width, not self.is_plain, self.dtype, self.kernel_rule, name=name)
            return linear(tokens).reshape(batch, -1, heads, width // heads)

        query, key, value = split(t_BxTxE[:, :1], "wq"), split(t_BxTxE, "wk"), split(t_BxTxE, "wv")
        logits_BxHxT = jnp.einsum("bqhk,bthk->bht", query, key) * (width // heads) ** -0.5
        weight_BxHxT = jax.nn.softmax(logits_BxHxT.astype(jnp.float32), axis=-1)
        seen = jnp.einsum("bht,bthk->bhk", weight_BxHxT.astype(self.dtype), value)
        added_Bx1xE = seen.reshape(batch, 1, width)
        if not self.is_plain:
            added_Bx1xE = Linear(
                width, dtype=self.dtype, kernel_rule=self.kernel_rule, name="proj"
            )(added_Bx1xE)
        return added_Bx1xE, weight_BxHxT


def tubelets(frames_BxFxHxWxC: jax.Array, frames: int, patch: int) -> jax.Array:
    """Non-overlapping patches of `frames` frames: (B, N, frames * patch^2 * C).

    Patches stand by time, row, column and hold (frame, row, column, channel); the rows and columns
    that are left over are cut off.
    """
    batch, count, height, width, channels = frames_BxFxHxWxC.shape
    times, rows, columns = count // frames, height // patch, width // patch
    whole = frames_BxFxHxWxC[:, : times * frames, : rows * patch, : columns * patch]
    split = whole.reshape(batch, times, frames, rows, patch, columns, patch, channels)
    split = jnp.transpose(split, (0, 1, 3, 5, 2, 4, 6, 7))
    return split.reshape(batch, times * rows * columns, -1)
