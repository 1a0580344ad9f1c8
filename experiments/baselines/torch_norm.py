"""Layer normalisation over channels, as the published scripts write it; needs the baselines extra.

Letters in array names: B clips, D channels, G side of the grid.
"""

import torch
from torch import nn

EPS = 1e-5


class ChannelNorm(nn.Module):
    """Normalises (B, D, G, G) over D; the state dict holds scale and shift under `names`."""

    def __init__(self, width: int, names: tuple[str, str] = ("weight", "bias")) -> None:
        super().__init__()
        self._names = names
        for name, first in zip(names, (torch.ones, torch.zeros), strict=True):
            self.register_parameter(name, nn.Parameter(first(1, width, 1, 1)))

    def forward(self, x_BxDxGxG: torch.Tensor) -> torch.Tensor:
        """Return the normalised array."""
        mean = torch.mean(x_BxDxGxG, dim=1, keepdim=True)
        variance = torch.var(x_BxDxGxG, dim=1, unbiased=False, keepdim=True)
        scale, shift = (self.get_parameter(name) for name in self._names)
        return (x_BxDxGxG - mean) / torch.sqrt(variance + EPS) * scale + shift
