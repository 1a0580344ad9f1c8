"""The flow's encoder of MFDAN: two convolutions, each with pooling and normalisation, and features.

Khor et al., "Dual-stream shallow networks for facial micro-expression recognition" (ICIP 2019),
whose code cuts AlexNet after its second convolution. No convolution primitive: the taps are
gathered and multiplied, because weights per fold would make it a slow grouped convolution.

Letters in array names: B clips, H rows, W columns, C channels, D width.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ahmsa_jax.networks.initial import UniformByFanIn
from ahmsa_jax.networks.mfdan import Convolution
from ahmsa_jax.networks.parts.layers import Linear, linear
from ahmsa_jax.networks.parts.noise import dropped

# Local response normalisation as in SSSN's code: neighbours, factor, exponent, constant.
LRN_SIZE, LRN_ALPHA, LRN_BETA, LRN_K = 5, 1e-4, 0.75, 2.0


class FlowEncoder(nn.Module):
    """Flow (B, P, P, 3) in 0..1 -> features (B, D).

    Each convolution is followed by ReLU, max-pooling and local response normalisation; then
    dropout and one linear layer without activation. Initial values are PyTorch's.
    """

    convolutions: tuple[Convolution, ...]
    features: int
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, flow_BxHxWxC: jax.Array) -> jax.Array:
        """Return the features; dropout above 0 needs the random stream "dropout"."""
        x = flow_BxHxWxC
        for number, convolution in enumerate(self.convolutions):
            x = _Convolution(convolution, self.dtype, name=f"conv{number + 1}")(x)
            x = max_pool(nn.relu(x), convolution.pool, convolution.pool_stride)
            x = local_response_norm(x)
        features_BxD = x.reshape(len(x), -1)
        if self.dropout:
            features_BxD = dropped(self.make_rng("dropout"), features_BxD, self.dropout)
        return Linear(self.features, dtype=self.dtype, name="fc")(features_BxD)


class _Convolution(nn.Module):
    """Kernel (rows * columns * channels of a group, filters), in this order, and bias."""

    shape: Convolution
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x_BxHxWxC: jax.Array) -> jax.Array:
        shape = self.shape
        fan_in = shape.side**2 * x_BxHxWxC.shape[-1] // shape.groups
        init = UniformByFanIn(fan_in)
        kernel = self.param("kernel", init, (fan_in, shape.filters))
        bias = self.param("bias", init, (shape.filters,))
        taps = gathered_taps(x_BxHxWxC, shape.side, shape.stride, shape.padding)
        # Filters of a group see its channels alone, as in PyTorch.
        channels, filters = taps.shape[-1] // shape.groups, shape.filters // shape.groups
        parts = []
        for group in range(shape.groups):
            own = taps[..., group * channels : (group + 1) * channels]
            flat = own.reshape(*own.shape[:3], -1)
            columns = slice(group * filters, (group + 1) * filters)
            parts.append(linear(flat, kernel[:, columns], bias[columns], dtype=self.dtype))
        return jnp.concatenate(parts, axis=-1)


def gathered_taps(x_BxHxWxC: jax.Array, side: int, stride: int, padding: int) -> jax.Array:
    """What each place of a convolution reads: (B, rows, columns, side * side, C), zeros outside."""
    room = (padding, padding)
    x = jnp.pad(x_BxHxWxC, ((0, 0), room, room, (0, 0)))
    rows, columns = ((size - side) // stride + 1 for size in x.shape[1:3])
    taps = [
        x[:, top : top + stride * (rows - 1) + 1 : stride][
            :, :, left : left + stride * (columns - 1) + 1 : stride
        ]
        for top in range(side)
        for left in range(side)
    ]
    return jnp.stack(taps, axis=3)


def max_pool(x_BxHxWxC: jax.Array, side: int, stride: int) -> jax.Array:
    """Largest value of each window; rows and columns that fill none are left out, as in PyTorch."""
    taps = gathered_taps(x_BxHxWxC, side, stride, 0)
    return functools.reduce(jnp.maximum, [taps[..., tap, :] for tap in range(side**2)])


def local_response_norm(x_BxHxWxC: jax.Array) -> jax.Array:
    """x / (k + alpha times the sum of squares of 5 neighbouring channels)^beta.

    As AlexNet's paper and SSSN's code write it; PyTorch's divides alpha by the 5.
    """
    reach = LRN_SIZE // 2
    channels = x_BxHxWxC.shape[-1]
    square = jnp.square(x_BxHxWxC.astype(jnp.float32))
    padded = jnp.pad(square, [(0, 0)] * (square.ndim - 1) + [(reach, reach)])
    total = sum(padded[..., shift : shift + channels] for shift in range(LRN_SIZE))
    return (x_BxHxWxC * (LRN_K + LRN_ALPHA * total) ** -LRN_BETA).astype(x_BxHxWxC.dtype)
