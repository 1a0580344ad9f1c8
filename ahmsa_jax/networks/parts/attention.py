"""Multi-head attention over the patches of a level (AHMSA-Net, arXiv 2501.02539, equation 4).

Letters in array names: B clips of a batch, T patches of a clip, D width, H heads, K width of a
head, E = H*K; M groups of clips, P patches of a group, R = M*H, N = R*P rows.
"""

import functools
import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ahmsa_jax.networks.parts import attention_kernel, own_kernels
from ahmsa_jax.networks.parts.layers import Added, Linear, Weights, aligned
from ahmsa_jax.networks.parts.residual import Change

# Patches that one product of attention serves at least, where a batch's clips allow it.
GROUP_PATCHES = 16
# Heads are filled up to an aligned width where they grow by a twelfth at most: narrow ones would
# make more work than a library's fast programs save.
MOST_FILLED = 13 / 12


class SpatialAttention(nn.Module):
    """Multi-head attention over the whole grid of a level (paper eq. 4; no windows).

    softmax(Q K^T / sqrt(K)) V per head; heads are concatenated and pass one 1x1 convolution.
    Q, K and V have no bias. The head width is D // heads, so with 256 and 3 heads the inner width
    is 255, as in HTNet. Over a single patch the softmax is exactly 1 whatever Q and K are: they
    are kept as parameters, so that checkpoints of all levels look alike, but not computed.

    Q, K and V come from one product, in which zeros fill wide heads up to an aligned width.
    """

    heads: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x_BxTxD: jax.Array) -> tuple[Change, jax.Array]:
        """Return what is to be added to the patches (B, T, D), and the maps (B, H, T, T)."""
        *batch, tokens, width = x_BxTxD.shape
        inner = self.heads * (width // self.heads)
        if tokens == 1:
            for unused in ("query", "key"):
                Weights(inner, use_bias=False, name=unused)(width)
            value_BxTxE = Linear(inner, use_bias=False, dtype=self.dtype, name="value")(x_BxTxD)
            change = Added(width, dtype=self.dtype, name="output")(value_BxTxE)
            return change, jnp.ones((*batch, self.heads, 1, 1), jnp.float32)
        kernels = [
            Weights(inner, use_bias=False, name=name)(width)[0]
            for name in ("query", "key", "value")
        ]
        kernel_ExD, bias_D = Weights(width, name="output")(inner)
        attended_BxTxD, attention_BxHxTxT = _attended(
            x_BxTxD,
            kernels,
            kernel_ExD,
            heads=self.heads,
            dtype=self.dtype,
            own_kernel=own_kernels.are_used(),
        )
        return Change(attended_BxTxD, bias_D), attention_BxHxTxT.reshape(
            *batch, self.heads, tokens, tokens
        )


@functools.partial(jax.jit, static_argnames=("heads", "dtype", "own_kernel"))
def _attended(
    x_BxTxD: jax.Array,
    kernels: Sequence[jax.Array],
    kernel_ExD: jax.Array,
    *,
    heads: int,
    dtype: DTypeLike,
    own_kernel: bool,
) -> tuple[jax.Array, jax.Array]:
    """Attended patches (B, T, D) without the bias, maps (B, H, T, T), from the layers' kernels."""
    *_, tokens, width = x_BxTxD.shape
    inner = len(kernel_ExD)
    head_width = inner // heads
    filled = aligned(head_width, dtype)
    if filled * heads > inner * MOST_FILLED:
        filled = head_width
    columns = [
        _filled(kernel.astype(dtype).reshape(width, heads, -1), 2, filled).reshape(width, -1)
        for kernel in kernels
    ]
    y_Nx3E = x_BxTxD.astype(dtype).reshape(-1, width) @ jnp.concatenate(columns, axis=1)

    def plain(y_Nx3E: jax.Array) -> tuple[jax.Array, jax.Array]:
        y = y_Nx3E.reshape(-1, tokens, 3, heads, filled)
        query, key, value = (y[:, :, place] for place in range(3))
        z_BxTxHxK, attention_BxHxTxT = attend(query, key, value, head_width)
        return z_BxTxHxK.reshape(-1, heads * filled), attention_BxHxTxT

    z_NxE, attention_BxHxTxT = plain(y_Nx3E)
    if own_kernel and attention_kernel.ROWS % tokens == 0:
        # What is computed above serves the maps alone, for those who ask for them.
        z_NxE = attention_kernel.attended(
            y_Nx3E, tokens, heads, head_width, lambda y_Nx3E: plain(y_Nx3E)[0]
        )
    split_HxKxD = kernel_ExD.astype(dtype).reshape(heads, -1, width)
    output = _filled(split_HxKxD, 1, filled).reshape(-1, width)
    y = z_NxE @ output
    return y.reshape(x_BxTxD.shape), attention_BxHxTxT


def _filled(array: jax.Array, axis: int, length: int) -> jax.Array:
    """The array with zeros at the end of one axis."""
    room = [(0, 0)] * array.ndim
    room[axis] = (0, length - array.shape[axis])
    return jnp.pad(array, room)


def attend(
    query_BxTxHxK: jax.Array,
    key_BxTxHxK: jax.Array,
    value_BxTxHxK: jax.Array,
    head_width: int | None = None,
) -> tuple[jax.Array, jax.Array]:
    """softmax(Q K^T / sqrt(K)) V per clip and head: (B, T, H, K) and float32 maps (B, H, T, T).

    `head_width` is K where zeros fill the arrays up. Clips with few patches are attended to in
    groups, in one product with a softmax that is masked to each clip's own patches. That is exact,
    and products of 4 by 4 cost more than those of 16 by 16 because there are four times as many.
    """
    clips, tokens, heads, filled = query_BxTxHxK.shape
    together = math.gcd(clips, max(1, GROUP_PATCHES // tokens))
    patches = together * tokens

    def by_group(array_BxTxHxK: jax.Array) -> jax.Array:
        """Groups and heads on one axis: (R, P, K).

        A GPU's compiler weighs the ways to cut an array along each of its axes, and takes minutes
        over arrays of five axes where those of three take it a second.
        """
        grouped = array_BxTxHxK.reshape(clips // together, patches, heads, filled)
        return jnp.swapaxes(grouped, 1, 2).reshape(-1, patches, filled)

    query_RxPxK, key_RxPxK, value_RxPxK = map(by_group, (query_BxTxHxK, key_BxTxHxK, value_BxTxHxK))
    logits = jnp.einsum("rqk,rpk->rqp", query_RxPxK, key_RxPxK)
    logits_NxP = (logits * (head_width or filled) ** -0.5).astype(jnp.float32).reshape(-1, patches)
    if together > 1:
        clip_P = np.arange(patches) // tokens
        own_NxP = jnp.tile(clip_P[:, None] == clip_P, (len(logits), 1))
        logits_NxP = jnp.where(own_NxP, logits_NxP, -jnp.inf)
    attention_RxPxP = jax.nn.softmax(logits_NxP, axis=-1).reshape(logits.shape)
    z_RxPxK = jnp.einsum("rqp,rpk->rqk", attention_RxPxP.astype(value_BxTxHxK.dtype), value_RxPxK)
    blocks = attention_RxPxP.reshape(-1, heads, together, tokens, together, tokens)
    own = jnp.moveaxis(jnp.diagonal(blocks, axis1=2, axis2=4), -1, 1)
    z_BxTxHxK = jnp.swapaxes(z_RxPxK.reshape(-1, heads, patches, filled), 1, 2)
    return z_BxTxHxK.reshape(query_BxTxHxK.shape), own.reshape(clips, heads, tokens, tokens)
