"""The flow's encoder of MFDAN: two convolutions, each with pooling and normalisation, and features.

Khor et al., "Dual-stream shallow networks for facial micro-expression recognition" (ICIP 2019),
whose code cuts AlexNet after its second convolution. No convolution primitive: what a
place reads is gathered and multiplied, because weights per fold would make it a slow grouped
convolution.

Letters in array names: B clips, H rows, W columns, C channels, D width or
filters, K side of a kernel.
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
        # Filters of a group see its channels alone, as in PyTorch.
        channels, filters = x_BxHxWxC.shape[-1] // shape.groups, shape.filters // shape.groups
        parts = []
        for group in range(shape.groups):
            own = x_BxHxWxC[..., group * channels : (group + 1) * channels]
            columns = slice(group * filters, (group + 1) * filters)
            taps = in_blocks(own, shape.side, shape.stride, shape.padding)
            of_group = kernel[:, columns].reshape(shape.side, shape.side, channels, filters)
            flat = kernel_in_blocks(of_group, shape.stride)
            parts.append(linear(taps, flat, bias[columns], dtype=self.dtype))
        return jnp.concatenate(parts, axis=-1)


def in_blocks(x_BxHxWxC: jax.Array, side: int, stride: int, padding: int) -> jax.Array:
    """What each place of a convolution reads: (B, rows, columns, values), zeros outside.

    The picture is first cut into blocks of stride x stride pixels, so that a place reads a few
    whole blocks beside each other instead of many single pixels: for 11x11 pixels at stride 4, 9
    slices instead of 121. The last blocks hold pixels that the kernel has no weight for.
    """
    blocks = -(-side // stride)
    size = x_BxHxWxC.shape[1] + 2 * padding
    places = (size - side) // stride + 1
    lines = (places - 1 + blocks) * stride
    # Lines after the last whole place are cut off, those that its blocks lack are zeros.
    x = jnp.pad(x_BxHxWxC, ((0, 0), *[(padding, padding + max(0, lines - size))] * 2, (0, 0)))
    batch, channels = len(x), x.shape[-1]
    split = x[:, :lines, :lines].reshape(
        batch, lines // stride, stride, lines // stride, stride, channels
    )
    grid = jnp.swapaxes(split, 2, 3).reshape(batch, lines // stride, lines // stride, -1)
    beside = [
        grid[:, top : top + places, left : left + places]
        for top in range(blocks)
        for left in range(blocks)
    ]
    return jnp.concatenate(beside, axis=-1)


def kernel_in_blocks(kernel_KxKxCxD: jax.Array, stride: int) -> jax.Array:
    """A kernel as a matrix (values, filters) for what in_blocks reads, zeros where it ends."""
    side, _, channels, filters = kernel_KxKxCxD.shape
    blocks = -(-side // stride)
    room = (0, blocks * stride - side)
    whole = jnp.pad(kernel_KxKxCxD, (room, room, (0, 0), (0, 0)))
    split = whole.reshape(blocks, stride, blocks, stride, channels, filters)
    return jnp.swapaxes(split, 1, 2).reshape(-1, filters)


def max_pool(x_BxHxWxC: jax.Array, side: int, stride: int) -> jax.Array:
    """Largest value of each window; rows and columns that fill none are left out, as in PyTorch.

    First along rows, then along columns.
    """
    for axis in (1, 2):
        places = (x_BxHxWxC.shape[axis] - side) // stride + 1
        end = stride * (places - 1) + 1
        lines = [
            jax.lax.slice_in_dim(x_BxHxWxC, tap, tap + end, stride, axis) for tap in range(side)
        ]
        x_BxHxWxC = functools.reduce(jnp.maximum, lines)
    return x_BxHxWxC


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
