"""Building blocks of AHMSA-Net (Zhang et al., arXiv 2501.02539) on a sequence of flow patches.

Letters in array names: B clips of a batch, G side of a level's square grid, T = G*G patches,
N = B*T rows of a product, D width, I squeezed width. Features stand last and contiguous; 1x1
convolutions are matrix products, because a convolution primitive with weights per fold becomes a
slow grouped convolution under vmap.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ahmsa_jax.networks.initial import Constant, Rule, UniformByFanIn
from ahmsa_jax.networks.parts.activations import gelu
from ahmsa_jax.networks.parts.pooling import largest
from ahmsa_jax.networks.parts.product import product
from ahmsa_jax.networks.parts.residual import Change

LAYER_NORM_EPS = 1e-5
# Collections for those who ask for them, by the path of a layer's kernel: what the layer is given,
# and zeros that it adds to what it returns, whose gradient is the output's. From those who have it:
# the kernel as in_compute_type gives it.
LAYER_INPUT, LAYER_OUTPUT, LAYER_COPY = "layer_input", "layer_output", "layer_copy"


def aligned(width: int, dtype: DTypeLike) -> int:
    """The width itself where its rows are whole 16 bytes, else the next multiple of 8.

    Matrix products on a GPU have their fast programs for such rows only.
    """
    return width if width * jnp.dtype(dtype).itemsize % 16 == 0 else -(-width // 8) * 8


class Weights(nn.Module):
    """The parameters of a linear layer: kernel (D, features) and, unless off, bias (features,)."""

    features: int
    use_bias: bool = True

    @nn.compact
    def __call__(self, fan_in: int) -> tuple[jax.Array, ...]:
        """Return the kernel and, unless off, the bias, float32."""
        init = UniformByFanIn(fan_in)
        kernel = self.param("kernel", init, (fan_in, self.features))
        return (kernel, self.param("bias", init, (self.features,))) if self.use_bias else (kernel,)


class _Product(nn.Module):
    """What a linear layer's parameters make, over the last axis: (..., D) -> (..., features).

    Parameters as those of Weights, or the kernel as `kernel_rule` says and a bias of 0. Inside the
    product zeros fill both widths up to aligned ones.
    """

    features: int
    use_bias: bool = True
    dtype: DTypeLike = jnp.float32
    kernel_rule: Rule | None = None

    def product(self, x: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        """Return x @ kernel in the compute dtype, and the bias, float32, unless off."""
        fan_in = x.shape[-1]
        uniform = UniformByFanIn(fan_in)
        kernel_rule = self.kernel_rule or uniform
        bias_rule = Constant(0.0) if self.kernel_rule else uniform
        kernel = self.param("kernel", kernel_rule, (fan_in, self.features))
        bias = self.param("bias", bias_rule, (self.features,)) if self.use_bias else None
        self.sow(LAYER_INPUT, "kernel", x)
        has_copy = self.has_variable(LAYER_COPY, "kernel")
        copy = self.get_variable(LAYER_COPY, "kernel") if has_copy else None
        y = linear(x, kernel, None, dtype=self.dtype, copy=copy)
        return self.perturb("kernel", y, collection=LAYER_OUTPUT), bias


class Linear(_Product):
    """Linear layer over the last axis: a 1x1 convolution of the paper. (..., D) -> (..., features).

    Parameters as those of Weights, or the kernel as `kernel_rule` says and a bias of 0.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return x @ kernel + bias in the compute dtype."""
        y, bias = self.product(x)
        return y if bias is None else y + bias.astype(self.dtype)


class Added(_Product):
    """A linear layer whose result is added to patches: (..., D) -> Change (..., features)."""

    @nn.compact
    def __call__(self, x: jax.Array) -> Change:
        """Return x @ kernel in the compute dtype, and the bias."""
        y, bias = self.product(x)
        assert bias is not None, "what is added has a bias"
        return Change(y, bias)


# Functions of modules that a network has many of are jitted one by one: JAX traces each once for
# all modules of one size, and the compiler sees them in place all the same.
@functools.partial(jax.jit, static_argnames="dtype")
def linear(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array | None,
    *,
    dtype: DTypeLike,
    copy: jax.Array | None = None,
) -> jax.Array:
    """Return x @ kernel + bias over the last axis, computed in `dtype`.

    `copy` is what in_compute_type makes of the kernel, where that is at hand.
    """
    fan_in, features = kernel.shape
    copy = in_compute_type(kernel, dtype) if copy is None else copy
    # All leading axes as one: a product that sums over several axes for the kernel's gradient
    # makes the compiler write transposed copies of what it multiplies.
    x_NxD = x.astype(dtype).reshape(-1, fan_in)
    if len(copy) > fan_in:
        x_NxD = jnp.pad(x_NxD, ((0, 0), (0, len(copy) - fan_in)))
    y = product(x_NxD, copy)[:, :features]
    if bias is not None:
        y = y + bias.astype(dtype)
    return y.reshape(*x.shape[:-1], features)


def in_compute_type(kernel: jax.Array, dtype: DTypeLike) -> jax.Array:
    """The kernel as its product reads it: in `dtype`, zeros filling both widths to aligned ones."""
    rows, columns = (aligned(width, dtype) - width for width in kernel.shape)
    kernel = kernel.astype(dtype)
    return jnp.pad(kernel, ((0, rows), (0, columns))) if rows or columns else kernel


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _layer_norm(
    x: jax.Array, scale_D: jax.Array, bias_D: jax.Array, eps: float = LAYER_NORM_EPS
) -> jax.Array:
    """Normalise the last axis (paper eq. 3): (x - mean) / sqrt(variance + eps) * scale + bias.

    The variance is the biased one, as in PyTorch. Statistics are float32 whatever x is. The
    gradient is written out in closed form: differentiating the forward pass step by step costs a
    third of a training step on a CPU.
    """
    return _layer_norm_forward(x, scale_D, bias_D, eps)[0]


# What the backward pass reads: the input, its mean, its inverse deviation, and the scale.
Saved = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


def _layer_norm_forward(
    x: jax.Array, scale_D: jax.Array, bias_D: jax.Array, eps: float
) -> tuple[jax.Array, Saved]:
    x32, mean, inverse_std = layer_statistics(x, eps)
    y = (x32 - mean) * inverse_std * scale_D + bias_D
    return y.astype(x.dtype), (x, mean, inverse_std, scale_D)


def layer_statistics(x: jax.Array, eps: float) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return x in float32, its mean and its inverse deviation over the last axis, (..., 1)."""
    x32 = x.astype(jnp.float32)
    # One pass over x, which the compiler joins to the kernel that writes x.
    mean = jnp.mean(x32, axis=-1, keepdims=True)
    square = jnp.mean(jnp.square(x32), axis=-1, keepdims=True)
    inverse_std = jax.lax.rsqrt(jnp.maximum(square - jnp.square(mean), 0) + eps)
    # The compiler would compute them again wherever they are used, reading x each time.
    mean, inverse_std = jax.lax.optimization_barrier((mean, inverse_std))
    return x32, mean, inverse_std


