"""Multi-head attention over the patches of a level (AHMSA-Net, arXiv 2501.02539, equation 4).

Letters in array names: B clips of a batch, T patches of a clip, D width, H heads, K width of a
head, E = H*K; M groups of clips, P patches of a group.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ahmsa_jax.networks.parts.layers import Linear

# Patches that one product of attention serves at least, where a batch's clips allow it.
GROUP_PATCHES = 16


class SpatialAttention(nn.Module):
    """Multi-head attention over the whole grid of a level (paper eq. 4; no windows).

    softmax(Q K^T / sqrt(K)) V per head; heads are concatenated and pass one 1x1 convolution.
    Q, K and V have no bias. The head width is D // heads, so with 256 and 3 heads the inner width
    is 255, as in HTNet. Over a single patch the softmax is exactly 1 whatever Q and K are: they
    are kept as parameters, so that checkpoints of all levels look alike, but not computed.
    """

    heads: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x_BxTxD: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the attended patches (B, T, D) and the attention maps (B, H, T, T)."""
        *batch, tokens, width = x_BxTxD.shape
        head_width = width // self.heads
        inner = self.heads * head_width

        def project(name: str) -> jax.Array:
            y = Linear(inner, use_bias=False, dtype=self.dtype, name=name)(x_BxTxD)
            return y.reshape(-1, tokens, self.heads, head_width)

        query, key, v_BxTxHxK = project("query"), project("key"), project("value")
        if tokens == 1:
            # query and key stay unread here, so the compiler drops their products.
            attention_BxHxTxT = jnp.ones((v_BxTxHxK.shape[0], self.heads, 1, 1), jnp.float32)
            z_BxTxHxK = v_BxTxHxK
        else:
            z_BxTxHxK, attention_BxHxTxT = attend(query, key, v_BxTxHxK)
        attended_BxTxD = Linear(width, dtype=self.dtype, name="output")(
            z_BxTxHxK.reshape(*batch, tokens, inner)
        )
        return attended_BxTxD, attention_BxHxTxT.reshape(*batch, self.heads, tokens, tokens)


def attend(
    query_BxTxHxK: jax.Array, key_BxTxHxK: jax.Array, value_BxTxHxK: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """softmax(Q K^T / sqrt(K)) V per clip and head: (B, T, H, K) and float32 maps (B, H, T, T).

    Clips with few patches are attended to in groups, in one product with a softmax that is masked
    to each clip's own patches. That is exact, and products of 4 by 4 cost more than those of 16 by
    16 because there are four times as many.
    """
    clips, tokens, heads, head_width = query_BxTxHxK.shape
    together = math.gcd(clips, max(1, GROUP_PATCHES // tokens))
    grouped = (clips // together, together * tokens, heads, head_width)
    query_MxPxHxK, key_MxPxHxK, value_MxPxHxK = (
        array.reshape(grouped) for array in (query_BxTxHxK, key_BxTxHxK, value_BxTxHxK)
    )
    logits = jnp.einsum("mqhk,mphk->mhqp", query_MxPxHxK, key_MxPxHxK) * head_width**-0.5
    logits_MxHxPxP = logits.astype(jnp.float32)
    if together > 1:
        clip_P = jnp.arange(together * tokens) // tokens
        own_PxP = clip_P[:, None] == clip_P
        logits_MxHxPxP = jnp.where(own_PxP, logits_MxHxPxP, -jnp.inf)
    attention_MxHxPxP = jax.nn.softmax(logits_MxHxPxP, axis=-1)
    z_MxPxHxK = jnp.einsum(
        "mhqp,mphk->mqhk", attention_MxHxPxP.astype(value_BxTxHxK.dtype), value_MxPxHxK
    )
    blocks = attention_MxHxPxP.reshape(-1, heads, together, tokens, together, tokens)
    own = jnp.moveaxis(jnp.diagonal(blocks, axis1=2, axis2=4), -1, 1)
    return z_MxPxHxK.reshape(query_BxTxHxK.shape), own.reshape(clips, heads, tokens, tokens)
