"""Motion made larger by warping along the clip's own flow; needs the baselines extra.

Not MagNet. Letters in array names: B clips, C channels, P side of the pictures, 2 is x and y.
"""

import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own name for it)

STEPS = 12


def magnified(
    image_BxCxPxP: torch.Tensor, flow_Bx2xPxP: torch.Tensor, alpha_B: torch.Tensor
) -> torch.Tensor:
    """The picture with each point moved by 1 + alpha times its flow (pixels): (B, C, P, P).

    A pixel shows the point that arrives there: source = pixel - (1 + alpha) flow(source), by so
    many steps of a fixed point from the pixel itself. Beyond the border the border's value counts.
    """
    side = image_BxCxPxP.shape[-1]
    along = torch.arange(side, dtype=flow_Bx2xPxP.dtype, device=flow_Bx2xPxP.device)
    pixel_2xPxP = torch.stack(torch.meshgrid(along, along, indexing="xy"))
    larger_Bx2xPxP = (1 + alpha_B)[:, None, None, None] * flow_Bx2xPxP
    source_Bx2xPxP = pixel_2xPxP.expand_as(flow_Bx2xPxP)
    for _ in range(STEPS):
        source_Bx2xPxP = pixel_2xPxP - at(larger_Bx2xPxP, source_Bx2xPxP)
    return at(image_BxCxPxP, source_Bx2xPxP)


def at(array_BxCxPxP: torch.Tensor, place_Bx2xPxP: torch.Tensor) -> torch.Tensor:
    """The array at these places (x, y in pixels, 0 is the first one's centre), bilinear."""
    unit_BxPxPx2 = 2 * place_Bx2xPxP.permute(0, 2, 3, 1) / (array_BxCxPxP.shape[-1] - 1) - 1
    return F.grid_sample(
        array_BxCxPxP, unit_BxPxPx2, mode="bilinear", padding_mode="border", align_corners=True
    )
