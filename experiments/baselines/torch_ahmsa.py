"""AHMSA-Net (Zhang et al., arXiv 2501.02539) in PyTorch, in two forms; needs the baselines extra.

`EagerAHMSANet` is written as the field's public scripts are: channels first, 1x1 Conv2d, Q and K
computed at every level. `ExpertAHMSANet` is what an experienced user would run: the same parts as
Linear layers over (B, T, D), fused attention and normalisation, nothing computed that cannot
matter. Both compute the same function as ahmsa_jax.AHMSANet and name their parts alike.

Letters in array names: B clips, T = G*G patches, G side of the grid, D width, H heads, K width of
a head.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own name for it)
from torch import nn

from ahmsa_jax.networks.ahmsa import ModelConfig
from experiments.baselines.torch_norm import EPS, ChannelNorm

Form = Literal["eager", "expert"]


def build(form: Form, config: ModelConfig) -> nn.Module:
    """The network in one of its forms, with PyTorch's own initial parameters."""
    return EagerAHMSANet(config) if form == "eager" else ExpertAHMSANet(config)


# Of inputs, outputs and whether there is a bias: a linear map of each patch.
Linear = Callable[..., nn.Module]


class ChannelAttention(nn.Module):
    """CBAM's channel attention over (B, D, G, G): both poolings pass the same two maps."""

    def __init__(self, linear: Linear, width: int, config: ModelConfig) -> None:
        super().__init__()
        inner = max(1, width // config.reduction)
        self.squeeze = linear(width, inner, bias=False)
        self.expand = linear(inner, width, bias=False)

    def forward(self, x_BxDxGxG: torch.Tensor) -> torch.Tensor:
        """Return the weighted channels."""
        pooled = F.adaptive_avg_pool2d(x_BxDxGxG, 1), F.adaptive_max_pool2d(x_BxDxGxG, 1)
        average, maximum = (self.expand(torch.relu(self.squeeze(one))) for one in pooled)
        return x_BxDxGxG * torch.sigmoid(average + maximum)


class ExpertChannelAttention(ChannelAttention):
    """The same over (B, T, D); over one patch both poolings are the patch."""

    def forward(self, x_BxTxD: torch.Tensor) -> torch.Tensor:
        """Return the weighted patches."""
        if x_BxTxD.shape[1] == 1:
            weight_Bx1xD = 2 * self.expand(torch.relu(self.squeeze(x_BxTxD)))
        else:
            pooled = torch.stack([x_BxTxD.mean(dim=1), x_BxTxD.amax(dim=1)])
            weight_Bx1xD = self.expand(torch.relu(self.squeeze(pooled))).sum(dim=0)[:, None]
        return x_BxTxD * torch.sigmoid(weight_Bx1xD)


class SpatialAttention(nn.Module):
    """Multi-head attention over the whole grid (eq. 4), of (B, D, G, G)."""

    def __init__(self, linear: Linear, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = width // heads
        inner = heads * self.head_width
        self.query = linear(width, inner, bias=False)
        self.key = linear(width, inner, bias=False)
        self.value = linear(width, inner, bias=False)
        self.output = linear(inner, width)

    def forward(self, x_BxDxGxG: torch.Tensor) -> torch.Tensor:
        """Return the attended channels."""
        batch, _, rows, columns = x_BxDxGxG.shape

        def split(y: torch.Tensor) -> torch.Tensor:
            return y.reshape(batch, self.heads, self.head_width, rows * columns)

        query = split(self.query(x_BxDxGxG))
        key = split(self.key(x_BxDxGxG))
        v_BxHxKxT = split(self.value(x_BxDxGxG))
        logits_BxHxTxT = torch.einsum("bhkq,bhkt->bhqt", query, key) * self.head_width**-0.5
        attention_BxHxTxT = logits_BxHxTxT.softmax(dim=-1)
        z = torch.einsum("bhqt,bhkt->bhkq", attention_BxHxTxT, v_BxHxKxT)
        return self.output(z.reshape(batch, -1, rows, columns))


class ExpertSpatialAttention(SpatialAttention):
    """The same of (B, T, D) with fused attention; over one patch Q and K are not computed."""

    def forward(self, x_BxTxD: torch.Tensor) -> torch.Tensor:
        """Return the attended patches."""
        if x_BxTxD.shape[1] == 1:
            return self.output(self.value(x_BxTxD))

        def split(y_BxTxE: torch.Tensor) -> torch.Tensor:
            return y_BxTxE.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        z_BxHxTxK = F.scaled_dot_product_attention(
            split(self.query(x_BxTxD)), split(self.key(x_BxTxD)), split(self.value(x_BxTxD))
        )
        return self.output(z_BxHxTxK.transpose(1, 2).flatten(2))


class Downsampling(nn.Module):
    """From one level to the next (eq. 2): AdaptiveMaxPool(LayerNorm(Conv3x3(X))).

    Average pooling in the place of `pool` is ours.
    """

    def __init__(
        self,
        norm: Callable[[int], nn.Module],
        width: int,
        features: int,
        pool: nn.Module,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, features, 3, padding=1)
        self.norm = norm(features)
        self.pool = pool

    def forward(self, x_BxDxGxG: torch.Tensor) -> torch.Tensor:
        """Map (B, D, G, G) to (B, features, out_grid, out_grid)."""
        return self.pool(self.norm(self.conv(x_BxDxGxG)))


class ExpertDownsampling(Downsampling):
    """The same over (B, T, D); the convolution reads channels last."""

    def forward(self, x_BxTxD: torch.Tensor) -> torch.Tensor:
        """Map (B, G*G, D) to (B, out_grid * out_grid, features)."""
        grid = math.isqrt(x_BxTxD.shape[1])
        x_BxDxGxG = x_BxTxD.unflatten(1, (grid, grid)).permute(0, 3, 1, 2)
        y_BxGxGxF = self.norm(self.conv(x_BxDxGxG).permute(0, 2, 3, 1))
        return self.pool(y_BxGxGxF.permute(0, 3, 1, 2)).flatten(2).transpose(1, 2)


@dataclasses.dataclass(frozen=True)
class Parts:
    """What the two forms build their levels of."""

    linear: Linear
    norm: Callable[[int], nn.Module]
    channel_attention: type[ChannelAttention]
    spatial_attention: type[SpatialAttention]
    downsampling: type[Downsampling]


_conv1x1 = functools.partial(nn.Conv2d, kernel_size=1)
_layer_norm = functools.partial(nn.LayerNorm, eps=EPS)
EAGER = Parts(_conv1x1, ChannelNorm, ChannelAttention, SpatialAttention, Downsampling)
EXPERT = Parts(
    nn.Linear, _layer_norm, ExpertChannelAttention, ExpertSpatialAttention, ExpertDownsampling
)


class Block(nn.Module):
    """Channel attention, spatial attention, feed-forward; norm before, residual around each.

    A module that the settings switch off is absent with its norm.
    """

    def __init__(self, parts: Parts, width: int, heads: int, config: ModelConfig) -> None:
        super().__init__()
        # Names of norm and module, in the order in which patches pass them.
        self.steps: list[tuple[str, str]] = []
        if config.channel_attention:
            self.norm_channel = parts.norm(width)
            self.channel_attention = parts.channel_attention(parts.linear, width, config)
            self.steps.append(("norm_channel", "channel_attention"))
        if config.spatial_attention:
            self.norm_spatial = parts.norm(width)
            self.spatial_attention = parts.spatial_attention(parts.linear, width, heads)
            self.steps.append(("norm_spatial", "spatial_attention"))
        if config.feed_forward:
            self.norm_feed_forward = parts.norm(width)
            self.feed_forward = self._feed_forward(parts, width, config)
            self.steps.append(("norm_feed_forward", "feed_forward"))

    @staticmethod
    def _feed_forward(parts: Parts, width: int, config: ModelConfig) -> nn.Sequential:
        hidden = config.mlp_ratio * width
        module = nn.Sequential()
        module.add_module("expand", parts.linear(width, hidden))
        activation = nn.GELU() if config.activation == "gelu" else nn.ReLU()
        module.add_module("activation", activation)
        module.add_module("project", parts.linear(hidden, width))
        return module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map the patches to the same shape."""
        for norm, module in self.steps:
            x = x + self.get_submodule(module)(self.get_submodule(norm)(x))
        return x


class EagerAHMSANet(nn.Module):
    """The network as the field's public scripts would write it: (B, 28, 28, 3) -> logits (B, 3)."""

    parts = EAGER

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        parts, widths, grids = self.parts, config.widths, config.grids
        self.patch_embedding = parts.linear(config.channels * config.patch_size**2, config.base_dim)
        if config.positional_embedding:
            drawn = 0.02 * torch.randn(1, config.base_dim, grids[0], grids[0])
            self.positional_embedding = nn.Parameter(drawn)
        for level, blocks in enumerate(config.blocks):
            if level:
                pool = nn.AdaptiveAvgPool2d if config.pooling == "average" else nn.AdaptiveMaxPool2d
                down = parts.downsampling(
                    parts.norm, widths[level - 1], widths[level], pool(grids[level])
                )
                self.add_module(f"down_{level}", down)
            for block in range(blocks):
                module = Block(parts, widths[level], config.level_heads[level], config)
                self.add_module(f"level_{level}_block_{block}", module)
        self.head_norm = parts.norm(widths[-1])
        self.head = nn.Linear(widths[-1], config.num_classes)

    def forward(self, flow_BxHxWxC: torch.Tensor) -> torch.Tensor:
        """Return logits (B, classes) of maps in 0..255."""
        patch, grid = self.config.patch_size, self.config.grids[0]
        x = self.patches(flow_BxHxWxC).permute(0, 2, 4, 5, 1, 3)
        x = self.levels(x.reshape(-1, self.config.channels * patch**2, grid, grid))
        return self.head(x.mean(dim=(2, 3)))

    def patches(self, flow_BxHxWxC: torch.Tensor) -> torch.Tensor:
        """Maps in 0..255 cut into patches: (B, rows, P, columns, P, C)."""
        patch, grid = self.config.patch_size, self.config.grids[0]
        x = flow_BxHxWxC / self.config.input_scale
        return x.reshape(-1, grid, patch, grid, patch, self.config.channels)

    def levels(self, x: torch.Tensor) -> torch.Tensor:
        """From patches as the form lays them out to the normalised features of the last level."""
        x = self.patch_embedding(x)
        if self.config.positional_embedding:
            x = x + self.arranged(self.positional_embedding)
        for level, blocks in enumerate(self.config.blocks):
            if level:
                x = self.get_submodule(f"down_{level}")(x)
            for block in range(blocks):
                x = self.get_submodule(f"level_{level}_block_{block}")(x)
        return self.head_norm(x)

    def arranged(self, x_BxDxGxG: torch.Tensor) -> torch.Tensor:
        """The same as the form lays patches out."""
        return x_BxDxGxG


class ExpertAHMSANet(EagerAHMSANet):
    """The network for speed, over (B, T, D)."""

    parts = EXPERT

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        for level, grid in enumerate(config.grids):
            frozen = grid == 1 and config.spatial_attention
            for block in range(config.blocks[level] if frozen else 0):
                attention = self.get_submodule(f"level_{level}_block_{block}.spatial_attention")
                # Kept, and frozen, where they are not computed.
                attention.query.requires_grad_(False)
                attention.key.requires_grad_(False)

    def forward(self, flow_BxHxWxC: torch.Tensor) -> torch.Tensor:
        """Return logits (B, classes) of maps in 0..255."""
        patch, grid = self.config.patch_size, self.config.grids[0]
        x = self.patches(flow_BxHxWxC).transpose(2, 3)
        x = x.reshape(-1, grid**2, self.config.channels * patch**2)
        return self.head(self.levels(x).mean(dim=1))

    def arranged(self, x_BxDxGxG: torch.Tensor) -> torch.Tensor:
        """The same as (B, T, D)."""
        return x_BxDxGxG.flatten(2).transpose(1, 2)
