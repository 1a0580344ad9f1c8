"""AHMSA-Net (Zhang et al., arXiv 2501.02539) in PyTorch, in two forms; needs the baselines extra.

`EagerAHMSANet` is written as the field's public scripts are: channels first, 1x1 Conv2d, Q and K
computed at every level. `ExpertAHMSANet` is what an experienced user would run: Linear layers over
(B, T, D), fused attention and normalisation, nothing computed that cannot matter. Both compute the
same function as ahmsa_jax.AHMSANet and name their parts alike (see weights.py).

Letters in array names: B clips, T = G*G patches, G side of the grid, D width, H heads, K width of
a head.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own name for it)
from torch import nn

from ahmsa_jax.networks.ahmsa import ModelConfig

Form = Literal["eager", "expert"]
EPS = 1e-5


def build(form: Form, config: ModelConfig) -> nn.Module:
    """The network in one of its forms, with PyTorch's own initial parameters."""
    return EagerAHMSANet(config) if form == "eager" else ExpertAHMSANet(config)


def _activation(config: ModelConfig) -> nn.Module:
    return nn.GELU() if config.activation == "gelu" else nn.ReLU()


class ChannelsFirstNorm(nn.Module):
    """Layer normalisation over the channels of (B, D, G, G), as HTNet's script writes it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, width, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, width, 1, 1))

    def forward(self, x_BxDxGxG: torch.Tensor) -> torch.Tensor:
        """Return the normalised array."""
        mean = torch.mean(x_BxDxGxG, dim=1, keepdim=True)
        variance = torch.var(x_BxDxGxG, dim=1, unbiased=False, keepdim=True)
        return (x_BxDxGxG - mean) / torch.sqrt(variance + EPS) * self.weight + self.bias


class EagerChannelAttention(nn.Module):
    """CBAM's channel attention: both poolings through one pair of 1x1 convolutions."""

    def __init__(self, width: int, config: ModelConfig) -> None:
        super().__init__()
        inner = max(1, width // config.reduction)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.maximum = nn.AdaptiveMaxPool2d(1)
        self.squeeze = nn.Conv2d(width, inner, 1, bias=False)
        self.expand = nn.Conv2d(inner, width, 1, bias=False)

    def forward(self, x_BxDxGxG: torch.Tensor) -> torch.Tensor:
        """Return the weighted channels."""
        average = self.expand(torch.relu(self.squeeze(self.average(x_BxDxGxG))))
        maximum = self.expand(torch.relu(self.squeeze(self.maximum(x_BxDxGxG))))
        return x_BxDxGxG * torch.sigmoid(average + maximum)


class EagerSpatialAttention(nn.Module):
    """Multi-head attention over the whole grid by 1x1 convolutions (eq. 4)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = width // heads
        inner = heads * self.head_width
        self.query = nn.Conv2d(width, inner, 1, bias=False)
        self.key = nn.Conv2d(width, inner, 1, bias=False)
        self.value = nn.Conv2d(width, inner, 1, bias=False)
        self.output = nn.Conv2d(inner, width, 1)

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


class EagerFeedForward(nn.Module):
    """Two 1x1 convolutions with an activation between."""

    def __init__(self, width: int, config: ModelConfig) -> None:
        super().__init__()
        self.expand = nn.Conv2d(width, config.mlp_ratio * width, 1)
        self.activation = _activation(config)
        self.project = nn.Conv2d(config.mlp_ratio * width, width, 1)

    def forward(self, x_BxDxGxG: torch.Tensor) -> torch.Tensor:
        """Return the transformed channels."""
        return self.project(self.activation(self.expand(x_BxDxGxG)))


class EagerBlock(nn.Module):
    """Channel attention, spatial attention, feed-forward; norm before, residual around each."""

    def __init__(self, width: int, heads: int, config: ModelConfig) -> None:
        super().__init__()
        self.norm_channel = ChannelsFirstNorm(width)
        self.channel_attention = EagerChannelAttention(width, config)
        self.norm_spatial = ChannelsFirstNorm(width)
        self.spatial_attention = EagerSpatialAttention(width, heads)
        self.norm_feed_forward = ChannelsFirstNorm(width)
        self.feed_forward = EagerFeedForward(width, config)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, D, G, G) to the same shape."""
        x = x + self.channel_attention(self.norm_channel(x))
        x = x + self.spatial_attention(self.norm_spatial(x))
        return x + self.feed_forward(self.norm_feed_forward(x))


class EagerDownsampling(nn.Module):
    """From one level to the next (eq. 2): AdaptiveMaxPool(LayerNorm(Conv3x3(X)))."""

    def __init__(self, width: int, features: int, out_grid: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, features, 3, padding=1)
        self.norm = ChannelsFirstNorm(features)
        self.pool = nn.AdaptiveMaxPool2d(out_grid)

    def forward(self, x_BxDxGxG: torch.Tensor) -> torch.Tensor:
        """Map (B, D, G, G) to (B, features, out_grid, out_grid)."""
        return self.pool(self.norm(self.conv(x_BxDxGxG)))


class EagerAHMSANet(nn.Module):
    """The network as the field's public scripts would write it: (B, 28, 28, 3) -> logits (B, 3)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        patch_width = 3 * config.patch_size**2
        self.patch_embedding = nn.Conv2d(patch_width, config.base_dim, 1)
        if config.positional_embedding:
            grid = config.grids[0]
            self.positional_embedding = nn.Parameter(
                0.02 * torch.randn(1, config.base_dim, grid, grid)
            )
        for level, blocks in enumerate(config.blocks):
            width, grid = config.widths[level], config.grids[level]
            if level:
                down = EagerDownsampling(config.widths[level - 1], width, grid)
                self.add_module(f"down_{level}", down)
            for block in range(blocks):
                module = EagerBlock(width, config.level_heads[level], config)
                self.add_module(f"level_{level}_block_{block}", module)
        self.head_norm = ChannelsFirstNorm(config.widths[-1])
        self.head = nn.Linear(config.widths[-1], config.num_classes)

    def forward(self, flow_BxHxWxC: torch.Tensor) -> torch.Tensor:
        """Return logits (B, classes) of maps in 0..255."""
        config, patch, grid = self.config, self.config.patch_size, self.config.grids[0]
        x = flow_BxHxWxC / config.input_scale
        x = x.reshape(-1, grid, patch, grid, patch, 3).permute(0, 2, 4, 5, 1, 3)
        x = self.patch_embedding(x.reshape(-1, 3 * patch**2, grid, grid))
        if config.positional_embedding:
            x = x + self.positional_embedding
        for level, blocks in enumerate(config.blocks):
            if level:
                x = self.get_submodule(f"down_{level}")(x)
            for block in range(blocks):
                x = self.get_submodule(f"level_{level}_block_{block}")(x)
        return self.head(self.head_norm(x).mean(dim=(2, 3)))


class ExpertChannelAttention(nn.Module):
    """The same over (B, T, D); over one patch both poolings are the patch."""

    def __init__(self, width: int, config: ModelConfig) -> None:
        super().__init__()
        inner = max(1, width // config.reduction)
        self.squeeze = nn.Linear(width, inner, bias=False)
        self.expand = nn.Linear(inner, width, bias=False)

    def forward(self, x_BxTxD: torch.Tensor) -> torch.Tensor:
        """Return the weighted patches."""
        if x_BxTxD.shape[1] == 1:
            weight_Bx1xD = 2 * self.expand(torch.relu(self.squeeze(x_BxTxD)))
        else:
            pooled = torch.stack([x_BxTxD.mean(dim=1), x_BxTxD.amax(dim=1)])
            weight_Bx1xD = self.expand(torch.relu(self.squeeze(pooled))).sum(dim=0)[:, None]
        return x_BxTxD * torch.sigmoid(weight_Bx1xD)


class ExpertSpatialAttention(nn.Module):
    """The same with fused attention; over one patch Q and K are kept, frozen and not computed."""

    def __init__(self, width: int, heads: int, tokens: int) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * (width // heads)
        self.query = nn.Linear(width, inner, bias=False)
        self.key = nn.Linear(width, inner, bias=False)
        self.value = nn.Linear(width, inner, bias=False)
        self.output = nn.Linear(inner, width)
        if tokens == 1:
            self.query.requires_grad_(False)
            self.key.requires_grad_(False)

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


class ExpertBlock(nn.Module):
    """Channel attention, spatial attention, feed-forward; norm before, residual around each."""

    def __init__(self, width: int, heads: int, tokens: int, config: ModelConfig) -> None:
        super().__init__()
        self.norm_channel = nn.LayerNorm(width, EPS)
        self.channel_attention = ExpertChannelAttention(width, config)
        self.norm_spatial = nn.LayerNorm(width, EPS)
        self.spatial_attention = ExpertSpatialAttention(width, heads, tokens)
        self.norm_feed_forward = nn.LayerNorm(width, EPS)
        hidden = config.mlp_ratio * width
        self.feed_forward = nn.Sequential()
        self.feed_forward.add_module("expand", nn.Linear(width, hidden))
        self.feed_forward.add_module("activation", _activation(config))
        self.feed_forward.add_module("project", nn.Linear(hidden, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, T, D) to the same shape."""
        x = x + self.channel_attention(self.norm_channel(x))
        x = x + self.spatial_attention(self.norm_spatial(x))
        return x + self.feed_forward(self.norm_feed_forward(x))


class ExpertDownsampling(nn.Module):
    """From one level to the next over (B, T, D); the convolution reads channels last."""

    def __init__(self, width: int, features: int, out_grid: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, features, 3, padding=1)
        self.norm = nn.LayerNorm(features, EPS)
        self.pool = nn.AdaptiveMaxPool2d(out_grid)

    def forward(self, x_BxTxD: torch.Tensor) -> torch.Tensor:
        """Map (B, G*G, D) to (B, out_grid * out_grid, features)."""
        grid = math.isqrt(x_BxTxD.shape[1])
        x_BxDxGxG = x_BxTxD.unflatten(1, (grid, grid)).permute(0, 3, 1, 2)
        y_BxGxGxF = self.norm(self.conv(x_BxDxGxG).permute(0, 2, 3, 1))
        return self.pool(y_BxGxGxF.permute(0, 3, 1, 2)).flatten(2).transpose(1, 2)


class ExpertAHMSANet(nn.Module):
    """The network for speed: (B, 28, 28, 3) in 0..255 -> logits (B, 3)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embedding = nn.Linear(3 * config.patch_size**2, config.base_dim)
        if config.positional_embedding:
            self.positional_embedding = nn.Parameter(
                0.02 * torch.randn(config.grids[0] ** 2, config.base_dim)
            )
        for level, blocks in enumerate(config.blocks):
            width, grid = config.widths[level], config.grids[level]
            if level:
                down = ExpertDownsampling(config.widths[level - 1], width, grid)
                self.add_module(f"down_{level}", down)
            for block in range(blocks):
                module = ExpertBlock(width, config.level_heads[level], grid**2, config)
                self.add_module(f"level_{level}_block_{block}", module)
        self.head_norm = nn.LayerNorm(config.widths[-1], EPS)
        self.head = nn.Linear(config.widths[-1], config.num_classes)

    def forward(self, flow_BxHxWxC: torch.Tensor) -> torch.Tensor:
        """Return logits (B, classes)."""
        config, patch, grid = self.config, self.config.patch_size, self.config.grids[0]
        x = flow_BxHxWxC / config.input_scale
        x = x.reshape(-1, grid, patch, grid, patch, 3).transpose(2, 3)
        x = self.patch_embedding(x.reshape(-1, grid**2, 3 * patch**2))
        if config.positional_embedding:
            x = x + self.positional_embedding
        for level, blocks in enumerate(config.blocks):
            if level:
                x = self.get_submodule(f"down_{level}")(x)
            for block in range(blocks):
                x = self.get_submodule(f"level_{level}_block_{block}")(x)
        return self.head(self.head_norm(x).mean(dim=1))
