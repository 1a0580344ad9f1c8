"""Stored pictures and flow made ready for the twins in PyTorch; needs the baselines extra.

`frames` (B, 8, S, S, 3) uint8: six frames of a clip, then onset and apex. `flow_px` (B, S, S, 3)
float16: u and v from onset to apex in pixels, x right and y down, and the strain.

Letters in array names: B clips, F frames, C channels, S side of the stored pictures, P side asked
for.
"""

import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own name for it)

from ahmsa_jax.inputs.frames import APEX, ONSET, UNIFORM

__all__ = ["APEX", "ONSET", "UNIFORM", "flow", "min_max", "pictures"]


def pictures(frames_BxFxSxSxC: torch.Tensor, side: int) -> torch.Tensor:
    """The frames in float32 grey values at a smaller side, by area means: (B, F, C, P, P)."""
    shape = frames_BxFxSxSxC.shape[:2]
    flat = frames_BxFxSxSxC.flatten(0, 1).permute(0, 3, 1, 2).float()
    return F.avg_pool2d(flat, flat.shape[-1] // side).unflatten(0, shape)


def flow(flow_BxSxSxC: torch.Tensor, side: int) -> torch.Tensor:
    """The flow in float32 at a smaller side, u and v in its pixels: (B, C, P, P)."""
    step = flow_BxSxSxC.shape[1] // side
    mean_BxCxPxP = F.avg_pool2d(flow_BxSxSxC.permute(0, 3, 1, 2).float(), step)
    # The strain is pixels per pixel.
    return torch.cat([mean_BxCxPxP[:, :2] / step, mean_BxCxPxP[:, 2:]], dim=1)


def min_max(flow_BxCxPxP: torch.Tensor) -> torch.Tensor:
    """Each clip's channel in 0..1; a constant one is 0."""
    low = flow_BxCxPxP.amin(dim=(2, 3), keepdim=True)
    spread = flow_BxCxPxP.amax(dim=(2, 3), keepdim=True) - low
    return torch.where(spread > 0, (flow_BxCxPxP - low) / spread.clamp(min=1e-30), 0.0)
