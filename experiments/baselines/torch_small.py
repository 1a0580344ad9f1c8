"""The small network in PyTorch, plain; needs the baselines extra.

Letters in array names: B clips, F features.
"""

import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own name for it)
from torch import nn

from ahmsa_jax.networks.small import SmallConfig


class TorchSmall(nn.Module):
    """2x2 means, one hidden layer with batch normalisation, a linear head.

    Maps (B, H, W, 3) -> logits (B, K).
    """

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        self.config = config
        self.hidden = nn.Linear(config.features, config.base_dim)
        self.norm = nn.BatchNorm1d(config.base_dim, config.norm_eps, config.norm_momentum)
        self.head = nn.Linear(config.base_dim, config.num_classes)
        self.input_dropout = nn.Dropout(config.input_dropout)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, flow_BxHxWxC: torch.Tensor) -> torch.Tensor:
        """Return logits (B, classes)."""
        x_BxCxHxW = (flow_BxHxWxC / self.config.input_scale).permute(0, 3, 1, 2)
        # Features in the order of the maps: row, column, channel.
        features_BxF = F.avg_pool2d(x_BxCxHxW, 2).permute(0, 2, 3, 1).flatten(1)
        hidden_BxF = self.norm(self.hidden(self.input_dropout(features_BxF)))
        return self.head(self.dropout(torch.relu(hidden_BxF)))
