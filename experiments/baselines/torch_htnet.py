"""HTNet in PyTorch, plain; needs the baselines extra.

Wang et al., Neurocomputing 2024. The names of the state dict are those of the published code, which
is why some modules are lists with gaps. Q and K are computed although attention over one patch does
not depend on them, as in that code.

Letters in array names: B clips, G side of a level's grid, D width.
"""

import torch
from torch import nn

from ahmsa_jax.networks.htnet import HTNetConfig
from experiments.baselines.torch_norm import ChannelNorm

# As published.
_NAMES = ("g", "b")


class Normed(nn.Module):
    """A module behind a normalisation of its input."""

    def __init__(self, width: int, fn: nn.Module) -> None:
        super().__init__()
        self.norm = ChannelNorm(width, _NAMES)
        self.fn = fn

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return fn(norm(x))."""
        return self.fn(self.norm(x))


class Attention(nn.Module):
    """Multi-head attention within each block, which here holds one patch."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = width // heads
        inner = heads * self.head_width
        self.to_qkv = nn.Conv2d(width, 3 * inner, 1, bias=False)
        self.to_out = nn.Sequential(nn.Conv2d(inner, width, 1))

    def forward(self, x_BxDxGxG: torch.Tensor) -> torch.Tensor:
        """Return the attended patches; the softmax runs over one key."""
        batch, _, rows, columns = x_BxDxGxG.shape
        split = (batch, 3, self.heads, self.head_width, rows, columns)
        query, key, value = self.to_qkv(x_BxDxGxG).reshape(split).unbind(1)
        logits = (query * key).sum(dim=2, keepdim=True) * self.head_width**-0.5
        attended = logits.unsqueeze(-1).softmax(dim=-1).squeeze(-1) * value
        return self.to_out(attended.reshape(batch, -1, rows, columns))


class FeedForward(nn.Module):
    """Two 1x1 convolutions with a GELU between."""

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        hidden = ratio * width
        # Dropout of rate 0 stands where the published code has it, so that numbers agree.
        self.net = nn.Sequential(
            nn.Conv2d(width, hidden, 1), nn.GELU(), nn.Dropout(0.0), nn.Conv2d(hidden, width, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the transformed patches."""
        return self.net(x)


class Transformer(nn.Module):
    """The blocks of one level, after the level's scalar position embedding."""

    def __init__(self, width: int, heads: int, blocks: int, ratio: int) -> None:
        super().__init__()
        self.pos_emb = nn.Parameter(torch.randn(1))
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [Normed(width, Attention(width, heads)), Normed(width, FeedForward(width, ratio))]
            )
            for _ in range(blocks)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, D, G, G) to the same shape."""
        x = x + self.pos_emb
        for block in self.layers:
            for module in block.children():
                x = x + module(x)
        return x


class TorchHTNet(nn.Module):
    """The network: maps (B, 28, 28, 3) in 0..255, channels (u, v, strain) -> logits (B, 3)."""

    def __init__(self, config: HTNetConfig) -> None:
        super().__init__()
        self.config = config
        values, widths = config.channels * config.patch_size**2, config.widths
        # What stands at number 0 cuts the patches; it has no parameters.
        self.to_patch_embedding = nn.Sequential(
            nn.Identity(), nn.Conv2d(values, config.base_dim, 1)
        )
        self.layers = nn.ModuleList()
        for level, blocks in enumerate(config.blocks):
            width = widths[level]
            parts: list[nn.Module] = [
                Transformer(width, config.level_heads[level], blocks, config.mlp_ratio)
            ]
            if level + 1 < len(widths):
                wider = widths[level + 1]
                down = nn.Conv2d(width, wider, 3, padding=1)
                pool = nn.MaxPool2d(3, stride=2, padding=1)
                parts.append(nn.Sequential(down, ChannelNorm(wider, _NAMES), pool))
            self.layers.append(nn.ModuleList(parts))
        self.mlp_head = nn.Sequential(
            ChannelNorm(widths[-1], _NAMES),
            nn.Identity(),
            nn.Linear(widths[-1], config.num_classes),
        )

    def forward(self, flow_BxHxWxC: torch.Tensor) -> torch.Tensor:
        """Return logits (B, classes)."""
        config, patch, grid = self.config, self.config.patch_size, self.config.grids[0]
        x = flow_BxHxWxC / config.input_scale
        if config.channel_order == "svu":
            x = x.flip(-1)
        x = x.reshape(-1, grid, patch, grid, patch, config.channels).permute(0, 2, 4, 5, 1, 3)
        x = self.to_patch_embedding(x.reshape(-1, config.channels * patch**2, grid, grid))
        for level in self.layers:
            for module in level.children():
                x = module(x)
        norm, _, linear = self.mlp_head
        return linear(norm(x).mean(dim=(2, 3)))