def _layer_norm_backward(
    eps: float, saved: Saved, dy: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    x, mean, inverse_std, scale_D = saved
    # Not the normalised values: x is kept for the residual connection anyway.
    normal = (x.astype(jnp.float32) - mean) * inverse_std
    dy32 = dy.astype(jnp.float32)
    rows = tuple(range(dy.ndim - 1))
    d_scale_D = jnp.sum(dy32 * normal, axis=rows)
    d_bias_D = jnp.sum(dy32, axis=rows)
    d_normal = dy32 * scale_D
    along = jnp.mean(d_normal * normal, axis=-1, keepdims=True)
    dx = (d_normal - jnp.mean(d_normal, axis=-1, keepdims=True) - normal * along) * inverse_std
    return dx.astype(x.dtype), d_scale_D, d_bias_D


_layer_norm.defvjp(_layer_norm_forward, _layer_norm_backward)
layer_norm = jax.jit(_layer_norm, static_argnums=3)


class Normalising(nn.Module):
    """What modules with a layer normalisation share: its learned scale (1) and bias (0)."""

    eps: float = LAYER_NORM_EPS

    def affine(self, width: int) -> tuple[jax.Array, jax.Array]:
        """Return scale and bias, (D,) float32."""
        scale_D = self.param("scale", Constant(1.0), (width,))
        return scale_D, self.param("bias", Constant(0.0), (width,))


class LayerNorm(Normalising):
    """Layer normalisation over features (paper eq. 3) with learned scale (1) and bias (0)."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the normalised array, shape and dtype as given."""
        return layer_norm(x, *self.affine(x.shape[-1]), self.eps)


class ChannelAttention(nn.Module):
    """Weigh each channel by what its average and its maximum over the grid say (section 3.4).

    Both poolings pass the same two bias-free 1x1 convolutions (D -> D/reduction -> D) with ReLU
    between, are summed and squashed by a sigmoid; reduction and sharing as in CBAM (Woo et al.,
    ECCV 2018), the paper being silent.
    """

    reduction: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x_BxTxD: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the weighted patches (B, T, D) and the channel weights (B, D) in 0..1."""
        width = x_BxTxD.shape[-1]
        inner = max(1, width // self.reduction)
        (squeeze_DxI,) = Weights(inner, use_bias=False, name="squeeze")(width)
        (expand_IxD,) = Weights(width, use_bias=False, name="expand")(inner)
        weight_BxD = _channel_weights(x_BxTxD, squeeze_DxI, expand_IxD, dtype=self.dtype)
        return x_BxTxD * weight_BxD[..., None, :], weight_BxD


@functools.partial(jax.jit, static_argnames="dtype")
def _channel_weights(
    x_BxTxD: jax.Array, squeeze_DxI: jax.Array, expand_IxD: jax.Array, *, dtype: DTypeLike
) -> jax.Array:
    """Weight of each channel, (B, D) in 0..1."""

    def weights(pooled: jax.Array) -> jax.Array:
        hidden = nn.relu(linear(pooled, squeeze_DxI, None, dtype=dtype))
        return linear(hidden, expand_IxD, None, dtype=dtype)

    if x_BxTxD.shape[-2] == 1:
        # Average and maximum of one patch are the patch: one pass, counted twice, is exact.
        return nn.sigmoid(2 * weights(x_BxTxD[..., 0, :]))
    pooled_2xBxD = jnp.stack([jnp.mean(x_BxTxD, axis=-2), largest(x_BxTxD)])
    return nn.sigmoid(jnp.sum(weights(pooled_2xBxD), axis=0))


class FeedForward(nn.Module):
    """Two 1x1 convolutions with an activation between (section 3.4): D -> ratio*D -> D."""

    ratio: int
    activation: str
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x_BxTxD: jax.Array) -> Change:
        """Return what is to be added to the patches (B, T, D)."""
        width = x_BxTxD.shape[-1]
        # As rows: between axes of clips and patches a GPU's compiler may put transposed copies.
        x_NxD = x_BxTxD.reshape(-1, width)
        hidden = Linear(self.ratio * width, dtype=self.dtype, name="expand")(x_NxD)
        hidden = gelu(hidden) if self.activation == "gelu" else nn.relu(hidden)
        change = Added(width, dtype=self.dtype, name="project")(hidden)
        return change._replace(product=change.product.reshape(x_BxTxD.shape))


def patches_from_maps(flow_BxHxWxC: jax.Array, patch: int) -> jax.Array:
    """Cut maps into non-overlapping patches: (B, H, W, C) -> (B, H/patch * W/patch, patch^2 * C).

    Patches stand row by row; the values of one as (row, column, channel), as in HTNet.
    """
    *batch, height, width, channels = flow_BxHxWxC.shape
    rows, columns = height // patch, width // patch
    split = flow_BxHxWxC.reshape(*batch, rows, patch, columns, patch, channels)
    split = jnp.moveaxis(split, -4, -3)
    return split.reshape(*batch, rows * columns, patch * patch * channels)
