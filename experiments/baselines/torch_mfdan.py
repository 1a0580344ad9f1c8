"""MFDAN in PyTorch, plain, from its equations; needs the baselines extra.

Cai et al., IEEE TCSVT 34(12), 2024, doi:10.1109/TCSVT.2024.3437481. No code is published, so the
state dict is named in the manner of Swin Transformer v1:

    patch_embed.{proj,norm}            patches of the image, and flow_patch_embed of the flow
    downsamples.N.{norm,reduction}     merging N, and flow_downsamples.N of the flow
    layers.B.blocks.L.{norm1,norm2}    layer L of block B, and with it
        .attn.{qkv.weight,q_bias,k_bias,v_bias,proj,tau,relative_position_bias_table}
        .mlp.{fc1,fc2}
    norm, head                         after the blocks
    flow_encoder.{conv1,conv2,fc}      the features of the flow

Letters in array names: B clips, C channels, P side of the pictures, G side of a grid of tokens,
D width, Q features.
"""

import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own name for it)
from torch import nn

from ahmsa_jax.networks.mfdan import LAYERS, MLP_RATIO, PATCH, MFDANConfig
from experiments.baselines import torch_frames, torch_magnify
from experiments.baselines.torch_window import WindowAttention

_EPS = 1e-5


class PatchEmbedding(nn.Module):
    """Patches of 4x4 pixels, a linear layer and a norm: (B, C, P, P) -> (B, G, G, D)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, stride=PATCH)
        self.norm = nn.LayerNorm(width, _EPS)

    def forward(self, x_BxCxPxP: torch.Tensor) -> torch.Tensor:
        """Return the tokens."""
        return self.norm(self.proj(x_BxCxPxP).permute(0, 2, 3, 1))


class Merging(nn.Module):
    """Four neighbours become one token of twice the width, as in Swin v1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width, _EPS)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x_BxGxGxD: torch.Tensor) -> torch.Tensor:
        """Map (B, G, G, D) to (B, G / 2, G / 2, 2 D)."""
        # Swin's order: down the rows first.
        corners = [x_BxGxGxD[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.reduction(self.norm(torch.cat(corners, dim=-1)))


class FeedForward(nn.Module):
    """Two linear layers with an exact GELU between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, MLP_RATIO * width)
        self.fc2 = nn.Linear(MLP_RATIO * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (..., D) to the same shape."""
        return self.fc2(F.gelu(self.fc1(x)))


class FlowDrivenLayer(nn.Module):
    """Equations 4 and 5 (or 6 and 7 where the windows are shifted): norms inside the residuals."""

    def __init__(self, config: MFDANConfig, block: int, shifted: bool) -> None:
        super().__init__()
        width = config.widths[block]
        self.attn = WindowAttention(config, block, shifted)
        self.norm1 = nn.LayerNorm(width, _EPS)
        self.mlp = FeedForward(width)
        self.norm2 = nn.LayerNorm(width, _EPS)

    def forward(self, z_BxGxGxD: torch.Tensor, flow_BxGxGxD: torch.Tensor | None) -> torch.Tensor:
        """Map (B, G, G, D) to the same shape, guided by the flow's tokens where they are given."""
        z_BxGxGxD = self.norm1(self.attn(z_BxGxGxD, flow_BxGxGxD)) + z_BxGxGxD
        return self.norm2(self.mlp(z_BxGxGxD)) + z_BxGxGxD


class Block(nn.Module):
    """Layers in turn of plain and shifted windows; the flow stays as it is."""

    def __init__(self, config: MFDANConfig, number: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            FlowDrivenLayer(config, number, shifted=layer % 2 == 1) for layer in range(LAYERS)
        )

    def forward(self, z: torch.Tensor, flow: torch.Tensor | None) -> torch.Tensor:
        """Map (B, G, G, D) to the same shape."""
        for layer in self.blocks:
            z = layer(z, flow)
        return z


class FlowEncoder(nn.Module):
    """Two convolutions, each with ReLU, max-pooling and local response normalisation; linear."""

    def __init__(self, config: MFDANConfig) -> None:
        super().__init__()
        channels, size = 3, config.shape.pixels
        self.pools = []
        for number, parts in enumerate(config.encoder, 1):
            shape = (channels, parts.filters, parts.side, parts.stride, parts.padding)
            convolution = nn.Conv2d(*shape, groups=parts.groups)
            self.add_module(f"conv{number}", convolution)
            self.pools.append((parts.pool, parts.pool_stride))
            channels, size = parts.filters, parts.sizes(size)[1]
        self.dropout = nn.Dropout(config.flow_dropout)
        self.fc = nn.Linear(size**2 * channels, config.shape.features)

    def forward(self, x_BxCxPxP: torch.Tensor) -> torch.Tensor:
        """Map (B, C, P, P) to (B, Q)."""
        for number, (side, stride) in enumerate(self.pools, 1):
            x_BxCxPxP = F.relu(self.get_submodule(f"conv{number}")(x_BxCxPxP))
            x_BxCxPxP = F.max_pool2d(x_BxCxPxP, side, stride)
            # PyTorch divides alpha by the five channels; AlexNet's 1e-4 is that of their sum.
            x_BxCxPxP = F.local_response_norm(x_BxCxPxP, 5, alpha=5e-4, beta=0.75, k=2.0)
        # In the order of row, column, channel.
        return self.fc(self.dropout(x_BxCxPxP.permute(0, 2, 3, 1).flatten(1)))


class TorchMFDAN(nn.Module):
    """The network: flow_px (B, S, S, 3) float16, frames (B, 8, S, S, 3) uint8 -> logits (B, K)."""

    def __init__(self, config: MFDANConfig) -> None:
        super().__init__()
        self.config = config
        first, last = config.widths
        steps = [first * 2**step for step in range(config.merged)]
        self.patch_embed = PatchEmbedding(first)
        self.downsamples = nn.ModuleList(Merging(width) for width in steps)
        if not config.share_embedding:
            self.flow_patch_embed = PatchEmbedding(first)
            self.flow_downsamples = nn.ModuleList(Merging(width) for width in steps)
        self.layers = nn.ModuleList(Block(config, number) for number in range(2))
        self.norm = nn.LayerNorm(last, _EPS)
        self.head = nn.Linear(last + config.shape.features, config.num_classes)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        # After the loop: its initial values stay PyTorch's own.
        self.flow_encoder = FlowEncoder(config)

    def forward(self, flow_BxSxSxC: torch.Tensor, frames_BxFxSxSxC: torch.Tensor) -> torch.Tensor:
        """Return logits (B, classes)."""
        side = self.config.shape.pixels
        flow_BxCxPxP = torch_frames.flow(flow_BxSxSxC, side)
        image_BxCxPxP = self._image(flow_BxCxPxP, frames_BxFxSxSxC)
        guide_BxCxPxP = torch_frames.min_max(flow_BxCxPxP)

        z, guide = self.patch_embed(image_BxCxPxP / 255), None
        guided = self.config.flow_guidance == "on"
        own = not self.config.share_embedding
        if guided:
            guide = (self.flow_patch_embed if own else self.patch_embed)(guide_BxCxPxP)
        z = self.layers[0](z, guide)
        for merging in self.downsamples:
            z = merging(z)
        if guided:
            for merging in self.flow_downsamples if own else self.downsamples:
                guide = merging(guide)
        z = self.layers[1](z, guide)

        image_BxD = self.norm(z).mean(dim=(1, 2))
        return self.head(torch.cat([image_BxD, self.flow_encoder(guide_BxCxPxP)], dim=1))

    def _image(self, flow_BxCxPxP: torch.Tensor, frames_BxFxSxSxC: torch.Tensor) -> torch.Tensor:
        """The apex, or the onset with its motion magnified, in grey values."""
        is_apex = self.config.magnify == "none"
        place = torch_frames.APEX if is_apex else torch_frames.ONSET
        # The other frames are not looked at: making them smaller took most of a step at tiny size.
        one_Bx1xSxSxC = frames_BxFxSxSxC[:, place : place + 1]
        shown_BxCxPxP = torch_frames.pictures(one_Bx1xSxSxC, self.config.shape.pixels)[:, 0]
        if is_apex:
            return shown_BxCxPxP
        clips = flow_BxCxPxP.shape[0]
        alpha_B = flow_BxCxPxP.new_full((clips,), self.config.magnify_test)
        if self.training:
            alpha_B.uniform_(self.config.magnify_low, self.config.magnify_high)
        return torch_magnify.magnified(shown_BxCxPxP, flow_BxCxPxP[:, :2], alpha_B)
