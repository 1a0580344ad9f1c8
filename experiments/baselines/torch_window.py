"""Flow-driven attention in windows, MFDAN's equations 9 to 15; needs the baselines extra.

Letters in array names: B clips, G side of the grid of tokens, D width, W windows of all clips,
N windows of a clip, T tokens of a window, H heads, E width of a head.
"""

import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own name for it)
from torch import nn

from ahmsa_jax.networks.mfdan import WINDOW, MFDANConfig

# Added to the logits of keys in another region of a shifted window (Swin), and of lost keys.
_FAR, _LOST = -100.0, -1e9


def windows(x_BxGxGxD: torch.Tensor) -> torch.Tensor:
    """Windows row by row, their tokens too: (W, T, D)."""
    clips, grid, _, width = x_BxGxGxD.shape
    split = x_BxGxGxD.reshape(clips, grid // WINDOW, WINDOW, grid // WINDOW, WINDOW, width)
    return split.transpose(2, 3).reshape(-1, WINDOW**2, width)


def grid_of(x_WxTxD: torch.Tensor, grid: int) -> torch.Tensor:
    """The grid (B, G, G, D) that `windows` cut up."""
    count, width = grid // WINDOW, x_WxTxD.shape[-1]
    split = x_WxTxD.reshape(-1, count, count, WINDOW, WINDOW, width)
    return split.transpose(2, 3).reshape(-1, grid, grid, width)


def relative_index() -> torch.Tensor:
    """Row of the bias table for each query and key (T, T), as in Swin."""
    along = torch.arange(WINDOW)
    place_2xT = torch.stack(torch.meshgrid(along, along, indexing="ij")).flatten(1)
    row, column = place_2xT[:, :, None] - place_2xT[:, None, :] + WINDOW - 1
    return row * (2 * WINDOW - 1) + column


def shift_mask(grid: int, shift: int) -> torch.Tensor:
    """-100 between tokens that only the shift brought into one window, else 0: (N, T, T)."""
    band_G = torch.zeros(grid)
    band_G[-WINDOW:-shift], band_G[-shift:] = 1, 2
    region_GxG = 3 * band_G[:, None] + band_G[None, :]
    region_NxT = windows(region_GxG[None, :, :, None])[..., 0]
    return (region_NxT[:, :, None] != region_NxT[:, None, :]) * _FAR


class WindowAttention(nn.Module):
    """Attention of the image's tokens, and of the flow's queries to the image's keys, summed."""

    mask: torch.Tensor  # (N, T, T), or zeros (1, 1, 1)
    index: torch.Tensor  # (T, T)

    def __init__(self, config: MFDANConfig, block: int, shifted: bool) -> None:
        super().__init__()
        width, self.heads = config.widths[block], config.shape.heads[block]
        self.floor, self.dropkey = config.tau_floor, config.dropkey
        grid = config.grids[block]
        # A grid of one window is not shifted.
        self.shift = WINDOW // 2 if shifted and grid > WINDOW else 0
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias, self.k_bias, self.v_bias = (nn.Parameter(torch.zeros(width)) for _ in "qkv")
        self.tau = nn.Parameter(torch.full((self.heads,), config.tau))
        table = torch.empty((2 * WINDOW - 1) ** 2, self.heads)
        self.relative_position_bias_table = nn.Parameter(nn.init.normal_(table, std=0.02))
        self.proj = nn.Linear(width, width)
        mask = shift_mask(grid, self.shift) if self.shift else torch.zeros(1, 1, 1)
        self.register_buffer("mask", mask, persistent=False)
        self.register_buffer("index", relative_index(), persistent=False)

    def forward(
        self, x_BxGxGxD: torch.Tensor, flow_BxGxGxD: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Map (B, G, G, D) to the same shape; without flow it is Swin's attention."""
        x_WxTxD = windows(self._rolled(x_BxGxGxD, -self.shift))
        bias = torch.cat([self.q_bias, self.k_bias, self.v_bias])
        query, key, value = map(self._split, (self.qkv(x_WxTxD) + bias).chunk(3, dim=-1))
        more_WxHxTxT = self.bias(x_WxTxD.shape[0])
        logits = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
        out_WxHxTxE = torch.softmax(logits + more_WxHxTxT, dim=-1) @ value
        if flow_BxGxGxD is not None:
            flow_WxTxD = windows(self._rolled(flow_BxGxGxD, -self.shift))
            # The shared weights without their bias, so that the flow's length does not matter.
            asked = self._split(flow_WxTxD @ self.qkv.weight[: flow_WxTxD.shape[-1]].T)
            cosine = F.normalize(asked, dim=-1) @ F.normalize(key, dim=-1).transpose(2, 3)
            logits = cosine / self.tau.clamp(min=self.floor)[:, None, None]
            out_WxHxTxE = out_WxHxTxE + torch.softmax(logits + more_WxHxTxT, dim=-1) @ value
        joined_WxTxD = self.proj(out_WxHxTxE.transpose(1, 2).flatten(2))
        return self._rolled(grid_of(joined_WxTxD, x_BxGxGxD.shape[1]), self.shift)

    def bias(self, windows_of_all: int) -> torch.Tensor:
        """What both attentions add to their logits, (W, H, T, T): places, shift and lost keys."""
        table_HxTxT = self.relative_position_bias_table[self.index].permute(2, 0, 1)
        mask_WxTxT = self.mask.repeat(windows_of_all // self.mask.shape[0], 1, 1)
        added_WxHxTxT = table_HxTxT + mask_WxTxT[:, None]
        if self.training and self.dropkey:
            tokens = table_HxTxT.shape[-1]
            draw = torch.rand(windows_of_all, self.heads, tokens, tokens, device=table_HxTxT.device)
            added_WxHxTxT = added_WxHxTxT + (draw < self.dropkey) * _LOST
        return added_WxHxTxT

    def _split(self, x_WxTxD: torch.Tensor) -> torch.Tensor:
        return x_WxTxD.unflatten(2, (self.heads, -1)).transpose(1, 2)

    @staticmethod
    def _rolled(x_BxGxGxD: torch.Tensor, by: int) -> torch.Tensor:
        return torch.roll(x_BxGxGxD, (by, by), dims=(1, 2)) if by else x_BxGxGxD
