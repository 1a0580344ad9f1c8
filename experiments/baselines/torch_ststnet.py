"""STSTNet in PyTorch, plain; needs the baselines extra.

Liong et al., FG 2019. The names of the state dict are those of the authors' published weights.
Letters in array names: B clips, C channels, F filters.
"""

import torch
from torch import nn

from ahmsa_jax.networks.ststnet import STSTNetConfig


class TorchSTSTNet(nn.Module):
    """Three streams of 3, 5 and 8 filters: maps (B, 28, 28, 3) in 0..255 -> logits (B, 3).

    The maps' channels are (u, v, strain), turned round as the settings ask.
    """

    def __init__(self, config: STSTNetConfig) -> None:
        super().__init__()
        self.config = config
        for number, filters in enumerate((3, 5, 8), 1):
            norm = nn.BatchNorm2d(filters, config.norm_eps, config.norm_momentum)
            self.add_module(f"conv{number}", nn.Conv2d(config.channels, filters, 3, padding=2))
            self.add_module(f"bn{number}", norm)
        self.pool = nn.MaxPool2d(3, stride=3, padding=1)
        self.dropout = nn.Dropout(config.dropout)
        self.average = nn.AvgPool2d(2, stride=2)
        self.fc = nn.Linear(16 * 5 * 5, config.num_classes)

    def forward(self, flow_BxHxWxC: torch.Tensor) -> torch.Tensor:
        """Return logits (B, classes)."""
        x_BxCxHxW = (flow_BxHxWxC / self.config.input_scale).permute(0, 3, 1, 2)
        if self.config.channel_order == "svu":
            x_BxCxHxW = x_BxCxHxW.flip(1)
        # Channels first in memory too: the convolutions are twice as fast on a CPU.
        x_BxCxHxW = x_BxCxHxW.contiguous()
        streams = [self._stream(number, x_BxCxHxW) for number in (1, 2, 3)]
        return self.fc(self.average(torch.cat(streams, dim=1)).flatten(1))

    def _stream(self, number: int, x_BxCxHxW: torch.Tensor) -> torch.Tensor:
        convolved = torch.relu(self.get_submodule(f"conv{number}")(x_BxCxHxW))
        normal = self.get_submodule(f"bn{number}")(convolved)
        return self.dropout(self.pool(normal))
